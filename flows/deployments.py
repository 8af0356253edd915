"""Work pool, limits and deployments, registered again at each start without undoing edits."""

from __future__ import annotations

import zoneinfo
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from prefect import Flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.client.schemas.schedules import CronSchedule
from prefect.deployments.runner import RunnerDeployment
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.schedules import Schedule
from prefect.types.entrypoint import EntrypointType
from prefect.workers.process import ProcessWorker
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from components.catalog import unknown_key
from components.datasets.drift import DriftConfig
from components.datasets.sections import OWN_FILE, Datasets
from components.jobs.context import registered_models
from components.models import MODELS
from components.params import Tree, check, load_params, load_recipes, merge, profile_names
from components.promotion.policy import PromotionParams
from components.settings import Settings
from flows.data import data
from flows.evaluate import evaluate
from flows.limits import GPU_LIMIT, GPU_SLOTS, promotion_limit
from flows.parameters import checked_parameters, own_choices
from flows.pipeline import nightly
from flows.probes import POOL
from flows.promote import promote
from flows.registry import registry
from flows.rollback import rollback
from flows.self_check import self_check
from flows.sweep import refuse_sweep, sweep
from flows.train import train


class ScheduleConfig(BaseModel):
    """When the nightly flow starts by itself (params.yaml: schedule)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cron: str = Field("0 2 * * *", description="Minute, hour, day of month, month, day of week")
    timezone: str = Field("UTC", description="Name of the time zone, as in Europe/Berlin")
    active: bool = Field(False, description="Whether the schedule is switched on at first")

    @field_validator("cron")
    @classmethod
    def _is_cron(cls, value: str) -> str:
        try:
            CronSchedule(cron=value)
        except ValidationError:
            raise ValueError("five fields of cron, such as '0 2 * * *'") from None
        return value

    @field_validator("timezone")
    @classmethod
    def _is_timezone(cls, value: str) -> str:
        if value not in zoneinfo.available_timezones():
            raise ValueError("the name of a time zone, such as Europe/Berlin")
        return value


@dataclass(frozen=True)
class DeploymentSpec:
    """A flow as it is deployed.

    Attributes:
        flow: What runs.
        own: Sections of params.yaml whose values are parameters of their own; what the last one
            says goes, and all its keys must be parameters.
        sections: Sections of params.yaml that are parameters under their own name.
        scheduled: Whether the schedule of params.yaml is attached.
        single: Whether a second run at the same time is cancelled.
        refuse: Raises a ConfigError for parameters that are right one by one and wrong together.
    """

    flow: Flow[..., None]
    own: tuple[str, ...]
    sections: tuple[str, ...] = ()
    scheduled: bool = False
    single: bool = False
    refuse: Callable[[Tree], None] = lambda parameters: None

    @property
    def name(self) -> str:
        """Name of the flow and of its deployment."""
        return self.flow.name

    def parameters(self, tree: Mapping[str, Any]) -> Tree:
        """The flow's parameters out of a tree shaped like params.yaml."""
        own: Tree = {}
        for section in self.own:
            mine = {k: v for k, v in tree.get(section, {}).items() if k in self.own_keys}
            own = merge(own, mine)
        return own | {section: tree[section] for section in self.sections if section in tree}

    @property
    def own_keys(self) -> set[str]:
        """The parameters whose values stand in the sections `own`."""
        return set(self.flow.parameters.properties) - set(self.sections)

    def check(self, tree: Mapping[str, Any], where: str, own_datasets: Iterable[str]) -> None:
        """Validate what this flow takes from a tree shaped like params.yaml.

        Raises:
            ConfigError: For an unusable value.
        """
        places = {
            key: f"{where}: {section}."
            for section in self.own
            for key in tree.get(section, {})
            if key in self.own_keys
        }
        values = self.parameters(tree)
        checked_parameters(
            self.flow, values, lambda key: places.get(key, f"{where}: ") + key, own_datasets
        )


TRAINED = ("training", "gan", "network")  # sections that say how models are trained
DEPLOYMENTS: dict[str, DeploymentSpec] = {
    spec.name: spec
    for spec in (
        DeploymentSpec(nightly, ("nightly",), TRAINED, scheduled=True, single=True),
        DeploymentSpec(data, ("nightly",)),
        DeploymentSpec(train, ("nightly",), TRAINED),
        DeploymentSpec(sweep, ("nightly", "sweep"), TRAINED, refuse=refuse_sweep),
        DeploymentSpec(evaluate, ()),
        DeploymentSpec(promote, ()),
        DeploymentSpec(rollback, ()),
        DeploymentSpec(registry, ()),
        DeploymentSpec(self_check, ("nightly",)),
    )
}


def datasets_of(settings: Settings) -> Datasets:
    """The datasets of this installation.

    Raises:
        ConfigError: If a section names one that does not exist.
    """
    return Datasets(settings.params_file, settings.home / OWN_FILE)


