"""Whole nights against real servers on the bundled sample, in the order in which they happen."""

from __future__ import annotations

import json
import os
import re
import signal
import urllib.error
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from mlflow.tracking import MlflowClient

from components.jobs.records import DecisionState, stored_decisions
from components.models import MODELS
from components.tracking.base import Tag
from components.tracking.mlflow_registry import MlflowRegistry
from tests.installation import QUICK, ROOT, Installation
from tests.prefect_api import call, get, post, run_flow
from tests.waiting import until

pytestmark = [pytest.mark.servers, pytest.mark.filterwarnings("ignore::DeprecationWarning")]
MODEL = "fashion_mnist_sample-classifier"
STEPS = ["self_check", "data", "train", "evaluate", "register", "gate", "promote"]


@pytest.fixture(scope="module")
def mlflow_client(servers: Installation) -> MlflowClient:
    return MlflowClient(servers.addresses()["mlflow"])


@pytest.fixture(scope="module")
def first_night(servers: Installation) -> str:
    return servers.ok("run", "nightly", *QUICK)


@pytest.fixture(scope="module")
def first_report(first_night: str, servers: Installation) -> dict[str, Any]:
    return dict(servers.report())


def test_the_first_night_makes_a_champion(
    first_night: str, first_report: dict[str, Any], mlflow_client: MlflowClient
) -> None:
    assert first_report["state"] == "Completed"
    assert [step["name"] for step in first_report["steps"]] == STEPS
    # Another test may have shown before that this worker computes correctly.
    assert not any(step["skipped"] for step in first_report["steps"][1:])
    assert first_report["decision"]["promoted"]
    assert first_report["decision"]["new"]
    assert first_report["model"] == {
        "name": MODEL,
        "version": 1,
        "alias": "champion",
        "champion": 1,
    }
    champion = mlflow_client.get_model_version_by_alias(MODEL, "champion")
    assert champion.version == "1"
    for words in ("promoted", "champion", "epoch 4/4", "Prefect run: http", "MLflow run: http"):
        assert words in first_night


def test_the_sample_is_named_everywhere(
    first_night: str, first_report: dict[str, Any], mlflow_client: MlflowClient
) -> None:
    assert "BUNDLED SAMPLE" in first_night
    assert "BUNDLED SAMPLE" in first_report["warnings"][0]
    assert first_report["dataset"]["source"] == "bundled sample"
    run = _run(mlflow_client, first_report)
    assert run.data.tags[Tag.SAMPLE] == "true"


def _run(client: MlflowClient, report: dict[str, Any]) -> Any:
    page = report["links"]["MLflow run"].partition("?")[0]
    return client.get_run(page.rpartition("/")[2])


def test_the_mlflow_run_is_complete(
    first_report: dict[str, Any], mlflow_client: MlflowClient
) -> None:
    run = _run(mlflow_client, first_report)
    assert run.info.status == "FINISHED"
    elsewhere = {Tag.CHANGE, Tag.CLOSED, Tag.DECISION, Tag.LEDGER, Tag.MOVE}
    of_sweeps_and_suites = {Tag.STUDY, Tag.TRIAL, Tag.TRIAL_STATUS, Tag.SUITE, Tag.VERDICT}
    for tag in set(Tag) - elsewhere - of_sweeps_and_suites:
        assert run.data.tags[tag], tag
    assert run.data.params["training.epochs"] == "4"
    history = mlflow_client.get_metric_history(run.info.run_id, "validation_accuracy")
    assert [metric.step for metric in history] == [1, 2, 3, 4]
    dataset = run.inputs.dataset_inputs[0].dataset
    assert dataset.digest == first_report["dataset"]["version"]
    names = {file.path for file in mlflow_client.list_artifacts(run.info.run_id)}
    assert {"learning_curves.png", "confusion_matrix.png", "worst_mistakes.png"} <= names
    assert run.data.metrics["test_accuracy"] == first_report["metrics"]["test_accuracy"]


def test_the_worker_serves_the_queue_of_runs_that_train(
    first_report: dict[str, Any], servers: Installation
) -> None:
    """Runs of other tests show that it serves the other queue as well."""
    assert get(servers, f"/flow_runs/{first_report['flow_run']}")["work_queue_name"] == "gpu"
    for name in ("data", "self_check", "rollback", "registry"):
        assert get(servers, f"/deployments/name/{name}/{name}")["work_queue_name"] == "cpu"


