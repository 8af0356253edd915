"""What a team does with the stack: more workers, down and up, backups, keeping secrets."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.installation import ROOT
from tests.stack.compose import MODEL, SAMPLE, ComposeStack, night
from tests.waiting import until

pytestmark = [pytest.mark.stack, pytest.mark.timeout(1800)]

SWEEP: dict[str, Any] = {
    "study": "joined",
    "dataset": SAMPLE,
    "model": "lenet_modern",
    "scheduler": "fifo",
    "space": {"lr": {"distribution": "log_uniform", "low": 0.01, "high": 0.2}},
    "limits": {"trials": 5},
    "resources": {"max_resource": 6},
    "workers": 2,
    "gate": False,
}
QUOTA, EPOCHS = "400m", 10
# Trials whose checkpoints a process of the container holds.
AT_WORK = "ls -l /proc/[0-9]*/fd 2>/dev/null | grep -o '/state/studies/[^ ]*/lock' || true"


def test_a_worker_that_joins_a_sweep_takes_trials_and_one_that_is_killed_loses_none(
    stack: ComposeStack,
) -> None:
    compose = ("--profile", "store", "--profile", "cluster")
    stack.call(*compose, "up", "--detach", "--wait", "dask-worker")
    stack.say("cluster of one worker")
    run = stack.trigger("sweep", SWEEP)
    first = stack.container("dask-worker")
    until(lambda: _inside(first, AT_WORK))

    one_more = ("--no-deps", "--no-recreate", "--scale", "dask-worker=2", "dask-worker")
    stack.call(*compose, "up", "--detach", *one_more)
    containers = stack.call("--profile", "cluster", "ps", "--quiet", "dask-worker").stdout.split()
    [second] = set(containers) - {first}
    until(lambda: "Registered to" in _logs(second))
    stack.say("a second worker registered")
    joined = time.monotonic()
    lock = until(lambda: _inside(second, AT_WORK))
    seconds = time.monotonic() - joined
    stack.say(f"second worker joined and took a trial after {seconds:.1f} s")

    number = Path(lock.split()[0]).parent.name
    taken = f"attributes.run_name = '{SWEEP['study']}-{number}'"
    before = until(lambda: [one for run in stack.runs(taken) for one in stack.losses(run)])
    _docker("kill", second)
    stack.say(f"and was killed after epoch {len(before)} of trial {number}")
    assert stack.ended(run) == "COMPLETED", stack.report(run)
    stack.say("sweep with a killed worker")
    trials = stack.runs(f"attributes.run_name like '{SWEEP['study']}-%'")
    assert {one["info"]["status"] for one in trials} == {"FINISHED"}
    each = list(range(1, SWEEP["resources"]["max_resource"] + 1))
    assert [stack.epochs(one) for one in trials] == [each] * SWEEP["limits"]["trials"]
    [continued] = stack.runs(taken)  # the same run, from the checkpoint: nothing was computed anew
    assert stack.losses(continued)[: len(before)] == before
    stack.call("--profile", "cluster", "rm", "--stop", "--force", "dask-worker", "dask-scheduler")


def _inside(container: str, script: str) -> str:
    command = ["docker", "exec", container, "sh", "-c", script]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()


def _logs(container: str) -> str:
    command = ["docker", "logs", container]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout + done.stderr


def test_a_machine_outside_joins_with_two_addresses_and_its_accounts(stack: ComposeStack) -> None:
    """Not of the stack's networks, without its volume: it reaches what is published.

    Its state directory is small, and full in the middle of the first night.
    """
    servers = [f"http://127.0.0.1:{stack.port(name)}" for name in ("PREFECT_PORT", "MLFLOW_PORT")]
    accounts = {
        "PREFECT_API_AUTH_STRING": stack.secrets["PREFECT_AUTH_STRING"],
        "MLFLOW_TRACKING_USERNAME": "worker",
        "MLFLOW_TRACKING_PASSWORD": stack.secrets["MLFLOW_WORKER_PASSWORD"],
    }
    variables = [word for pair in accounts.items() for word in ("--env", "=".join(pair))]
    join = ["nightforge", "worker", "--join", servers[0], "--mlflow", servers[1]]
    stack.call("stop", "worker-cpu")
    guest = _docker(
        *("run", "--detach", "--rm", "--network", "host", "--init", *variables),
        *("--tmpfs", f"/state:size={QUOTA},uid=10001"),
        *("nightforge/worker", *join, "--name", "guest"),
    )
    try:
        until(lambda: "started" in _logs(guest))
        run = stack.trigger("nightly", night(EPOCHS, seed=100))
        stack.running(run)
        _inside(guest, "dd if=/dev/zero of=/state/all-there-is bs=1M")
        assert stack.ended(run) == "FAILED", _logs(guest)
        stack.say("night without space on the disk")
        message = stack.prefect("GET", f"/flow_runs/{run}")["state"]["message"]
        assert "No space left on device" in message
        assert "checkpoint" in message
        [failed] = stack.runs("tags.`nightforge.seed` = '100'")
        assert failed["info"]["status"] == "FAILED"

        _inside(guest, "rm /state/all-there-is")
        run = stack.trigger("nightly", night(EPOCHS, seed=100))
        assert stack.ended(run) == "COMPLETED", _logs(guest)
    finally:
        _docker("kill", guest)
    stack.call("start", "worker-cpu")
    [resumed] = stack.runs("tags.`nightforge.seed` = '100'")
    assert resumed["info"]["run_id"] == failed["info"]["run_id"]
    assert stack.epochs(resumed) == list(range(1, EPOCHS + 1))
    stack.say("night on a machine that joined")


def _docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_down_and_up_again_loses_nothing(stack: ComposeStack) -> None:
    """That a night still finds its data and checkpoints is shown after a restored backup."""
    before = stack.champion(MODEL), stack.prefect("POST", "/flow_runs/count", {})
    stack.call("down", "--timeout", "30")
    stack.call("up", "--detach", "--wait", "--wait-timeout", "600")
    stack.say("down and up again")
    assert (stack.champion(MODEL), stack.prefect("POST", "/flow_runs/count", {})) == before


def test_what_nothing_needs_is_removed_for_good(stack: ComposeStack) -> None:
    clean = ("run", "--rm", "-T", "clean", "--older-than", "0d")
    before, files = len(stack.runs()), _stored(stack)
    printed = stack.call(*clean).stdout
    assert "freed" in printed
    assert len(stack.runs()) < before, printed
    assert _stored(stack) < files
    stack.say("cleaned")
    refused = stack.call("exec", "-T", "worker-cpu", "nightforge", *clean[3:], check=False)
    assert refused.returncode == 1
    assert "docker compose run --rm clean" in refused.stderr


def _stored(stack: ComposeStack) -> int:
    return len(stack.inside("objectstore", "find", "/data/nightforge/mlflow", "-type", "f").split())


def _script(stack: ComposeStack, name: str, file: Path) -> subprocess.CompletedProcess[str]:
    """`make backup` or `make restore` on a stack."""
    environment = stack.environment | {
        "COMPOSE_PROJECT_NAME": stack.name,
        "COMPOSE_ENV_FILES": str(stack.env),
    }
    return subprocess.run(
        [str(ROOT / "infra" / f"{name}.sh"), str(file)],
        env=environment,
        capture_output=True,
        text=True,
    )


def test_a_backup_restored_into_an_empty_stack_is_the_same(
    stack: ComposeStack, tmp_path: Path
) -> None:
    backup = tmp_path / "backup.tar"
    saved = _script(stack, "backup", backup)
    assert saved.returncode == 0, saved.stdout + saved.stderr
    stack.say(f"backup of {backup.stat().st_size >> 20} MiB")
    onto_itself = _script(stack, "restore", backup)
    assert onto_itself.returncode == 1
    assert "wanted an empty one" in onto_itself.stderr

    other = ComposeStack("nightforge-restored", stack.env, shift=100, timeline=stack.timeline)
    other.began = stack.began
    other.gone()
    try:
        restored = _script(other, "restore", backup)
        assert restored.returncode == 0, restored.stdout + restored.stderr
        stack.say("restored")
        assert other.champion(MODEL) == stack.champion(MODEL)
        ids = [sorted(one["info"]["run_id"] for one in each.runs()) for each in (stack, other)]
        assert ids[0] == ids[1]
        sums = "cd /data/nightforge && find . -type f | sort | xargs sha256sum"
        assert other.inside("objectstore", "sh", "-c", sums) == stack.inside(
            "objectstore", "sh", "-c", sums
        )
        run = other.trigger("nightly", night(epochs=4))
        assert other.ended(run) == "COMPLETED"
        steps = {one["name"]: one for one in other.report(run)["steps"]}
        assert steps["train"]["skipped"]  # data, checkpoints and records are all there
    finally:
        other.gone()


def test_no_secret_is_in_an_image_a_log_or_a_record(stack: ComposeStack, tmp_path: Path) -> None:
    secrets = {name: v for name, v in stack.secrets.items() if name != "COMPOSE_PROFILES"}
    told = stack.call("logs", "--no-color").stdout
    for image in ("prefect", "mlflow", "worker"):
        for command in (["history", "--no-trunc"], ["image", "inspect"]):
            done = subprocess.run(
                ["docker", *command, f"nightforge/{image}"],
                capture_output=True,
                text=True,
                check=True,
            )
            told += done.stdout
    told += stack.inside(
        "worker-cpu", "sh", "-c", "grep -rahs . /state/reports /state/logs || true"
    )
    told += json.dumps(stack.runs())
    told += json.dumps(stack.prefect("POST", "/flow_runs/filter", {}))
    told += json.dumps(stack.prefect("POST", "/logs/filter", {}))
    history = subprocess.run(
        ["git", "log", "--all", "--patch"], cwd=ROOT, capture_output=True, check=True
    )
    told += history.stdout.decode("utf-8", "replace")
    words = {name: value.removeprefix("admin:") for name, value in secrets.items()}
    assert [name for name, value in words.items() if value in told] == []
    files = " ".join(
        ["/app", "/etc", "/home", "/tmp", "/usr/local/bin", "/usr/local/lib/nightforge"]
    )
    (patterns := tmp_path / "patterns").write_text("\n".join(words.values()), "utf-8")
    for image in ("prefect", "mlflow", "worker"):
        run = ["docker", "run", "--rm", "-v", f"{patterns}:/patterns:ro", "--entrypoint", "sh"]
        command = f"grep -rlFs -f /patterns {files} || true"
        done = subprocess.run(
            [*run, f"nightforge/{image}", "-c", command],
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout == ""
