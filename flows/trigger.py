"""Trigger a deployment from the terminal: parameters, checks, and where it ended."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import ObjectNotFound

from components.catalog import unknown_key
from components.errors import ServiceError
from components.params import load_profile, load_recipes, merge, parse_assignments
from components.settings import Settings
from flows.deployments import (
    DEPLOYMENTS,
    DeploymentSpec,
    checked_params,
    completed_night,
    datasets_of,
)
from flows.parameters import checked_parameters
from flows.probes import TAG


def find_flow(name: str) -> DeploymentSpec:
    """The deployment called `name`.

    Raises:
        UnknownKeyError: If there is none.
    """
    if name not in DEPLOYMENTS:
        raise unknown_key("flow", name, DEPLOYMENTS)
    return DEPLOYMENTS[name]


def trigger(
    client: SyncPrefectClient,
    settings: Settings,
    name: str,
    profile: str | None,
    assignments: Sequence[str],
) -> FlowRun:
    """Start a run with the deployment's parameters, laid over by what is asked for.

    Where the profile or an assignment names a model, its recipe lies below them.

    Raises:
        ConfigError: If params.yaml is not usable, or a name or value is not one the flow accepts.
        ServiceError: If the server does not know the deployment.
    """
    spec = find_flow(name)
    checked_params(settings)
    overlay = spec.parameters(load_profile(settings.params_file, profile)) if profile else {}
    overlay = merge(overlay, parse_assignments(assignments))
    recipe = load_recipes(settings.params_file).get(str(overlay.get("model")), {})
    overlay = merge(spec.parameters(recipe), overlay)
    try:
        deployment = client.read_deployment_by_name(f"{name}/{name}")
    except ObjectNotFound:
        raise ServiceError(
            f"deployment {name}",
            got="a server that does not know it",
            wanted="a registered deployment",
            remedy="Run `nightforge up`, which registers all of them.",
        ) from None
    parameters = checked_parameters(
        spec.flow,
        completed_night(merge(deployment.parameters, overlay), settings),
        own_datasets=datasets_of(settings).own_specs(),
    )
    spec.refuse(parameters)
    tags = [TAG, f"profile:{profile}"] if profile else [TAG]
    return client.create_flow_run_from_deployment(
        UUID(str(deployment.id)), parameters=parameters, tags=tags
    )
