"""`nightforge clean` beside running servers, after three nights on a person's own images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from mlflow.entities import ViewType
from mlflow.tracking import MlflowClient

from components.datasets.sprites import SpritesConfig, write_zip
from tests.installation import Installation
from tests.prefect_api import post, run_flow

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.servers,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
NAME, MODEL = "shop", "shop-classifier"
NIGHT = [f"dataset={NAME}", "model=softmax", "training.batch_size=32"]
BY_SERVERS = ("logs", "prefect")  # they write whenever anybody asks them anything


def night(servers: Installation, epochs: int) -> dict[str, Any]:
    return run_flow(servers, "nightly", *NIGHT, f"training.epochs={epochs}")


def contents(home: Path) -> dict[str, bytes]:
    """All files that nobody but Nightforge writes."""
    files = [path for path in home.rglob("*") if path.is_file()]
    named = {str(path.relative_to(home)): path for path in files}
    return {n: p.read_bytes() for n, p in named.items() if not n.startswith(BY_SERVERS)}


def size(home: Path) -> int:
    return sum(map(len, contents(home).values()))


@pytest.fixture(scope="module")
def client(servers: Installation) -> MlflowClient:
    return MlflowClient(servers.addresses()["mlflow"])


@pytest.fixture(scope="module")
def nights(
    servers: Installation, client: MlflowClient, tmp_path_factory: pytest.TempPathFactory
) -> list[dict[str, Any]]:
    """The champion's, one that came to nothing, and the newest, whose version is `previous`."""
    archive = tmp_path_factory.mktemp("shop") / "shop.zip"
    write_zip(SpritesConfig(species=2, per_species=80), archive)
    servers.ok("data", "add", NAME, str(archive), "--size", "16")
    reports = [night(servers, epochs) for epochs in (3, 1, 2)]
    assert [report["model"]["version"] for report in reports] == [1, 2, 3]
    assert reports[0]["decision"]["promoted"]
    client.set_registered_model_alias(MODEL, "previous", "3")
    return reports


def rows(table: str) -> dict[str, tuple[str, str]]:
    """How many of each kind, and bytes, from what was printed."""
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in table.splitlines()]
    return {row[0]: (row[1], row[3]) for row in cells if row and row[0]}


def flow_runs(servers: Installation) -> set[str]:
    return {run["id"] for run in post(servers, "/flow_runs/filter", {})}


def runs(client: MlflowClient) -> set[str]:
    experiment = client.get_experiment_by_name(NAME)
    assert experiment is not None
    found = client.search_runs([experiment.experiment_id], run_view_type=ViewType.ALL)
    return {run.info.run_id for run in found}


def test_what_nothing_needs_goes_and_everything_else_works(
    nights: list[dict[str, Any]], servers: Installation, client: MlflowClient, tmp_path: Path
) -> None:
    first, nothing, newest = (report["flow_run"] for report in nights)
    before, files = size(servers.home), contents(servers.home)
    unneeded = client.get_model_version(MODEL, "2").run_id

    preview = servers.ok("clean", "--older-than", "0d", "--dry-run")
    assert "would be freed" in preview
    assert contents(servers.home) == files

    printed = servers.ok("clean", "--older-than", "0d")
    done = rows(printed)
    assert done.pop("databases")
    assert done == rows(preview)  # exactly what was announced
    assert size(servers.home) < before
    assert {first, newest} <= flow_runs(servers)
    assert nothing not in flow_runs(servers)
    kept = {client.get_model_version(MODEL, number).run_id for number in ("1", "3")}
    assert runs(client) == kept
    assert not list(servers.home.rglob(f"*{unneeded}*"))
    versions = client.search_model_versions(f"name = '{MODEL}'")
    assert {version.version for version in versions} == {"1", "3"}

    picture = next((servers.home / "workspace" / "data" / "raw" / NAME).rglob("*.png"))
    assert "species-" in servers.ok("predict", MODEL, str(picture))
    report = night(servers, 2)
    assert all(step["skipped"] for step in report["steps"]), report["steps"]
    servers.ok("rollback", MODEL, "--reason", "worse in the shop")
    assert client.get_model_version_by_alias(MODEL, "champion").version == "3"


def test_an_age_that_cannot_be_read_is_a_usage_error(servers: Installation) -> None:
    said = servers.refusals(["clean", "--older-than", "1m"], ["clean", "--dry-run"])
    assert "got '1m', wanted a whole number of hours, days or weeks" in said[0]
    assert "--older-than" in said[1]


def test_without_servers_there_is_one_clear_line(installation: Installation) -> None:
    refused = installation.call("clean", "--older-than", "30d")
    assert refused.returncode == 1
    assert "nightforge up" in refused.stderr
    assert refused.stderr.count("\n") == 1
