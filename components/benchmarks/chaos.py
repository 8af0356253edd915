"""Nights under random kills against the same nights undisturbed: nothing lost, nothing twice."""

from __future__ import annotations

import random
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import yaml
from pydantic import BaseModel, ConfigDict

from components.benchmarks import Say
from components.benchmarks.base import hardware, versions
from components.benchmarks.stack import FINAL, POLL_SECONDS, Stack
from components.jobs.context import registered_model
from components.jobs.studies import LOG
from components.models.spec import ModelKind
from components.settings import PROJECT_ROOT
from components.tracking.base import CHAMPION, RunStatus, Tag, TrackedRun
from components.tuning.log import read_log
from components.tuning.trial import EpochDone

KILLS = 20
DATASET = "fashion_mnist_sample"
MODEL = registered_model(DATASET, ModelKind.CLASSIFIER)
STUDY = "chaos"
NIGHT_SECONDS = 900.0  # a night that has not ended by then has not completed
SLOT_SECONDS = 150.0  # after this the last lease of a killed process is over
PAUSE = (1.0, 9.0)  # seconds from one kill to the next, at random
KINDS = ("worker", "flow", "trial", "prefect", "mlflow")


class Night(BaseModel):
    """One night under kills."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    state: str
    attempts: int
    kills: tuple[str, ...]
    seconds: float


class ChaosResult(BaseModel):
    """What `nightforge bench chaos` found.

    Attributes:
        problems: A line for each promise that was broken; none if all were kept.
        kills: How often each kind of process was killed.
        quiet_seconds: Of the same nights undisturbed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    benchmark: str = "chaos"
    what: str
    problems: tuple[str, ...]
    kills: dict[str, int]
    nights: tuple[Night, ...]
    seconds: float
    quiet_seconds: float
    seed: int
    hardware: str
    versions: dict[str, str]


def chaos(say: Say, kills: int = KILLS, seed: int = 0) -> ChaosResult:
    """Kill worker, flow, trial, Prefect and MLflow at random moments of several nights.

    Args:
        say: Told of each kill and each night.
        kills: At least one of each kind of process.
        seed: Of the moments and of the order.

    Raises:
        ServiceError: If the servers do not start, or stay away.
    """
    with tempfile.TemporaryDirectory(prefix="nightforge-chaos-") as name:
        folder = Path(name)
        disturbed = Stack(folder / "disturbed", _params(folder))
        nights, seconds = _disturbed(disturbed, _Plan.of(kills, seed), say)
        try:
            problems = list(_broken_promises(disturbed, nights))
            found = _results(disturbed)
        finally:
            disturbed.call("down")
        say("the same nights undisturbed")
        quiet = Stack(folder / "quiet", disturbed.params)
        wanted, quiet_seconds = _undisturbed(quiet, len(nights))
        problems += [
            f"{what}: {found.get(what)}, undisturbed {value}"
            for what, value in wanted.items()
            if found.get(what) != value
        ]
        problems += [f"{what} only under kills" for what in set(found) - set(wanted)]
    return ChaosResult(
        what=f"{len(nights)} nights on {DATASET} under {kills} SIGKILLs",
        problems=tuple(problems),
        kills=Counter(kind for night in nights for kind in night.kills),
        nights=tuple(nights),
        seconds=round(seconds, 1),
        quiet_seconds=round(quiet_seconds, 1),
        seed=seed,
        hardware=hardware(),
        versions=versions(),
    )


def _params(folder: Path) -> Path:
    """params.yaml in which a run may be killed as often as it happens here."""
    tree = yaml.safe_load((PROJECT_ROOT / "params.yaml").read_text(encoding="utf-8"))
    tree["reconcile"] |= {"every_seconds": 2, "restarts": 100, "restart_delay_seconds": 0}
    path = folder / "params.yaml"
    path.write_text(yaml.safe_dump(tree), encoding="utf-8")
    return path


def _arguments(number: int) -> list[str]:
    """What is run in a night: the first is a sweep, the others train with a seed each."""
    if number == 0:
        sweep = {"study": STUDY, "model": "lenet", "scheduler": "fifo", "limits.trials": 6}
        chosen = {**sweep, "resources.max_resource": 6, "workers": 2}
        flow = "sweep"
    else:
        chosen = {"training.epochs": 10, "training.seed": number}
        flow = "nightly"
    given = [f"{key}={value}" for key, value in ({"dataset": DATASET} | chosen).items()]
    return [flow, *(word for one in given for word in ("--set", one))]


@dataclass
class _Plan:
    """Who is killed, in which order; trials only while there are any."""

    chance: random.Random
    sweeping: list[str]
    nightly: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, kills: int, seed: int) -> _Plan:
        chance = random.Random(seed)  # noqa: S311 - no secret
        kinds = [KINDS[number % len(KINDS)] for number in range(kills)]
        trials = [kind for kind in kinds if kind == "trial"]
        others = [kind for kind in kinds if kind != "trial"]
        chance.shuffle(others)
        share = len(others) // 4
        sweeping = trials + others[:share]
        chance.shuffle(sweeping)
        return cls(chance, sweeping, others[share:])

    def left(self, number: int) -> list[str]:
        """The list from which a night takes its kills."""
        return self.sweeping if number == 0 else self.nightly


def _disturbed(stack: Stack, plan: _Plan, say: Say) -> tuple[list[Night], float]:
    stack.call("up")
    start, nights = time.monotonic(), list[Night]()
    while not nights or plan.nightly:
        nights.append(_night(stack, plan, len(nights), say))
    return nights, time.monotonic() - start