def checked_params(settings: Settings) -> Tree:
    """params.yaml, once all its sections and profiles were found usable by those who read them.

    Raises:
        ConfigError: For an unknown name or an unusable value.
    """
    path, datasets = settings.params_file, datasets_of(settings)
    for name in datasets:
        datasets.config(name)
    tree = load_params(path)
    _check_sections(tree, path.name, datasets.own)
    for profile in profile_names(path):
        where = f"{path.name} with profile {profile}"
        _check_sections(load_params(path, profile), where, datasets.own)
    for model, overlay in load_recipes(path).items():
        MODELS.module(model)
        where = f"{path.name} with the recipe of {model}"
        DEPLOYMENTS["train"].check(merge(tree, overlay), where, datasets.own)
    return tree


def _check_sections(tree: Tree, where: str, own_datasets: Iterable[str]) -> None:
    check(DriftConfig, tree.get("drift", {}), f"{where}: drift")
    check(PromotionParams, tree.get("promotion", {}), f"{where}: promotion")
    check(ScheduleConfig, tree.get("schedule", {}), f"{where}: schedule")
    for section in {spec.own[-1] for spec in DEPLOYMENTS.values() if spec.own}:
        takers = [spec for spec in DEPLOYMENTS.values() if spec.own[-1:] == (section,)]
        known = set[str]().union(*(spec.own_keys for spec in takers))
        for key in tree.get(section, {}):
            if key not in known:
                raise unknown_key(f"key in {where}: {section}", str(key), known)
    for spec in DEPLOYMENTS.values():
        spec.check(tree, where, own_datasets)


def register_all(settings: Settings) -> None:
    """Create or update everything a night needs on the Prefect server.

    Schedules belong to the people who edit them in the UI: they are set only when a deployment
    is first created.

    Raises:
        ConfigError: If params.yaml is not usable; nothing is registered then.
    """
    tree, own = checked_params(settings), list(datasets_of(settings).own)
    schedule = ScheduleConfig.model_validate(tree.get("schedule", {}))
    with get_client(sync_client=True) as client:
        _ensure_pool(client)
        _ensure_promotion_limits(client, datasets_of(settings))
        _ensure_gpu_limit(client)
        for spec in DEPLOYMENTS.values():
            _register(client, spec, tree, schedule, own)


def _ensure_pool(client: SyncPrefectClient) -> None:
    template = ProcessWorker.get_default_base_job_template()
    pool = WorkPoolCreate(name=POOL, type="process", base_job_template=template)
    with suppress(ObjectAlreadyExists):
        client.create_work_pool(pool)


def _ensure_promotion_limits(client: SyncPrefectClient, datasets: Datasets) -> None:
    """One promotion of a registered model at a time, from the first start on."""
    there = {found.name for found in client.read_global_concurrency_limits(limit=200)}
    for dataset in datasets:
        for model in registered_models(dataset, images=datasets.spec(dataset).images):
            if promotion_limit(model) not in there:
                client.upsert_global_concurrency_limit_by_name(promotion_limit(model), 1)


def _ensure_gpu_limit(client: SyncPrefectClient) -> None:
    """How many trials share the GPUs belongs to the people who know them."""
    try:
        client.read_global_concurrency_limit_by_name(GPU_LIMIT)
    except ObjectNotFound:
        client.upsert_global_concurrency_limit_by_name(GPU_LIMIT, GPU_SLOTS)


def _register(
    client: SyncPrefectClient,
    spec: DeploymentSpec,
    tree: Tree,
    schedule: ScheduleConfig,
    own_datasets: list[str],
) -> None:
    try:
        client.read_deployment_by_name(f"{spec.name}/{spec.name}")
        first = False
    except ObjectNotFound:
        first = True
    cron = CronSchedule(cron=schedule.cron, timezone=schedule.timezone)
    deployment = spec.flow.to_deployment(
        spec.name,
        description=(spec.flow.fn.__doc__ or "").partition("Args:")[0].strip(),
        tags=["nightforge"],
        parameters=spec.parameters(tree),
        schedule=(
            Schedule(cron=cron.cron, timezone=cron.timezone, active=schedule.active)
            if spec.scheduled and first
            else None
        ),
        concurrency_limit=(
            ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW)
            if spec.single
            else None
        ),
        entrypoint_type=EntrypointType.MODULE_PATH,
        work_pool_name=POOL,
    )
    assert isinstance(deployment, RunnerDeployment)
    # The form is drawn from the flow's signature, which cannot know a person's own datasets.
    for key, more in own_choices(own_datasets).items():
        if schema := deployment._parameter_openapi_schema.properties.get(key):
            schema["enum"] = [*schema["enum"], *more]
    if not first:
        # An update with no schedules would delete those on the server; one without the field
        # leaves them alone.
        deployment.model_fields_set.discard("schedules")
    deployment.apply(work_pool_name=POOL)
