"""What a study is: everything that decides which trials it has, and how far it goes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from components.errors import ConfigError, StudyError
from components.tuning import SCHEDULERS, SEARCHERS
from components.tuning.scheduler import Resources
from components.tuning.searchers import Score
from components.tuning.space import Config, SearchSpace
from components.tuning.trial import Trial, TrialStatus

EPOCHS = "epochs"
WARM_POINTS = 3
Mode = Literal["max", "min"]


class Limits(BaseModel):
    """When a study ends; segments that run then are finished."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    trials: Annotated[int, Field(ge=1, le=100_000, description="New trials at most")] = 64
    minutes: Annotated[
        float, Field(ge=0, le=100_000, description="No new segments after so long; 0: no limit")
    ] = 0.0
    epochs: Annotated[
        int, Field(ge=0, le=10_000_000, description="Of all trials together; 0: no limit")
    ] = 0


class Result(BaseModel):
    """What an earlier study found for a configuration; higher scores are better."""

    model_config = ConfigDict(frozen=True)

    config: Config
    score: float
    epochs: int


class Study(BaseModel):
    """A sweep by name.

    Attributes:
        name: One study by this name; running it again continues it.
        base: What trials have in common, for those who run them.
        points: Configurations that are tried first.
        prior: Results of an earlier study, for searchers that learn.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    base: Mapping[str, Any] = {}
    space: SearchSpace
    metric: str
    mode: Mode
    searcher: str
    scheduler: str
    resources: Resources = Resources()
    limits: Limits = Limits()
    points: tuple[Config, ...] = ()
    prior: tuple[Result, ...] = ()
    seed: int = 0

    @property
    def sign(self) -> int:
        """What makes a value of the metric a score, of which more is better."""
        return 1 if self.mode == "max" else -1

    @property
    def first_points(self) -> list[Config]:
        """The points given, then the best ones of the earlier study that are not among them."""
        best = sorted(self.prior, key=lambda result: -result.score)
        points = [dict(point) for point in self.points]
        for result in best[:WARM_POINTS]:
            if result.config not in points:
                points.append(dict(result.config))
        return points

    @property
    def prior_scores(self) -> list[Score]:
        """The earlier study's results."""
        return [Score(result.config, result.score, result.epochs) for result in self.prior]

    def best_score(self, trial: Trial) -> float:
        """Of a trial's epochs; higher is better."""
        return max(self.sign * value for value in trial.curve)

    def best_value(self, trial: Trial) -> float:
        """The metric of a trial's best epoch."""
        return self.sign * self.best_score(trial)

    def best_of(self, trials: Iterable[Trial]) -> Trial | None:
        """The trial with the best epoch; of equal ones, the earliest; None without a result.

        A failed trial is none: what failed it would fail it again.
        """
        scored = [t for t in trials if t.curve and t.status is not TrialStatus.FAILED]
        return max(scored, key=lambda trial: (self.best_score(trial), -trial.number), default=None)

    def check(self) -> None:
        """Refuse what cannot run.

        Raises:
            ConfigError: For an unknown searcher or scheduler, a point outside the space, or
                epochs varied under a scheduler that varies them itself.
        """
        SEARCHERS.module(self.searcher)
        SCHEDULERS.module(self.scheduler)
        if not self.space.fields:
            raise ConfigError(
                "space",
                got="no field",
                wanted="at least one field and its distribution",
                remedy="For example: --set space.lr.distribution=log_uniform "
                "--set space.lr.low=0.01 --set space.lr.high=1",
            )
        if EPOCHS in self.space.fields and self.scheduler != "fifo":
            raise ConfigError(
                "space.epochs",
                got=f"a range under the scheduler {self.scheduler}",
                wanted="fifo; the others decide about epochs themselves",
                remedy="Use scheduler=fifo, or take epochs out of the space.",
            )
        for index, point in enumerate(self.points):
            self.space.refuse_outside(point, f"points[{index}]")

    def header(self) -> dict[str, Any]:
        """What the trial log keeps of it."""
        header: dict[str, Any] = json.loads(self.model_dump_json())
        return header

    def continuing(self, header: Mapping[str, Any]) -> Study:
        """This study as its log began it; only its limits may have changed since.

        Raises:
            StudyError: If something else differs.
        """
        mine = self.header()
        for key in mine:
            known = header.get(key)
            if key not in ("limits", "prior") and mine[key] != known:
                got, wanted = _difference(mine[key], known)
                raise StudyError(
                    f"study {self.name}, {key}",
                    got=got,
                    wanted=f"{wanted}, with which it was begun",
                    remedy="Give the new study another name, or restore what it was.",
                )
        return self.model_copy(update={"prior": tuple(map(Result.model_validate, header["prior"]))})


def _difference(got: object, wanted: object) -> tuple[str, str]:
    """The first place in which two values differ, in short."""
    if isinstance(got, Mapping) and isinstance(wanted, Mapping):
        for key in sorted({*got, *wanted}):
            if got.get(key) != wanted.get(key):
                inner = _difference(got.get(key), wanted.get(key))
                return f"{key}: {inner[0]}", f"{key}: {inner[1]}"
    if isinstance(got, Sequence) and not isinstance(got, str):
        return json.dumps(got)[:120], json.dumps(wanted)[:120]
    return json.dumps(got), json.dumps(wanted)