def _night(stack: Stack, plan: _Plan, number: int, say: Say) -> Night:
    start, done = time.monotonic(), list[str]()
    run, follower = stack.trigger(*_arguments(number))
    left = plan.left(number)
    most = len(left) if number == 0 else 4
    due = time.monotonic() + plan.chance.uniform(*PAUSE)
    state = ""
    while state not in FINAL and time.monotonic() < start + NIGHT_SECONDS:
        now = stack.flow_run(run)
        state = now["state"]["type"]
        if left and len(done) < most and time.monotonic() > due and state == "RUNNING":
            if victim := _victim(stack, left[0]):
                with suppress(psutil.NoSuchProcess):
                    victim.kill()
                    done.append(left.pop(0))
                    say(f"night {number}: killed {done[-1]} ({victim.pid})")
            due = time.monotonic() + plan.chance.uniform(*PAUSE)
        time.sleep(POLL_SECONDS)
    _end(follower)
    if number == 0:  # trials are over; what was to be killed with them is killed later
        plan.nightly += [kind for kind in left if kind != "trial"]
        left.clear()
    ended = stack.flow_run(run)
    night = Night(
        name=ended["name"],
        state=ended["state"]["name"],
        attempts=ended["run_count"],
        kills=tuple(done),
        seconds=round(time.monotonic() - start, 1),
    )
    say(f"{night.name}: {night.state}, {night.attempts} attempts, {night.seconds:.0f} s")
    return night


def _victim(stack: Stack, kind: str) -> psutil.Process | None:
    if kind == "flow":
        words: Sequence[str] = ("prefect.engine", "flow_engine")
    elif kind == "trial":
        words = ("components.jobs.trial_worker",)
    else:
        return stack.service(kind)
    return next(iter(stack.processes(words)), None)


def _end(follower: subprocess.Popen[str]) -> None:
    """The command that follows a run ends with it."""
    try:
        follower.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        follower.kill()
        follower.communicate()


def _broken_promises(stack: Stack, nights: Sequence[Night]) -> Iterator[str]:
    for night in nights:
        if night.state != "Completed":
            yield f"night {night.name} ended as {night.state}"
    tracker = stack.context().tracker
    yield from (f"MLflow run {run.name} is left running" for run in tracker.running())
    for run in stack.flow_runs():
        if run["state"]["type"] not in (*FINAL, "CRASHED", "SCHEDULED"):
            yield f"flow run {run['name']} is left {run['state']['name']}"
    yield from _leaked(stack)
    yield from _twice(stack)
    registry = stack.context().registry
    champion = registry.by_alias(MODEL, CHAMPION)
    if champion is None:
        yield "there is no champion"
    else:
        registry.load(champion)


def _leaked(stack: Stack) -> Iterator[str]:
    deadline = time.monotonic() + SLOT_SECONDS
    while True:
        limits = stack.api("/v2/concurrency_limits/filter", {})
        held = [limit["name"] for limit in limits if limit["active_slots"]]
        if not held or time.monotonic() > deadline:
            break
        time.sleep(POLL_SECONDS)
    yield from (f"a slot of {name} never came back" for name in held)


def _twice(stack: Stack) -> Iterator[str]:
    """Epochs that were logged twice, and trainings that were finished twice."""
    finished = Counter[str]()
    for run in _trainings(stack):
        print_, id_ = run.tags[Tag.FINGERPRINT], run.run_id
        finished[print_] += run.status is RunStatus.FINISHED
        key = "validation_accuracy"
        history = stack.mlflow(f"/metrics/get-history?run_id={id_}&metric_key={key}")
        steps = [metric["step"] for metric in history.get("metrics", [])]
        if sorted(set(steps)) != steps:
            yield f"run {run.name} logged epochs {steps}"
    yield from (f"{one} was trained {n} times" for one, n in finished.items() if n > 1)


def _trainings(stack: Stack) -> list[TrackedRun]:
    """All runs that trained a model of the dataset."""
    where = f"/experiments/get-by-name?experiment_name={DATASET}"
    experiment = stack.mlflow(where)["experiment"]["experiment_id"]
    asked = {"experiment_ids": [experiment], "max_results": 1000}
    found = stack.mlflow("/runs/search", asked).get("runs", [])
    runs = [stack.context().tracker.get(run["info"]["run_id"]) for run in found]
    return [run for run in runs if Tag.KIND in run.tags]


def _results(stack: Stack) -> dict[str, object]:
    """What must be the same with and without kills."""
    context = stack.context()
    found: dict[str, object] = {}
    for run in _trainings(stack):
        metrics = ("best_validation_accuracy", "best_validation_loss", "test_accuracy")
        values = {name: run.metrics.get(name) for name in metrics}
        found[f"run {run.tags[Tag.FINGERPRINT][:8]}"] = (run.status, values)
    champion = context.registry.by_alias(MODEL, CHAMPION)
    versions_ = context.registry.versions(MODEL)
    found["versions"] = len(versions_)
    if champion:
        found["champion"] = context.tracker.get(champion.run_id).tags[Tag.FINGERPRINT]
    log = stack.home / "studies" / STUDY / LOG
    events = read_log(log)[1] if log.exists() else []
    for event in events:
        if isinstance(event, EpochDone):
            loss = event.metrics["validation_loss"]
            found[f"trial {event.trial} epoch {event.epoch}"] = loss
    return found


def _undisturbed(stack: Stack, nights: int) -> tuple[dict[str, object], float]:
    stack.call("up")
    try:
        start = time.monotonic()
        for number in range(nights):
            stack.call("run", *_arguments(number))
        return _results(stack), time.monotonic() - start
    finally:
        stack.call("down")
