"""Sweeps from the terminal: whole, killed, cancelled, and on Dask and Ray."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest
from mlflow.tracking import MlflowClient

from components.tracking.base import STUDY_PAGE, SWEEPS_EXPERIMENT, TRIAL_LOG, Tag
from components.tuning.log import read_log
from components.tuning.trial import EpochDone
from tests.installation import ROOT, Installation
from tests.prefect_api import get, post, run_flow
from tests.waiting import until

pytestmark = [pytest.mark.servers, pytest.mark.filterwarnings("ignore::DeprecationWarning")]
BASE = ["dataset=fashion_mnist_sample", "model=softmax", "resources.max_resource=4"]


def settings(study: str, *more: str) -> list[str]:
    return [word for value in (f"study={study}", *BASE, *more) for word in ("--set", value)]


@pytest.fixture(scope="module")
def mlflow_client(servers: Installation) -> MlflowClient:
    return MlflowClient(servers.addresses()["mlflow"])


def study_runs(client: MlflowClient, study: str) -> tuple[Any, list[Any]]:
    """The parent run of a study, and its children."""
    found = client.get_experiment_by_name(SWEEPS_EXPERIMENT)
    assert found is not None
    runs = client.search_runs([found.experiment_id], f"tags.`{Tag.STUDY}` = '{study}'")
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    assert len(parents) == 1
    children = [run for run in runs if run.data.tags.get("mlflow.parentRunId")]
    assert {run.data.tags["mlflow.parentRunId"] for run in children} <= {parents[0].info.run_id}
    return parents[0], children


def log_path(servers: Installation, study: str) -> Path:
    return servers.home / "studies" / study / "trials.jsonl"


def await_epochs(servers: Installation, study: str, count: int) -> None:
    path = log_path(servers, study)
    until(lambda: path.exists() and path.read_bytes().count(b'"epoch",') >= count)


@pytest.fixture(scope="module")
def swept(servers: Installation) -> tuple[str, dict[str, Any]]:
    """What a small sweep printed and reported."""
    printed = servers.ok("run", "sweep", *settings("small", "limits.trials=6"))
    return printed, servers.report()


def test_a_sweep_ends_with_its_best_trial_at_the_gate(
    swept: tuple[str, dict[str, Any]], servers: Installation, mlflow_client: MlflowClient
) -> None:
    printed, report = swept
    assert "small: 6 of 6 trials begun" in printed
    names = [step["name"] for step in report["steps"]]
    assert names == [
        *("self_check", "data", "trials", "train", "evaluate", "register", "gate", "promote")
    ]
    assert report["decision"] is not None
    assert report["links"]["every trial"].count(f"/artifacts/{STUDY_PAGE}?") == 1
    parent, children = study_runs(mlflow_client, "small")
    assert parent.info.status == "FINISHED"
    assert {run.info.status for run in children} == {"FINISHED"}
    assert len(children) == 6
    stored = {file.path for file in mlflow_client.list_artifacts(parent.info.run_id)}
    pictures = {"trial_curves.png", "incumbent.png", "parallel_coordinates.png"}
    assert stored >= pictures | {STUDY_PAGE, TRIAL_LOG}
    best = report["metrics"]["best_validation_accuracy"]
    assert parent.data.metrics["best_validation_accuracy"] == pytest.approx(best)
    number = int(parent.data.tags[Tag.TRIAL])
    [child] = [run for run in children if run.data.tags[Tag.TRIAL] == str(number)]
    assert set(child.data.params) == {"lr", "batch_size"}
    history = mlflow_client.get_metric_history(child.info.run_id, "validation_accuracy")
    assert [metric.step for metric in history] == list(range(1, len(history) + 1))


def test_the_best_trial_is_trained_on_from_its_checkpoint(
    swept: tuple[str, dict[str, Any]], servers: Installation, mlflow_client: MlflowClient
) -> None:
    """Its model's run tells the seconds that the trial's epochs took."""
    parent, children = study_runs(mlflow_client, "small")
    number = parent.data.tags[Tag.TRIAL]
    [child] = [run for run in children if run.data.tags[Tag.TRIAL] == number]
    found = mlflow_client.get_experiment_by_name("fashion_mnist_sample")
    assert found is not None
    trained = mlflow_client.search_runs([found.experiment_id])
    seconds = [
        [m.value for m in mlflow_client.get_metric_history(run.info.run_id, "seconds")]
        for run in (child, *trained)
    ]
    assert any(other[: len(seconds[0])] == seconds[0] for other in seconds[1:])
    kept = [path.name for path in log_path(servers, "small").parent.iterdir() if path.is_dir()]
    assert f"{int(number):04d}" in kept


def test_the_same_study_again_trains_nothing(
    swept: tuple[str, dict[str, Any]], servers: Installation
) -> None:
    before = log_path(servers, "small").read_bytes()
    report = run_flow(servers, "sweep", *settings("small", "limits.trials=6")[1::2])
    skipped = {step["name"]: step["skipped"] for step in report["steps"]}
    assert skipped["trials"] == "study small was over before"
    assert "was trained before" in skipped["train"]
    assert log_path(servers, "small").read_bytes() == before


def test_studies_are_listed_shown_and_exported(
    swept: tuple[str, dict[str, Any]], servers: Installation, tmp_path: Path
) -> None:
    assert "small" in servers.ok("study", "list")
    assert "best validation_accuracy" in servers.ok("study", "show", "small")
    out = tmp_path / "curves.json"
    assert "4 epochs" in servers.ok("study", "export", "small", "--json", str(out))
    table = json.loads(out.read_text("utf-8"))
    assert all(len(entry["values"]) == 4 for entry in table["entries"])
    missing = servers.call("study", "show", "nothing")
    assert missing.returncode == 1
    assert "study list" in missing.stderr


def test_a_mistake_is_one_clear_line(servers: Installation) -> None:
    """No run is started for it."""
    mistakes = {
        "Did you mean 'momentum'?": "space.momentun={distribution: choice, values: [0.9]}",
        "less than 1": "space.momentum={distribution: choice, values: [1.5]}",
        "Did you mean 'asha'?": "scheduler=ahsa",
        "greater than or equal to 1": "workers=0",
        "small letters": "study=../x",
    }
    said = servers.refusals(*(["run", "sweep", *settings("wrong", v)] for v in mistakes.values()))
    for words, line in zip(mistakes, said, strict=True):
        assert words in line


LONG = ["limits.trials=12", "gate=false", "space.batch_size.distribution=integer"]
LONG += ["space.batch_size.low=4", "space.batch_size.high=8"]


@pytest.fixture
def long_sweep(servers: Installation) -> Iterator[subprocess.Popen[str]]:
    path = log_path(servers, "long")
    before = len(epochs(servers, "long")) if path.exists() else 0
    with servers.start("run", "sweep", *settings("long", *LONG)) as process:
        try:
            await_epochs(servers, "long", before + 4)
            yield process
        finally:
            process.kill()


def epochs(servers: Installation, study: str) -> list[tuple[int, int]]:
    events = read_log(log_path(servers, study))[1]
    return [(e.trial, e.epoch) for e in events if isinstance(e, EpochDone)]


def test_cancelling_in_the_ui_ends_the_workers_and_closes_the_runs(
    long_sweep: subprocess.Popen[str], servers: Installation, mlflow_client: MlflowClient
) -> None:
    workers = servers.flow_process().children(recursive=True)
    chosen = {"flow_runs": {"state": {"type": {"any_": ["RUNNING"]}}}}
    [running] = post(servers, "/flow_runs/filter", chosen)
    body = {"state": {"type": "CANCELLING"}}
    post(servers, f"/flow_runs/{running['id']}/set_state", body)
    printed, _ = long_sweep.communicate()
    assert "got Cancelled" in " ".join(printed.split())
    assert get(servers, f"/flow_runs/{running['id']}")["state"]["type"] == "CANCELLED"
    psutil.wait_procs(workers, timeout=60)
    assert not [worker for worker in workers if worker.is_running()]
    parent, children = study_runs(mlflow_client, "long")
    assert parent.info.status == "KILLED"
    assert not [run for run in children if run.info.status == "RUNNING"]


def kill_mlflow(servers: Installation) -> None:
    """End all processes that listen at MLflow's port; the supervisor starts them again."""
    _, host, port = servers.addresses()["mlflow"].replace("//", "").split(":")
    listening = {
        connection.pid
        for connection in psutil.net_connections("tcp")
        if connection.status == "LISTEN" and connection.laddr == (host, int(port))
    }
    assert listening
    for pid in listening:
        if pid:
            os.kill(pid, signal.SIGKILL)


