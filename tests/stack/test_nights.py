"""Nights of the stack: a first one, an unchanged one, and some with a fault in their middle."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.browser.conftest import find_chromium
from tests.stack.compose import MODEL, SAMPLE, ComposeStack, night, seed_is

pytestmark = [pytest.mark.stack, pytest.mark.timeout(1800)]

AWAY_SECONDS = 20  # how long a server is taken away in the middle of a night
EPOCHS = 24  # all faults begin in their middle; the last one may outlast them on a fast machine


def test_a_night_makes_a_champion_whose_files_are_in_the_bucket(stack: ComposeStack) -> None:
    run = stack.trigger("nightly", night(epochs=4))
    assert stack.ended(run) == "COMPLETED", stack.report(run)
    stack.say("first night")
    report = stack.report(run)
    assert stack.champion(MODEL) == "1"
    assert report["links"]["Prefect run"].startswith("http://localhost:")
    assert report["links"]["MLflow run"].startswith("http://localhost:")
    files = stack.inside("objectstore", "find", "/data/nightforge/mlflow", "-type", "f").split()
    assert any(file.endswith(".pt2") or "model" in file for file in files)
    assert "flow run" in stack.inside("worker-cpu", "nightforge", "logs", run)
    assert "prefect" in stack.inside("worker-cpu", "nightforge", "status")


def test_an_unchanged_night_from_the_command_line_trains_nothing(stack: ComposeStack) -> None:
    settings = ["dataset=" + SAMPLE, "model=lenet_modern", "training.epochs=4"]
    assignments = [word for one in settings for word in ("--set", one)]
    printed = stack.inside("worker-cpu", "nightforge", "run", "nightly", *assignments)
    stack.say("unchanged night")
    assert "was trained before" in " ".join(printed.replace("│", "").split())
    assert stack.champion(MODEL) == "1"
    assert len(stack.runs(seed_is(0))) == 1


def test_both_interfaces_can_be_used_in_a_browser(stack: ComposeStack, artifacts: Path) -> None:
    chromium = find_chromium()
    if chromium is None and not os.environ.get("CI"):
        pytest.skip("browser: got no Chromium, wanted one. On Debian: apt-get install chromium")
    account = {"username": "reader", "password": stack.secrets["MLFLOW_READER_PASSWORD"]}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_context(http_credentials=account).new_page()
        page.goto(f"http://localhost:{stack.port('MLFLOW_PORT')}/#/models/{MODEL}")
        expect(page.get_by_text("champion").first).to_be_visible(timeout=60_000)
        page.screenshot(path=artifacts / "stack-mlflow.png")
        page = browser.new_context().new_page()
        page.goto(f"http://localhost:{stack.port('PREFECT_PORT')}/")
        page.locator("input[type=password]").fill(stack.secrets["PREFECT_AUTH_STRING"])
        page.get_by_role("button", name="Login").click()
        page.goto(f"http://localhost:{stack.port('PREFECT_PORT')}/deployments")
        expect(page.get_by_text("nightly").first).to_be_visible(timeout=60_000)
        page.screenshot(path=artifacts / "stack-prefect.png")
        browser.close()
    stack.say("both interfaces seen")


def _away(service: str) -> Callable[[ComposeStack], None]:
    def fault(stack: ComposeStack) -> None:
        stack.call("stop", "--timeout", "5", service)
        time.sleep(AWAY_SECONDS)  # not a wait for something: the fault itself
        stack.call("start", service)

    return fault


def _restart_servers(stack: ComposeStack) -> None:
    stack.call("restart", "--timeout", "5", "mlflow", "prefect")


def _kill_worker_container(stack: ComposeStack) -> None:
    """As the kernel does it: `docker kill` would tell the engine not to start it again."""
    command = ["docker", "inspect", "--format", "{{.State.Pid}}", stack.container("worker-cpu")]
    pid = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    os.kill(pid, signal.SIGKILL)


def _kill_flow_process(stack: ComposeStack) -> None:
    code = (
        "import psutil, sys\n"
        "found = [p for p in psutil.process_iter(['cmdline'])"
        " if 'prefect.engine' in (p.info['cmdline'] or ())]\n"
        "[p.kill() for p in found]\n"
        "sys.exit(not found)\n"
    )
    stack.inside("worker-cpu", "python", "-c", code)


# Who is killed and what is away in one night, one after the other. Training goes on fastest while
# the store is away, which it needs only at the end.
FAULTS: dict[str, Callable[[ComposeStack], None]] = {
    "flow process killed": _kill_flow_process,
    "worker container killed": _kill_worker_container,
    "Postgres away for 20 s": _away("postgres"),
    "MLflow and Prefect restarted": _restart_servers,
    "object store away for 20 s": _away("objectstore"),
}


def test_a_night_survives_faults(stack: ComposeStack) -> None:
    run = stack.trigger("nightly", night(EPOCHS, seed=1))
    trained = 0
    for name, fault in FAULTS.items():
        trained = stack.trained(run, seed=1, beyond=trained)
        assert trained < EPOCHS, f"{name} comes after the training"
        fault(stack)
        stack.say(f"{name}, after epoch {trained}")
    assert stack.ended(run, restarts=True) == "COMPLETED", stack.report(run)
    report = stack.report(run)
    stack.say("night with faults")
    assert not [one["error"] for one in report["steps"] if one["error"]]
    # Each epoch once, none twice and none lost, whatever happened in between.
    [found] = stack.runs(seed_is(1))
    assert found["info"]["status"] == "FINISHED"
    assert stack.epochs(found) == list(range(1, EPOCHS + 1))