def test_the_report_is_an_artifact_in_prefect(
    first_report: dict[str, Any], servers: Installation
) -> None:
    chosen = {"artifacts": {"key": {"any_": ["nightly-report"]}}}
    [artifact] = [
        found
        for found in post(servers, "/artifacts/filter", chosen)
        if found["flow_run_id"] == first_report["flow_run"]
    ]
    assert "version 1 promoted" in artifact["data"]
    assert first_report["links"]["MLflow run"] in artifact["data"]


def test_what_a_run_has_logged_can_be_read_in_the_terminal(
    first_report: dict[str, Any], servers: Installation
) -> None:
    printed = servers.ok("logs", first_report["flow_run"]).splitlines()
    assert first_report["name"] in printed[0]
    assert any(" self_check: " in line for line in printed)
    assert len(servers.ok("logs", first_report["name"], "--lines", "2").splitlines()) == 3
    assert servers.ok("logs", "mlflow").strip()
    unknown = servers.call("logs", "nothing of this name")
    assert unknown.returncode == 1
    assert "got no such flow run" in unknown.stderr


def test_an_unchanged_night_skips_everything(
    first_report: dict[str, Any], servers: Installation
) -> None:
    log = servers.home / "logs" / "prefect.log"
    refused = log.read_text("utf-8").count("UNIQUE constraint")
    printed = servers.ok("run", "nightly", *QUICK)
    report: dict[str, Any] = dict(servers.report())
    assert all(step["skipped"] for step in report["steps"]), report["steps"]
    assert report["metrics"] == first_report["metrics"]
    assert report["model"] == first_report["model"]
    assert not report["decision"]["new"]
    assert report["flow_run"] != first_report["flow_run"]
    assert printed.count("skipped:") == len(STEPS)
    # A refused insert can stop the server for a minute.
    assert log.read_text("utf-8").count("UNIQUE constraint") == refused


def test_a_worse_candidate_is_refused(
    first_report: dict[str, Any], servers: Installation, mlflow_client: MlflowClient
) -> None:
    report = run_flow(servers, "nightly", *QUICK[1::2], "training.epochs=1")
    assert not report["decision"]["promoted"]
    assert report["model"]["version"] == 2
    assert report["model"]["champion"] == 1
    assert mlflow_client.get_model_version_by_alias(MODEL, "champion").version == "1"


def test_unreachable_sources_fall_back_to_the_sample_and_say_so(
    first_report: dict[str, Any], servers: Installation
) -> None:
    printed = servers.ok("run", "data", "--set", "dataset=fashion_mnist", "--with-servers")
    assert servers.call("status").returncode == 0  # it did not start them, so it left them alone
    report: dict[str, Any] = dict(servers.report())
    assert report["dataset"]["name"] == "fashion_mnist_sample"
    assert "not fashion_mnist" in report["warnings"][0]
    assert "127.0.0.1:9" in report["warnings"][0]
    assert "BUNDLED SAMPLE" in printed


def test_bad_data_end_the_night_with_one_clear_line(
    first_report: dict[str, Any], servers: Installation
) -> None:
    """The raw files of the sample have other sums than those of the real dataset."""
    samples = ROOT / "data" / "samples" / "fashion_mnist"
    body = {
        "parameters": {"dataset": "fashion_mnist"},
        "job_variables": {"env": {"NIGHTFORGE_DATA_DIR": str(samples)}},
    }
    deployment = get(servers, "/deployments/name/data/data")["id"]
    started = post(servers, f"/deployments/{deployment}/create_flow_run", body)
    report = servers.home / "reports" / f"{started['id']}.json"
    until(report.exists)
    failed = json.loads(report.read_text("utf-8"))
    assert failed["state"] == "Failed"
    assert [(s["name"], s["error"]) for s in failed["steps"]] == [("data", failed["error"])]
    assert "train-images-idx3-ubyte.gz" in failed["error"]
    assert "got SHA-256" in failed["error"]
    assert "wanted SHA-256" in failed["error"]
    assert Path(failed["error"].rpartition(" ")[2].rstrip(".")).exists()


def test_bad_parameters_start_nothing(servers: Installation) -> None:
    mistakes = {
        "'epochs'": ["nightly", "--set", "training.epochz=3"],
        "greater than or equal to 1": ["nightly", "--set", "training.epochs=0"],
        "'model'": ["nightly", "--set", "modell=lenet"],
        "'lenet'": ["nightly", "--set", "model=lenett"],
        "'demo'": ["nightly", "--profile", "dem"],
        "'nightly'": ["nightli"],
        "name=value": ["nightly", "--set", "force"],
    }
    before = post(servers, "/flow_runs/count", {})
    said = servers.refusals(*(["run", *arguments] for arguments in mistakes.values()))
    for words, line in zip(mistakes, said, strict=True):
        assert words in line
    assert post(servers, "/flow_runs/count", {}) == before


