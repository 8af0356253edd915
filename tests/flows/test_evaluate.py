"""A suite from the terminal: models are trained once, floors decide, tables are kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from mlflow.tracking import MlflowClient

from tests.installation import Installation
from tests.prefect_api import run_flow
from tests.tiny_encoder import save

pytestmark = [pytest.mark.servers, pytest.mark.filterwarnings("ignore::DeprecationWarning")]
TRAINED = "train://reviews/encoder"
Floor = Callable[[float], None]


@pytest.fixture
def floor(servers: Installation, tmp_path: Path) -> Iterator[Floor]:
    """Writes a suite of two tasks over small models, the second with the given floor."""
    before, tiny = servers.params.read_text("utf-8"), str(save(tmp_path / "tiny"))

    def write(least: float) -> None:
        tree: dict[str, Any] = yaml.safe_load(before)
        recipe = {"training": {"examples": 64, "epochs": 1, "batch_size": 32}}
        tree["recipes"]["encoder"] = recipe | {"network": {"encoder": {"source": tiny}}}
        answers = "data/samples/answers.jsonl"
        tree["suites"]["tiny"] = [
            _entry("sentiment-analysis", TRAINED, "reviews", {"accuracy": 0.0}),
            _entry("feature-extraction", tiny, answers, {"recall_at_1": least}),
        ]
        servers.params.write_text(yaml.safe_dump(tree), "utf-8")

    yield write
    servers.params.write_text(before, "utf-8")


def _entry(task: str, model: str, data: str, floors: dict[str, float]) -> dict[str, object]:
    return {"task": task, "model": model, "data": data, "floors": floors, "limit": 30}


def test_a_suite_fails_below_a_floor_and_passes_above(servers: Installation, floor: Floor) -> None:
    floor(1.01)
    failed = run_flow(servers, "evaluate", "suite=tiny", ends="FAILED")
    assert "recall_at_1 is" in failed["error"]
    assert "wanted at least 1.01" in failed["error"]
    verdicts = {row["task"]: row["verdict"] for row in failed["tables"]["suite"]}
    assert verdicts == {"sentiment-analysis": "passed", "feature-extraction": "failed"}
    table = failed["tables"]["feature-extraction: answers"]
    assert {row["metric"]: row["cleared"] for row in table} == {
        "recall_at_1": "NO",
        "recall_at_5": "",
        "mrr": "",
    }
    steps = {step["name"]: step["skipped"] for step in failed["steps"]}
    assert steps["train encoder on reviews"] is None
    _predictions_are_kept(servers, failed)

    floor(0.0)
    passed = run_flow(servers, "evaluate", "suite=tiny")
    steps = {step["name"]: step["skipped"] for step in passed["steps"]}
    assert "was trained before" in steps["train encoder on reviews"]
    assert passed["error"] is None

    unknown = run_flow(servers, "evaluate", "suite=tyni", ends="FAILED")
    assert "offline, tiny" in unknown["error"]


def _predictions_are_kept(servers: Installation, report: dict[str, Any]) -> None:
    client = MlflowClient(servers.addresses()["mlflow"])
    run_id = report["links"]["MLflow run"].partition("/runs/")[2].partition("?")[0]
    names = [file.path for file in client.list_artifacts(run_id, "sentiment-analysis/reviews")]
    assert sorted(name.rpartition("/")[2] for name in names) == [
        "confusion.json",
        "predictions.json",
    ]
    metrics = client.get_run(run_id).data.metrics
    assert 0 <= metrics["sentiment-analysis/reviews/accuracy"] <= 1
    file = client.download_artifacts(run_id, "sentiment-analysis/reviews/predictions.json")
    table = json.loads(Path(file).read_text("utf-8"))
    place = table["columns"].index("score")
    scores = [float(row[place]) for row in table["data"]]
    assert len(scores) == 30
    assert scores == sorted(scores)
