"""The models of a night: what each is, when it is searched, and retraining them together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from prefect.runtime import flow_run
from pydantic import BaseModel, ConfigDict, Field

from components.datasets.sections import OWN_FILE, Datasets
from components.errors import FlowRunError
from components.jobs.recipe import Recipe
from components.jobs.studies import SweepConfig
from components.models import MODELS
from components.models.network import NetworkConfig
from components.params import Tree, load_params, load_recipes, merge
from components.settings import Settings
from components.training.config import GanConfig, TrainConfig
from flows import tasks
from flows.forms import DatasetName, ModelName
from flows.reports import Reporting
from flows.schedule import ScheduleConfig

Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
SECTIONS = ("training", "gan", "network")


class NightModel(BaseModel):
    """One model of a night."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: Annotated[DatasetName, Field(description="Which dataset to use")]
    model: Annotated[ModelName, Field(description="Which network to train")]
    sweep_on: Annotated[
        tuple[Weekday, ...],
        Field(description="Nights on which better hyperparameters are searched first"),
    ] = ()
    training: Annotated[
        TrainConfig, Field(description="How classifiers and linear are trained")
    ] = TrainConfig()
    gan: Annotated[GanConfig, Field(description="How dcgan and gaussian_gan are trained")] = (
        GanConfig()
    )
    network: Annotated[NetworkConfig, Field(description="Sizes and options of networks")] = (
        NetworkConfig()
    )

    @property
    def title(self) -> str:
        """What people call it."""
        return f"{self.model} on {self.dataset}"

    @property
    def recipe(self) -> Recipe:
        """How it is trained."""
        return Recipe(model=self.model, training=self.training, gan=self.gan, network=self.network)


def night_name() -> str:
    """Name of a nightly flow run: the first model, and how many more."""
    given = flow_run.parameters
    more = len(given["also"])
    return f"nightly {given['model']} on {given['dataset']}" + (f" and {more} more" if more else "")


def complete(models: Sequence[Mapping[str, Any]], settings: Settings) -> list[Tree]:
    """Further models of a night with what params.yaml says, below what they say themselves.

    Raises:
        UnknownKeyError: If one names a model or a dataset that does not exist.
    """
    tree, recipes = load_params(settings.params_file), load_recipes(settings.params_file)
    datasets = Datasets(settings.params_file, settings.home / OWN_FILE)
    completed = []
    for given in models:
        name = str(given.get("model"))
        MODELS.module(name)
        recipe = recipes.get(name, {})
        usual = {**tree.get("nightly", {}), **recipe.get("nightly", {})}
        dataset = {"dataset": usual.get("dataset")}
        sections = {key: merge(tree.get(key, {}), recipe.get(key, {})) for key in SECTIONS}
        whole = merge(merge(dataset, sections), dict(given))
        datasets.spec(str(whole.get("dataset")))
        completed.append(whole)
    return completed


def swept(model: NightModel) -> tuple[str, SweepConfig] | None:
    """The study that searches a model tonight: its name and what it does; None on other nights."""
    params_file = tasks.settings().params_file
    tree = load_params(params_file)
    zone = ZoneInfo(ScheduleConfig.model_validate(tree.get("schedule", {})).timezone)
    tonight = (flow_run.scheduled_start_time or datetime.now(UTC)).astimezone(zone)
    if f"{tonight:%A}".lower() not in model.sweep_on:
        return None
    recipe = load_recipes(params_file).get(model.model, {})
    section = merge(tree.get("sweep", {}), recipe.get("sweep", {}))
    fields = {key: section[key] for key in SweepConfig.model_fields if key in section}
    config = SweepConfig.model_validate(fields | {"seed": tonight.toordinal()})
    return f"night-{tonight:%Y-%m-%d}-{model.dataset}-{model.model}"[:64], config


def side_by_side(
    night: Reporting, models: Sequence[NightModel], retrain: Callable[[Reporting, NightModel], None]
) -> None:
    """Retrain the models of a night, independently; one that fails does not stop the others.

    What may not happen twice at a time is limited where it happens (flows/limits.py).

    Args:
        night: The first model's part is its report itself.
        models: At least one.
        retrain: What is done with each.

    Raises:
        FlowRunError: If one failed, after all have ended. What a single model raises is raised.
    """
    if len(models) == 1:
        retrain(night, models[0])
        return
    night.report.title = models[0].title
    with ThreadPoolExecutor(len(models), thread_name_prefix="model") as pool:
        running = [
            pool.submit(copy_context().run, work, night, model, retrain)
            for model, work in zip(models, [_first, *[_further] * (len(models) - 1)], strict=True)
        ]
        try:
            errors = [one.exception() for one in running]
        except BaseException:  # cancelled: each stops after its epoch
            tasks.STOP.set()
            raise
    failed = [
        f"{model.title} ({' '.join(str(error).split())})"
        for model, error in zip(models, errors, strict=True)
        if error
    ]
    if failed:
        raise FlowRunError(
            f"{len(failed)} of the night's {len(models)} models",
            got="; ".join(failed),
            wanted="all of them retrained",
            remedy="The others are done; the next night tries again.",
        )


def _first(
    night: Reporting, model: NightModel, retrain: Callable[[Reporting, NightModel], None]
) -> None:
    retrain(night, model)


def _further(
    night: Reporting, model: NightModel, retrain: Callable[[Reporting, NightModel], None]
) -> None:
    with night.part(model.title) as part:
        retrain(part, model)