def test_the_form_has_ranges_choices_and_help(servers: Installation) -> None:
    deployment = get(servers, "/deployments/name/nightly/nightly")
    schema = deployment["parameter_openapi_schema"]
    assert schema["properties"]["model"]["enum"] == list(MODELS)
    assert schema["properties"]["dataset"]["description"]
    training = schema["definitions"]["TrainConfig"]["properties"]
    assert training["epochs"]["minimum"] == 1
    assert all(field["description"] for field in training.values())
    assert deployment["parameters"]["training"]["epochs"] == 20
    assert training["epochs"]["default"] == 20
    assert deployment["tags"] == ["nightforge", "retraining"]


def test_the_server_refuses_a_bad_value(servers: Installation) -> None:
    deployment = get(servers, "/deployments/name/nightly/nightly")
    body = {"parameters": deployment["parameters"] | {"model": "perceptron"}}
    with pytest.raises(urllib.error.HTTPError) as refused:
        post(servers, f"/deployments/{deployment['id']}/create_flow_run", body)
    assert refused.value.code in (409, 422)
    refused.value.close()


LONG = [*QUICK[:2], "--set", "training.epochs=16", "--set", "training.seed=7"]


@pytest.fixture
def long_training(servers: Installation) -> Iterator[Any]:
    """The process that follows a training run in the middle of its epochs."""
    following = servers.start("run", "train", *LONG)
    assert following.stdout is not None
    for line in following.stdout:
        if re.search(r"epoch \d+/16", line):
            break
    yield following
    following.kill()
    following.wait()
    following.stdout.close()


def unfinished(client: MlflowClient) -> list[Any]:
    experiment = client.get_experiment_by_name("fashion_mnist_sample")
    assert experiment is not None
    wanted = f"tags.`{Tag.SEED}` = '7'"
    return list(client.search_runs([experiment.experiment_id], wanted))


def test_cancelling_closes_the_mlflow_run_as_killed(
    first_report: dict[str, Any],
    long_training: Any,
    servers: Installation,
    mlflow_client: MlflowClient,
) -> None:
    chosen = {"flow_runs": {"state": {"type": {"any_": ["RUNNING"]}}}}
    [running] = post(servers, "/flow_runs/filter", chosen)
    body = {"state": {"type": "CANCELLING"}}
    post(servers, f"/flow_runs/{running['id']}/set_state", body)
    printed, _ = long_training.communicate()
    assert long_training.returncode == 1
    assert "got Cancelled" in " ".join(printed.split())
    [run] = unfinished(mlflow_client)
    assert run.info.status == "KILLED"
    assert run.data.tags[Tag.CLOSED]


def test_killed_training_resumes_in_the_same_run(
    first_report: dict[str, Any],
    long_training: Any,
    servers: Installation,
    mlflow_client: MlflowClient,
) -> None:
    [before] = unfinished(mlflow_client)
    os.kill(servers.flow_process().pid, signal.SIGKILL)
    printed, _ = long_training.communicate()  # it is followed until it is done
    assert long_training.returncode == 0, printed
    assert "epoch 16/16" in printed
    [after] = unfinished(mlflow_client)
    assert after.info.run_id == before.info.run_id
    assert after.info.status == "FINISHED"
    history = mlflow_client.get_metric_history(after.info.run_id, "validation_loss")
    assert [metric.step for metric in history] == list(range(1, 17))


@pytest.fixture(scope="module")
def nightly_switched_on(servers: Installation) -> str:
    """The id of the nightly deployment after somebody switched its schedule on in the UI."""
    deployment = get(servers, "/deployments/name/nightly/nightly")
    [schedule] = deployment["schedules"]
    assert not schedule["active"]
    assert schedule["schedule"]["cron"] == "0 2 * * *"
    path = f"/deployments/{deployment['id']}/schedules/{schedule['id']}"
    call(servers, "PATCH", path, {"active": True})
    return str(deployment["id"])


