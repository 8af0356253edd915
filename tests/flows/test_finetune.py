"""Texts from the terminal: several ways to fine-tune, the gate, and what the model says then."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from tests.flows.test_serving import serving
from tests.installation import Installation
from tests.prefect_api import run_flow
from tests.tiny_encoder import save

pytestmark = [pytest.mark.servers, pytest.mark.filterwarnings("ignore::DeprecationWarning")]
MODEL = "requests-classifier"
TEXTS = ["Where is my parcel?", '{"text": "I want my money back for the lamp."}', ""]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save(tmp_path_factory.mktemp("tiny")))


def test_ways_are_compared_and_the_best_goes_to_the_gate(
    servers: Installation, tiny: str, tmp_path: Path
) -> None:
    settings = ["dataset=requests", f"network.encoder.source={tiny}", "seeds=[0, 1]"]
    settings += ["ways=[head, lora, bag_of_words]", "training.examples=400", "training.epochs=1"]
    report = run_flow(servers, "finetune", *settings)
    rows = {row["way"]: row for row in report["tables"]["ways"]}
    assert list(rows) == ["head", "lora", "bag_of_words"]
    assert all(row["seeds"] == "2" and "±" in row["seconds"] for row in rows.values())
    trained = [int(row["trainable parameters"].replace(",", "")) for row in rows.values()]
    assert trained[0] < trained[1]
    assert report["model"]["name"] == MODEL
    assert not report["decision"]["promoted"]  # an encoder of random weights is below the floor

    again = run_flow(servers, "finetune", *settings)
    assert all(step["skipped"] for step in again["steps"])
    assert again["tables"] == report["tables"]

    (tmp_path / "texts.txt").write_text("\n".join(TEXTS), encoding="utf-8")
    version = report["model"]["version"]
    told = json.loads(servers.ok("predict", f"{MODEL}:{version}", str(tmp_path), "--json", "-"))
    places = [one["path"] for one in told["predictions"]]
    assert places == [f"{tmp_path / 'texts.txt'}:{line}" for line in (1, 2)]
    with serving(servers, f"{MODEL}:{version}") as service:
        for text, one in zip(TEXTS, told["predictions"], strict=False):
            answer = service.client.post("/classify", content=text.encode())
            assert answer.json()["class"] == one["class"]
        _refusals(service.client)


def _refusals(client: httpx.Client) -> None:
    for body, words in (
        (b"", "an empty text"),
        (b"a" * 100_000, "100,000 characters"),
        (b"caf\xe9", "0xe9 at byte 3"),
        (b'{"txt": "x"}', "the string 'text'"),
    ):
        refused = client.post("/classify", content=body)
        assert refused.status_code == 400
        assert words in refused.json()["message"]