def test_a_killed_sweep_goes_on_where_it_was(
    long_sweep: subprocess.Popen[str], servers: Installation, mlflow_client: MlflowClient
) -> None:
    os.kill(servers.flow_process().pid, signal.SIGKILL)
    before = epochs(servers, "long")
    await_epochs(servers, "long", len(before) + 2)  # it was started again
    kill_mlflow(servers)
    printed, _ = long_sweep.communicate()
    assert long_sweep.returncode == 0, printed
    after = epochs(servers, "long")
    assert after[: len(before)] == before
    assert len(after) == len(set(after))
    parent, children = study_runs(mlflow_client, "long")
    assert parent.info.status == "FINISHED"
    assert {run.info.status for run in children} == {"FINISHED"}
    for run in children:
        history = mlflow_client.get_metric_history(run.info.run_id, "validation_loss")
        assert [m.step for m in history] == list(range(1, len(history) + 1))
        assert (int(run.data.tags[Tag.TRIAL]), len(history)) in after
    servers.ok("study", "remove", "long")
    assert not log_path(servers, "long").parent.exists()


RUN = """
from flows.sweep import sweep
from components.training.config import TrainConfig
lr = {"distribution": "log_uniform", "low": 0.01, "high": 0.5}
sweep(study=STUDY, dataset="fashion_mnist_sample", model="softmax", space={"lr": lr},
      limits={"trials": 4}, resources={"max_resource": 4}, workers=1, gate=False)
"""


@pytest.mark.parametrize("runner", ["dask", "ray"])
def test_workers_run_on_a_cluster(
    runner: str, servers: Installation, mlflow_client: MlflowClient
) -> None:
    addresses = servers.addresses()
    environment = servers.environment | {
        "NIGHTFORGE_SWEEP_RUNNER": runner,
        "NIGHTFORGE_MLFLOW_URI": addresses["mlflow"],
        "PREFECT_API_URL": addresses["prefect"] + "/api",
    }
    done = run_python(RUN.replace("STUDY", repr(runner)), environment)
    assert done.returncode == 0, done.stdout + done.stderr
    parent, children = study_runs(mlflow_client, runner)
    assert parent.info.status == "FINISHED"
    assert len(children) == 4


def run_python(code: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command: Sequence[str] = [sys.executable, "-c", code]
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