def test_scheduled_runs_appear_once_the_schedule_is_on(
    nightly_switched_on: str, servers: Installation
) -> None:
    chosen = {"flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}}
    scheduled = until(lambda: post(servers, "/flow_runs/filter", chosen))
    assert {run["deployment_id"] for run in scheduled} == {nightly_switched_on}


def test_restarting_keeps_state_and_edited_schedules(
    first_report: dict[str, Any],
    nightly_switched_on: str,
    servers: Installation,
    mlflow_client: MlflowClient,
) -> None:
    refused = servers.call("up")
    assert refused.returncode == 1
    assert "already running" in refused.stderr
    before = servers.addresses()
    _break_off_the_promotion(before["mlflow"])
    servers.ok("down")
    assert servers.call("status").returncode == 3
    marker = str(servers.home)
    left = [p for p in psutil.process_iter() if _environment(p).get("NIGHTFORGE_HOME") == marker]
    assert left == []
    printed = " ".join(servers.ok("up").split())
    assert f"{MODEL}: promotion of version 1 was broken off and is finished now" in printed
    assert servers.addresses() == before
    assert servers.call("status").returncode == 0
    [schedule] = get(servers, "/deployments/name/nightly/nightly")["schedules"]
    assert schedule["active"]
    champion = mlflow_client.get_model_version_by_alias(MODEL, "champion")
    assert champion.version == "1"
    [record] = stored_decisions(MlflowRegistry(before["mlflow"]).versions(MODEL)[0]).values()
    assert record.state is DecisionState.APPLIED


def _break_off_the_promotion(uri: str) -> None:
    """As if the process had died between the decision about version 1 and the move of the alias."""
    registry = MlflowRegistry(uri)
    version = registry.versions(MODEL)[0]
    [(data, record)] = stored_decisions(version).items()
    for alias in version.aliases:
        registry.remove_alias(MODEL, alias)
    pending = record.model_copy(update={"state": DecisionState.PENDING})
    registry.tag_version(MODEL, 1, {f"{Tag.DECISION}.{data}": pending.model_dump_json()})


def _environment(process: psutil.Process) -> dict[str, str]:
    try:
        return process.environ()
    except psutil.Error:
        return {}


def test_a_killed_supervisor_leaves_nothing_behind_for_the_next_start(
    servers: Installation,
) -> None:
    pid = int((servers.home / "run" / "supervisord.pid").read_text())
    os.kill(pid, signal.SIGKILL)
    servers.ok("up")
    assert servers.call("status").returncode == 0


def test_a_night_of_several_models_does_all_it_can(
    first_report: dict[str, Any], servers: Installation
) -> None:
    """One more goes to the gate, one cannot learn from such data, one is searched first."""
    before = servers.params.read_text(encoding="utf-8")
    tree = yaml.safe_load(before)
    tree["sweep"] |= {"limits": {"trials": 2}, "resources": {"min_resource": 1, "max_resource": 2}}
    servers.params.write_text(yaml.safe_dump(tree), encoding="utf-8")
    week = "[monday, tuesday, wednesday, thursday, friday, saturday, sunday]"
    searched = f"{{model: softmax, dataset: fashion_mnist_sample, sweep_on: {week}}}"
    other = "{model: linear, dataset: high_dimensional, training: {batch_size: 5}}"
    also = f"also=[{other}, {{model: lenet, dataset: linear}}, {searched}]"
    try:
        done = servers.call("run", "nightly", *QUICK, "--set", also)
    finally:
        servers.params.write_text(before, encoding="utf-8")
    report: dict[str, Any] = dict(servers.report())
    assert done.returncode != 0
    assert "1 of the night's 4 models: got lenet on linear" in done.stderr
    assert report["state"] == "Failed"
    assert report["model"] == first_report["model"]
    linear, unfit, softmax = report["also"]
    assert [part["state"] for part in report["also"]] == ["Completed", "Failed", "Completed"]
    assert linear["decision"]["reasons"]
    assert "train" in unfit["steps"][-1]["name"]
    assert "trials" in [step["name"] for step in softmax["steps"]]
    assert "MLflow study" in softmax["links"]
    for title in (
        "linear on high_dimensional",
        "lenet on linear",
        "softmax on fashion_mnist_sample",
    ):
        assert title in done.stdout
    chosen = {"artifacts": {"flow_run_id": {"any_": [report["flow_run"]]}}}
    shown = {one["key"]: one["data"] for one in post(servers, "/artifacts/filter", chosen)}
    assert "# softmax on fashion_mnist_sample" in shown["nightly-report"]
    assert {row["model"] for row in json.loads(shown["nightly-steps"])} >= {
        "linear on high_dimensional"
    }


def test_a_further_model_that_does_not_exist_is_named_before_a_run_starts(
    servers: Installation,
) -> None:
    [model], [data], [key] = (
        servers.refusals(["run", "nightly", "--set", f"also=[{{{given}}}]"])
        for given in (
            "model: lenett",
            "model: softmax, dataset: nowhere",
            "model: softmax, dataset: fashion_mnist, training: {epochz: 3}",
        )
    )
    assert "'lenet'" in model
    assert "'nowhere'" in data
    assert "epochz" in key
