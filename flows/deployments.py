"""Work pool, limits and deployments, registered again at each start without undoing edits."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal

from prefect import Flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.deployments.runner import RunnerDeployment
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.schedules import Schedule
from prefect.types.entrypoint import EntrypointType
from prefect.workers.process import ProcessWorker
from pydantic_core import to_jsonable_python

from components.catalog import unknown_key
from components.datasets.base import DatasetSpec
from components.datasets.drift import DriftConfig
from components.datasets.sections import OWN_FILE, Datasets
from components.models import MODELS
from components.params import Tree, check, load_params, load_recipes, merge, profile_names
from components.promotion.policy import PromotionParams
from components.settings import Settings
from flows.compare import compare
from flows.data import data
from flows.evaluate import evaluate
from flows.finetune import finetune
from flows.forms import say_ranges, show_defaults
from flows.limits import GPU_LIMIT, GPU_SLOTS, ensure_limit
from flows.night import complete
from flows.notifications import NotificationConfig
from flows.parameters import checked_parameters, own_choices
from flows.pipeline import nightly
from flows.probes import POOL, TAG
from flows.promote import promote
from flows.reconcile import reconcile
from flows.reconciler import ReconcileConfig
from flows.registry import registry
from flows.rollback import rollback
from flows.schedule import ScheduleConfig
from flows.self_check import self_check
from flows.sweep import refuse_sweep, sweep
from flows.train import train

Queue = Literal["cpu", "gpu"]
Purpose = Literal["retraining", "data", "evaluation", "registry", "operations"]
QUEUES: dict[Queue, str] = {
    "cpu": "Light runs: data, registry, self_check.",
    "gpu": "Runs that train; a machine with GPUs can serve this queue alone.",
}


@dataclass(frozen=True)
class DeploymentSpec:
    """A flow as it is deployed.

    Attributes:
        flow: What runs.
        queue: Of the work pool: `gpu` for flows that train or sweep, `cpu` for the light ones.
        purpose: What it is for; a tag of the deployment and of its runs.
        own: Sections of params.yaml whose values are parameters of their own; what the last one
            says goes, and all its keys must be parameters.
        sections: Sections of params.yaml that are parameters under their own name.
        scheduled: Whether the schedule of params.yaml is attached.
        single: Whether a second run at the same time is cancelled.
        refuse: Raises a ConfigError for parameters that are right one by one and wrong together.
        model: The model it always trains, whose recipe lies over params.yaml.
    """

    flow: Flow[..., None]
    own: tuple[str, ...]
    queue: Queue = field(kw_only=True)
    purpose: Purpose = field(kw_only=True)
    sections: tuple[str, ...] = ()
    scheduled: bool = False
    single: bool = False
    refuse: Callable[[Tree], None] = lambda parameters: None
    model: str | None = None

    @property
    def name(self) -> str:
        """Name of the flow and of its deployment."""
        return self.flow.name

    @property
    def description(self) -> str:
        """What the flow's docstring says before its arguments, a line for each paragraph."""
        text = (inspect.getdoc(self.flow.fn) or "").partition("Args:")[0].strip()
        return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))

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

    def check(
        self, tree: Mapping[str, Any], where: str, own_datasets: Iterable[DatasetSpec]
    ) -> None:
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


