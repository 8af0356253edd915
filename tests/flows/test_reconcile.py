"""Processes die in every way; no run is left running, and what may go on is started again."""

from __future__ import annotations

import fcntl
import subprocess
from typing import Any

import psutil
import pytest
from mlflow.tracking import MlflowClient

from components.settings import Settings
from flows.embedded import Embedded
from tests.installation import QUICK, Installation
from tests.prefect_api import call, finished, get, post
from tests.waiting import until

pytestmark = [pytest.mark.servers, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


def child(servers: Installation, words: str) -> psutil.Process:
    supervisor = psutil.Process(int((servers.home / "run" / "supervisord.pid").read_text()))
    [found] = [one for one in supervisor.children() if words in " ".join(one.cmdline())]
    return found


def until_it_says(process: subprocess.Popen[str], words: str) -> None:
    assert process.stdout
    for line in process.stdout:
        if words in line:
            return
    pytest.fail(f"it never said {words}")


def silent_run(servers: Installation, restarts: int) -> dict[str, Any]:
    watching = child(servers, "reconcile_loop")
    with (servers.home / "run" / "flow_runs" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # so that it is not stopped while it holds it
        watching.suspend()
    try:
        found: dict[str, Any] = servers.found_by("silent_run", str(restarts))
    finally:
        watching.resume()
    return found


def test_worker_and_flow_killed_together_cost_no_epoch(servers: Installation) -> None:
    process = servers.start("run", "train", *QUICK, "--set", "training.seed=77")
    until_it_says(process, "epoch 2/4")
    worker, flow = child(servers, "prefect worker"), servers.flow_process()
    worker.kill()
    flow.kill()
    printed = process.communicate()[0]
    assert process.returncode == 0, printed
    report: dict[str, Any] = dict(servers.report())
    run = get(servers, f"/flow_runs/{report['flow_run']}")
    assert (run["state"]["type"], run["run_count"]) == ("COMPLETED", 2)
    client = MlflowClient(servers.addresses()["mlflow"])
    page = report["links"]["MLflow run"].partition("?")[0]
    tracked = page.rpartition("/")[2]
    assert client.get_run(tracked).info.status == "FINISHED"
    history = client.get_metric_history(tracked, "validation_accuracy")
    assert [metric.step for metric in history] == [1, 2, 3, 4]
    said = (servers.home / "logs" / "reconciler.log").read_text(encoding="utf-8")
    assert f"{run['name']}: its process {flow.pid} is gone" in said


def test_a_flow_outlives_the_worker_that_reads_what_it_prints(servers: Installation) -> None:
    process = servers.start("run", "train", *QUICK, "--set", "training.seed=78")
    until_it_says(process, "epoch 2/4")
    child(servers, "prefect worker").kill()
    printed = process.communicate()[0]
    assert process.returncode == 0, printed
    run = get(servers, f"/flow_runs/{servers.report()['flow_run']}")
    assert (run["state"]["type"], run["run_count"]) == ("COMPLETED", 1)


def test_a_run_that_died_before_any_sign_of_life_is_closed_and_started_again(
    servers: Installation,
) -> None:
    found = silent_run(servers, 1)
    closed, restarted, tracked = found["lines"]
    assert closed.endswith("no sign of life for 1 s")
    assert restarted.endswith("started again after a crash (1 of 1)")
    assert tracked == "MLflow run silent: its flow run is not running any more"
    assert (found["tracked"], found["closed"]) == ("KILLED", "its flow run is not running any more")
    assert finished(servers, found["id"]) == "COMPLETED"


def test_a_run_that_may_not_be_started_again_is_given_up(servers: Installation) -> None:
    found = silent_run(servers, 0)
    assert "given-up" in found["tags"]
    assert get(servers, f"/flow_runs/{found['id']}")["state"]["type"] == "CRASHED"


def test_the_reconcile_deployment_says_that_all_is_well(servers: Installation) -> None:
    assert "skipped: all runs are as they say" in servers.ok("run", "reconcile")


def test_a_killed_mlflow_server_comes_back_although_its_child_keeps_the_port(
    servers: Installation,
) -> None:
    server = child(servers, "mlflow server")
    assert server.children(recursive=True)
    server.kill()
    gone, _ = psutil.wait_procs([server], timeout=60)
    assert gone
    embedded = Embedded(Settings(home=servers.home))
    until(lambda: all(service.running for service in embedded.status()))
    assert child(servers, "mlflow server").pid != server.pid


def test_a_gpu_limit_that_is_missing_is_an_error_not_a_free_place(servers: Installation) -> None:
    limits = post(servers, "/v2/concurrency_limits/filter", {})
    [limit] = [one for one in limits if one["name"] == "gpu"]
    call(servers, "DELETE", f"/v2/concurrency_limits/{limit['id']}")
    try:
        done = servers.module("gpu_slot")
    finally:
        post(servers, "/v2/concurrency_limits/", {"name": "gpu", "limit": 4})
    assert "ServiceError: a place to train (limit gpu)" in done.stderr
