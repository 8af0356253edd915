"""The registry from the terminal and from Prefect: histories, rollbacks, parallel promotions."""

from __future__ import annotations

from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from tests.installation import Installation
from tests.prefect_api import post, run_flow

pytestmark = [pytest.mark.servers, pytest.mark.filterwarnings("ignore::DeprecationWarning")]
MODEL = "linear-regressor"
LINE = ["model=linear", "dataset=linear"]


@pytest.fixture(scope="module")
def two_champions(servers: Installation) -> MlflowClient:
    """A line fitted badly, and one fitted well after it."""
    for epochs in (1, 3):
        report = run_flow(servers, "nightly", *LINE, f"training.epochs={epochs}")
        assert report["decision"]["promoted"]
    return MlflowClient(servers.addresses()["mlflow"])


def champion(client: MlflowClient, alias: str = "champion") -> str:
    return str(client.get_model_version_by_alias(MODEL, alias).version)


def test_the_history_and_the_lineage_can_be_read_in_the_terminal(
    two_champions: MlflowClient, servers: Installation
) -> None:
    assert MODEL in servers.ok("registry")
    shown = " ".join(servers.ok("registry", MODEL).split())
    for words in ("2 champion", "1 previous", "first model", "bootstrap", "promotion"):
        assert words in shown
    walked = servers.ok("lineage", MODEL)
    version = two_champions.get_model_version_by_alias(MODEL, "champion")
    data = version.tags["nightforge.dataset_version"]
    for words in (version.run_id, "training.epochs 3", "data card: http", "decision: http", data):
        assert words in "".join(walked.split("\n")) or words in walked
    back = servers.ok("lineage", "--data", data[:8])
    assert back.count(MODEL) == 2


def test_a_rollback_in_the_terminal_stands_in_the_history(
    two_champions: MlflowClient, servers: Installation
) -> None:
    printed = servers.ok("rollback", MODEL, "--reason", "it drifts in the shop")
    assert "version 1 is champion again, instead of version 2" in " ".join(printed.split())
    assert champion(two_champions) == "1"
    assert "it drifts in the shop" in " ".join(servers.ok("registry", MODEL).split())


def test_rollback_and_history_are_deployments_too(
    two_champions: MlflowClient, servers: Installation
) -> None:
    choice, reason = f"registered_model={MODEL}", "it was not the model"
    report = run_flow(servers, "rollback", choice, "to=2", f"reason={reason}")
    assert champion(two_champions) == "2"
    assert report["notes"] == [f"Version 2 is champion again instead of version 1: {reason}"]
    shown = run_flow(servers, "registry", choice)["flow_run"]
    tables = post(servers, "/artifacts/filter", {"artifacts": {"type": {"any_": ["table"]}}})
    found = {one["key"]: one["data"] for one in tables if one["flow_run_id"] == shown}
    keys = set(found)
    assert reason in found["registry-moves"]
    assert keys == {"registry-versions", "registry-moves", "registry-steps"}


def test_what_does_not_exist_is_one_clear_line(
    two_champions: MlflowClient, servers: Installation
) -> None:
    before = champion(two_champions)
    mistakes = {
        f"mean '{MODEL}'": ["rollback", "linear-regresor", "--reason", "x"],
        "version 99": ["rollback", MODEL, "--reason", "x", "--to", "99"],
        "--reason": ["rollback", MODEL],
        f"'{MODEL}'": ["registry", "linear-regresor"],
        "neither a model nor --data": ["lineage"],
        "got version 99": ["lineage", f"{MODEL}:99"],
        "at least 4 digits": ["lineage", "--data", ""],
    }
    for words, line in zip(mistakes, servers.refusals(*mistakes.values()), strict=True):
        assert words in line
    assert champion(two_champions) == before


def state_of_the_registry(client: MlflowClient) -> list[object]:
    versions = client.search_model_versions(f"name = '{MODEL}'")
    tags = client.get_registered_model(MODEL).tags
    return [tags, *((v.version, v.tags, v.aliases, v.description) for v in versions)]


def test_a_trained_run_is_looked_at_and_then_goes_through_the_gate(
    two_champions: MlflowClient, servers: Installation
) -> None:
    run_flow(servers, "train", *LINE, "training.epochs=12")
    experiment = two_champions.get_experiment_by_name("linear")
    assert experiment is not None
    trained = two_champions.search_runs([experiment.experiment_id])[0].info.run_id
    before = state_of_the_registry(two_champions)
    choice = [f"registered_model={MODEL}", f"candidate={trained}"]
    options = [word for one in choice for word in ("--set", one)]
    printed = " ".join(servers.ok("run", "compare", *options).split())
    assert "Compared with version 2, the champion, on" in printed
    assert "champion test error" in printed
    assert state_of_the_registry(two_champions) == before
    assert "comparison" in {file.path for file in two_champions.list_artifacts(trained)}

    assert run_flow(servers, "promote", *choice)["decision"]["promoted"]
    assert champion(two_champions) == "3"
    assert two_champions.get_model_version_by_alias(MODEL, "champion").run_id == trained


def test_twenty_parallel_promotions_end_like_serial_ones_with_the_best(
    servers: Installation, tmp_path: Path
) -> None:
    found = servers.found_by("twenty_promotions", str(tmp_path))
    assert len(found["order"]) == 20
    assert found["champions"] == 1
    assert found["champion"] == found["serial"] == found["best"]