ALSO = "also"
TRAINED = ("training", "gan", "network")  # sections that say how models are trained
DEPLOYMENTS: dict[str, DeploymentSpec] = {
    spec.name: spec
    for spec in (
        DeploymentSpec(
            nightly,
            ("nightly",),
            TRAINED,
            queue="gpu",
            purpose="retraining",
            scheduled=True,
            single=True,
        ),
        DeploymentSpec(data, ("nightly",), queue="cpu", purpose="data"),
        DeploymentSpec(train, ("nightly",), TRAINED, queue="gpu", purpose="retraining"),
        DeploymentSpec(
            sweep,
            ("nightly", "sweep"),
            TRAINED,
            queue="gpu",
            purpose="retraining",
            refuse=refuse_sweep,
        ),
        DeploymentSpec(
            finetune,
            ("finetune",),
            ("training", "network"),
            queue="gpu",
            purpose="retraining",
            model="encoder",
        ),
        DeploymentSpec(evaluate, (), queue="gpu", purpose="evaluation"),
        DeploymentSpec(compare, (), queue="cpu", purpose="registry"),
        DeploymentSpec(promote, (), queue="cpu", purpose="registry"),
        DeploymentSpec(rollback, (), queue="cpu", purpose="registry"),
        DeploymentSpec(registry, (), queue="cpu", purpose="registry"),
        DeploymentSpec(self_check, ("nightly",), queue="cpu", purpose="operations"),
        DeploymentSpec(reconcile, (), queue="cpu", purpose="operations"),
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
    tree, own = load_params(path), datasets.own_specs()
    _check_sections(tree, path.name, own)
    for profile in profile_names(path):
        where = f"{path.name} with profile {profile}"
        _check_sections(load_params(path, profile), where, own)
    for model, overlay in load_recipes(path).items():
        MODELS.module(model)
        where = f"{path.name} with the recipe of {model}"
        DEPLOYMENTS["train"].check(merge(tree, overlay), where, own)
    return tree | {"nightly": completed_night(tree.get("nightly", {}), settings)}


def completed_night(parameters: Tree, settings: Settings) -> Tree:
    """A night's parameters, in which each further model says all of what it is.

    Raises:
        UnknownKeyError: If one names a model or a dataset that does not exist.
    """
    if not parameters.get(ALSO):
        return parameters
    return parameters | {ALSO: complete(parameters[ALSO], settings)}


def _check_sections(tree: Tree, where: str, own_datasets: Iterable[DatasetSpec]) -> None:
    check(DriftConfig, tree.get("drift", {}), f"{where}: drift")
    check(PromotionParams, tree.get("promotion", {}), f"{where}: promotion")
    check(NotificationConfig, tree.get("notifications", {}), f"{where}: notifications")
    check(ScheduleConfig, tree.get("schedule", {}), f"{where}: schedule")
    check(ReconcileConfig, tree.get("reconcile", {}), f"{where}: reconcile")
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
    tree, own = checked_params(settings), datasets_of(settings).own_specs()
    schedule = ScheduleConfig.model_validate(tree.get("schedule", {}))
    with get_client(sync_client=True) as client:
        _ensure_pool(client)
        ensure_limit(client, GPU_LIMIT, GPU_SLOTS)
        for spec in DEPLOYMENTS.values():
            recipe = load_recipes(settings.params_file).get(spec.model or "", {})
            _register(client, spec, merge(tree, recipe), schedule, own)


def _ensure_pool(client: SyncPrefectClient) -> None:
    """Make the pool and its queues, as far as there are none; looked up first as limits are."""
    template = ProcessWorker.get_default_base_job_template()
    pool = WorkPoolCreate(name=POOL, type="process", base_job_template=template)
    try:
        client.read_work_pool(POOL)
    except ObjectNotFound:
        with suppress(ObjectAlreadyExists):
            client.create_work_pool(pool)
    there = {queue.name for queue in client.read_work_queues(work_pool_name=POOL)}
    for name, description in QUEUES.items():
        if name not in there:
            with suppress(ObjectAlreadyExists):
                client.create_work_queue(name, description, work_pool_name=POOL)


def _register(
    client: SyncPrefectClient,
    spec: DeploymentSpec,
    tree: Tree,
    schedule: ScheduleConfig,
    own_datasets: list[DatasetSpec],
) -> None:
    deployment = deployment_of(spec, tree, schedule, own_datasets)
    with suppress(ObjectNotFound):
        client.read_deployment_by_name(f"{spec.name}/{spec.name}")
        # An update with no schedules would delete those on the server; one without the field
        # leaves them alone.
        deployment.schedules = None
        deployment.model_fields_set.discard("schedules")
    deployment.apply(work_pool_name=POOL)


def deployment_of(
    spec: DeploymentSpec, tree: Tree, schedule: ScheduleConfig, own_datasets: list[DatasetSpec]
) -> RunnerDeployment:
    """A deployment as it is registered for the first time; its form shows what would run."""
    own = spec.parameters(tree)
    parameters = to_jsonable_python(checked_parameters(spec.flow, own, own_datasets=own_datasets))
    deployment = spec.flow.to_deployment(
        spec.name,
        description=spec.description,
        tags=[TAG, spec.purpose],
        parameters=parameters,
        schedule=(
            Schedule(cron=schedule.cron, timezone=schedule.timezone, active=schedule.active)
            if spec.scheduled
            else None
        ),
        concurrency_limit=(
            ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW)
            if spec.single
            else None
        ),
        entrypoint_type=EntrypointType.MODULE_PATH,
        work_pool_name=POOL,
        work_queue_name=spec.queue,
    )
    assert isinstance(deployment, RunnerDeployment)
    form = deployment._parameter_openapi_schema
    # The form is drawn from the flow's signature, which cannot know a person's own datasets.
    for key, more in own_choices(spec.flow, own_datasets).items():
        if schema := form.properties.get(key):
            schema["enum"] = [*schema["enum"], *more]
    say_ranges(form)
    show_defaults(form, parameters)
    return deployment
