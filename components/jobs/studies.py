"""What a sweep is asked for, and the studies there are."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from components.datasets.base import Split
from components.errors import ConfigError, StudyError
from components.jobs.recipe import Recipe
from components.jobs.trials import refuse_unusable
from components.models.spec import SEQUENCE_KINDS, ModelKind
from components.settings import Settings
from components.tuning.log import TrialLog, read_log
from components.tuning.scheduler import Resources
from components.tuning.space import Config, Distribution, SearchSpace
from components.tuning.study import Limits, Mode, Result, Study
from components.tuning.trial import Trial
from components.tuning.tuner import Tuner
from components.versioning.versions import DatasetVersion

LOG = "trials.jsonl"
IDENTITY = "id"  # in the log's first line: a study removed and begun anew is another one
AUTO = "auto"
MetricName = Literal["auto", "validation_accuracy", "validation_loss", "kernel_distance"]
MODES: Mapping[str, Mode] = {
    "validation_accuracy": "max",
    "validation_loss": "min",
    "kernel_distance": "min",
}
_METRICS: Mapping[ModelKind, str] = {
    ModelKind.CLASSIFIER: "validation_accuracy",
    ModelKind.TEXT_CLASSIFIER: "validation_accuracy",
    **dict.fromkeys(SEQUENCE_KINDS, "validation_accuracy"),
    ModelKind.REGRESSOR: "validation_loss",
    ModelKind.IMAGE_GAN: "kernel_distance",
    ModelKind.POINT_GAN: "kernel_distance",
}
NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")


class SweepConfig(BaseModel):
    """How a study searches (params.yaml: sweep)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    searcher: Annotated[str, Field(description="Proposes configurations")] = "random"
    scheduler: Annotated[str, Field(description="Decides which trials go on")] = "asha"
    space: Annotated[
        dict[str, Distribution],
        Field(description="Fields of the training (or network.x.y), and where values come from"),
    ] = {}
    points: Annotated[
        tuple[Config, ...], Field(description="Configurations that are tried first")
    ] = ()
    metric: Annotated[
        MetricName, Field(description="What is compared; auto is the usual one of the model")
    ] = "auto"
    mode: Annotated[
        Literal["auto", "max", "min"], Field(description="Whether more or less of it is better")
    ] = "auto"
    resources: Annotated[Resources, Field(description="Epochs at which trials are compared")] = (
        Resources()
    )
    limits: Annotated[Limits, Field(description="When the study ends")] = Limits()
    workers: Annotated[int, Field(ge=1, le=1024, description="Trials at the same time")] = 2
    seed: Annotated[int, Field(ge=0, le=2**31 - 1, description="Of the searcher")] = 0
    warm_start: Annotated[
        str, Field(description="An earlier study whose best configurations are tried first")
    ] = ""


def study_folder(settings: Settings, name: str) -> Path:
    """Where a study is kept.

    Raises:
        ConfigError: If the name cannot be that of a folder.
    """
    if not NAME.fullmatch(name):
        raise ConfigError(
            "study",
            got=repr(name),
            wanted="small letters, digits, dots, dashes and underscores, 64 at most",
            remedy="For example: --set study=lenet-rates",
        )
    return settings.studies / name


def study_names(settings: Settings) -> list[str]:
    """The studies there are."""
    return sorted(path.parent.name for path in settings.studies.glob(f"*/{LOG}"))


def define_study(
    settings: Settings, name: str, data: DatasetVersion, recipe: Recipe, sweep: SweepConfig
) -> Study:
    """What the study of this name is on these data; raises what `study_of` does."""
    _refuse_sizes(recipe, sweep, data.counts[Split.TRAIN])
    identity = {"dataset": data.name, "dataset_version": data.version}
    return study_of(settings, name, identity, recipe, sweep)


def _refuse_sizes(recipe: Recipe, sweep: SweepConfig, examples: int) -> None:
    searched = sweep.space.get("batch_size")
    given = [] if searched is None else [*searched.values, searched.high or 0]
    sizes = [size for size in given if isinstance(size, int | float)]
    largest = max([*sizes, 0 if searched else recipe.config.batch_size])
    if largest > examples:
        raise ConfigError(
            "batch_size",
            got=f"up to {largest:g} with {examples} training examples",
            wanted="at least one whole batch",
            remedy="Lower it, or take more data.",
        )


def study_of(
    settings: Settings,
    name: str,
    identity: Mapping[str, str],
    recipe: Recipe,
    sweep: SweepConfig,
) -> Study:
    """What the study of this name is.

    Args:
        settings: Where earlier studies are.
        name: Of the study.
        identity: Of the data.
        recipe: What the trials have in common.
        sweep: How it searches.

    Raises:
        ConfigError: If the space, a point or the metric does not fit the model.
        StudyError: If there is no such study to start warm from.
    """
    if getattr(recipe.config, "processes", 1) > 1 or "processes" in sweep.space:
        raise ConfigError(
            "training.processes",
            got="several processes for a trial",
            wanted="1: a sweep trains several trials at once instead",
            remedy="Set workers to the number of GPUs.",
        )
    space = SearchSpace(fields=sweep.space)
    refuse_unusable(recipe, space)
    metric = _METRICS[recipe.kind] if sweep.metric == AUTO else sweep.metric
    known = {_METRICS[recipe.kind], *([] if recipe.kind.gan else ["validation_loss"])}
    if metric not in known:
        raise ConfigError(
            "metric",
            got=metric,
            wanted=f"what {recipe.model} reports: {' or '.join(sorted(known))}",
            remedy="Choose that, or auto.",
        )
    study = Study(
        name=name,
        base={**identity, **recipe.params()},
        space=space,
        metric=metric,
        mode=MODES[metric] if sweep.mode == AUTO else sweep.mode,
        searcher=sweep.searcher,
        scheduler=sweep.scheduler,
        resources=sweep.resources,
        limits=sweep.limits,
        points=sweep.points,
        prior=_prior(settings, sweep.warm_start, space, metric) if sweep.warm_start else (),
        seed=sweep.seed,
    )
    study.check()
    return study


def _prior(settings: Settings, name: str, space: SearchSpace, metric: str) -> tuple[Result, ...]:
    study, trials = read_study(settings, name)
    if study.metric != metric:
        raise StudyError(
            f"warm_start {name}",
            got=f"a study of {study.metric}",
            wanted=f"one of {metric}",
            remedy="Choose another study, or the same metric.",
        )
    found = []
    for trial in trials:
        config = {name: value for name, value in trial.config.items() if name in space.fields}
        inside = all(space.fields[name].holds(value) for name, value in config.items())
        if trial.curve and inside and len(config) == len(space.fields):
            score = study.best_score(trial)
            found.append(Result(config=config, score=score, epochs=len(trial.curve)))
    return tuple(found)


def read_study(settings: Settings, name: str) -> tuple[Study, Sequence[Trial]]:
    """A study and its trials, also while it runs.

    Raises:
        StudyError: If there is none, or its log is damaged.
    """
    header, events = read_log(study_folder(settings, name) / LOG)
    study = Study.model_validate({k: v for k, v in header.items() if k != IDENTITY})
    log = TrialLog(None, header)
    log.events = list(events)
    return study, list(Tuner(study, log).trials.values())
