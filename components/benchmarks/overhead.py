"""What a night costs besides training: the same training as a bare script and as a flow."""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from components.benchmarks.base import hardware, versions
from components.benchmarks.stack import FINAL, Stack
from components.errors import FlowRunError
from components.settings import PROJECT_ROOT, Settings
from components.training.config import TrainConfig
from components.training.fit import FitRequest

ROUNDS = 6  # many short ones: a processor that others share changes its speed within minutes
FLOW, MODEL = "nightly", "lenet_modern"
DATASET = "fashion_mnist"  # or its bundled sample, where no source of it answers
# A short training and one of about a minute on two cores; the sample has a tenth of the images.
EPOCHS = {"fashion_mnist": (1, 6), "fashion_mnist_sample": (10, 60)}
POLL_SECONDS = 2.0  # Prefect notes when a run ends; asking often would slow it


class OverheadBenchmark(BaseModel):
    """What `nightforge bench overhead` found; medians over the rounds, but for `relative`.

    A script is timed from the start of its process to its end, a flow from the trigger to the end
    that Prefect notes. Both start from prepared data.

    Attributes:
        fixed_seconds: What a night takes longer than the script, however long it trains.
        relative: What it takes longer for each second that the script trains: ratio of the two
            slopes between the short and the long training, of all rounds together, less 1. One
            round alone says little where other machines share the processor.
        unchanged_seconds: Of a night in which nothing changed, from its start to its end.
        trigger_seconds: From a trigger to the start of the flow, which is in `fixed_seconds`.
        fixed: Of each round.
        relatives: Likewise.
        unchanged: Of each night in which nothing changed.
        script_seconds: Of each round, by epochs.
        flow_seconds: Likewise.
        step_seconds: Median of each of a night's steps, in the long training.
        unchanged_step_seconds: Likewise, in the nights in which nothing changed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    benchmark: str = "overhead"
    what: str
    fixed_seconds: float
    relative: float
    unchanged_seconds: float
    trigger_seconds: float
    n: int
    fixed: tuple[float, ...]
    relatives: tuple[float, ...]
    unchanged: tuple[float, ...]
    script_seconds: dict[int, tuple[float, ...]]
    flow_seconds: dict[int, tuple[float, ...]]
    step_seconds: dict[str, float]
    unchanged_step_seconds: dict[str, float]
    hardware: str
    versions: dict[str, str]


@dataclass(frozen=True)
class Night:
    """A finished flow run; seconds from the trigger to its start, from there to its end."""

    waited: float
    ran: float
    steps: dict[str, float]
    dataset: str

    @property
    def seconds(self) -> float:
        """From the trigger to the end."""
        return self.waited + self.ran


@dataclass(frozen=True)
class Pair:
    """The same training as a script, in seconds of its process, and as a flow."""

    epochs: int
    script: float
    night: Night

    @property
    def overhead(self) -> float:
        """Seconds that the flow took longer."""
        return self.night.seconds - self.script


def overhead(say: Callable[[str], None]) -> OverheadBenchmark:
    """Train a lenet_modern of Fashion-MNIST as a script and by the nightly flow, in turn.

    A first night, which is not counted, prepares the data and makes a champion.

    Raises:
        ServiceError: If the servers do not start, or a flow run does not complete.
    """
    with tempfile.TemporaryDirectory(prefix="nightforge-overhead-") as folder:
        stack = Stack(Path(folder), PROJECT_ROOT / "params.yaml")
        with stack.up():
            return _measure(_Nights(stack), say)


def _measure(nights: _Nights, say: Callable[[str], None]) -> OverheadBenchmark:
    dataset = nights.night(DATASET, 1, ROUNDS).dataset
    rounds = []
    for seed in range(ROUNDS):
        short, long = (nights.pair(dataset, epochs, seed, say) for epochs in EPOCHS[dataset])
        rounds.append((short, long))
    unchanged = [nights.night(dataset, rounds[-1][1].epochs, ROUNDS - 1) for _ in range(ROUNDS)]
    return result(dataset, rounds, unchanged)


def result(
    dataset: str, rounds: Sequence[tuple[Pair, Pair]], unchanged: Sequence[Night]
) -> OverheadBenchmark:
    """Fixed and growing part of the overhead, from a short and a long training in each round."""
    relatives = [_slope(short, long) for short, long in rounds]
    fixed = [_fixed(short, long) for short, long in rounds]
    sizes = [pair.epochs for pair in rounds[0]]
    packages = {name: version(name) for name in ("prefect", "mlflow", "dvc")}
    return OverheadBenchmark(
        what=f"{MODEL} on {dataset}, {sizes[0]} and {sizes[1]} epochs, prepared data to a decided "
        "version; a script that trains and tests, against a night",
        fixed_seconds=statistics.median(fixed),
        relative=pooled(rounds),
        unchanged_seconds=statistics.median(night.ran for night in unchanged),
        trigger_seconds=statistics.median(p.night.waited for pairs in rounds for p in pairs),
        n=len(rounds),
        fixed=tuple(fixed),
        relatives=tuple(relatives),
        unchanged=tuple(night.ran for night in unchanged),
        script_seconds={
            epochs: tuple(pairs[at].script for pairs in rounds) for at, epochs in enumerate(sizes)
        },
        flow_seconds={
            epochs: tuple(pairs[at].night.seconds for pairs in rounds)
            for at, epochs in enumerate(sizes)
        },
        step_seconds=_steps([long.night for _, long in rounds]),
        unchanged_step_seconds=_steps(unchanged),
        hardware=hardware(),
        versions=versions() | packages,
    )


def pooled(rounds: Sequence[tuple[Pair, Pair]]) -> float:
    """The ratio of the summed slopes, less 1."""
    nights = sum(long.night.seconds - short.night.seconds for short, long in rounds)
    return nights / sum(long.script - short.script for short, long in rounds) - 1


def _slope(short: Pair, long: Pair) -> float:
    return (long.night.seconds - short.night.seconds) / (long.script - short.script) - 1


def _fixed(short: Pair, long: Pair) -> float:
    """The overhead of a training without epochs, on the line through both."""
    share = short.epochs / (long.epochs - short.epochs)
    return short.overhead - share * (long.overhead - short.overhead)


def _steps(nights: Sequence[Night]) -> dict[str, float]:
    return {step: statistics.median(n.steps[step] for n in nights) for step in nights[0].steps}


class _Nights:
    """Nights on running servers, and the same trainings without."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._deployment = stack.api(f"/deployments/name/{FLOW}/{FLOW}")

    def pair(self, dataset: str, epochs: int, seed: int, say: Callable[[str], None]) -> Pair:
        """One training, as a script and as a flow; every other time the flow comes first."""
        if seed % 2:
            night = self.night(dataset, epochs, seed)
            found = Pair(epochs, self._script(dataset, epochs, seed), night)
        else:
            script = self._script(dataset, epochs, seed)
            found = Pair(epochs, script, self.night(dataset, epochs, seed))
        say(
            f"seed {seed}, {epochs} epochs: script {found.script:.1f} s, "
            f"night {found.night.seconds:.1f} s"
        )
        return found

    def _training(self, epochs: int, seed: int) -> dict[str, Any]:
        of_params: dict[str, Any] = self._deployment["parameters"]["training"]
        return of_params | {"epochs": epochs, "seed": seed}

    def _script(self, dataset: str, epochs: int, seed: int) -> float:
        with tempfile.TemporaryDirectory() as folder:
            home = Settings(home=self._stack.home)
            request = FitRequest(
                directory=home.workspace / "data" / "prepared" / dataset,
                model=MODEL,
                training=TrainConfig.model_validate(self._training(epochs, seed)),
                folder=Path(folder) / "checkpoints",
            )
            file = Path(folder) / "request.json"
            file.write_text(request.model_dump_json(), encoding="utf-8")
            start = time.perf_counter()
            self._stack.call(str(file), module="components.benchmarks.bare")
            return time.perf_counter() - start

    def night(self, dataset: str, epochs: int, seed: int) -> Night:
        """Trigger a night as the form does, and wait for its end."""
        parameters = self._deployment["parameters"] | {
            "dataset": dataset,
            "model": MODEL,
            "training": self._training(epochs, seed),
        }
        path = f"/deployments/{self._deployment['id']}/create_flow_run"
        run = self._stack.api(path, {"parameters": parameters})
        while run["state"]["type"] not in FINAL:
            time.sleep(POLL_SECONDS)
            run = self._stack.flow_run(run["id"])
        if run["state"]["type"] != "COMPLETED":
            raise FlowRunError(
                f"flow run {run['name']}",
                got=f"{run['state']['name']} ({run['state']['message']})",
                wanted="Completed",
                remedy="`nightforge run nightly` shows what is wrong.",
            )
        created, start, end = (
            datetime.fromisoformat(run[key]) for key in ("created", "start_time", "end_time")
        )
        file = Settings(home=self._stack.home).reports / f"{run['id']}.json"
        report = json.loads(file.read_text(encoding="utf-8"))
        return Night(
            (start - created).total_seconds(),
            (end - start).total_seconds(),
            {step["name"]: step["seconds"] for step in report["steps"]},
            report["dataset"]["name"],
        )
