"""Trigger a deployment from the terminal: parameters, checks, and where it ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_type_hints
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import ObjectNotFound
from pydantic import BaseModel, TypeAdapter, ValidationError

from components.catalog import unknown_key
from components.errors import ConfigError, ServiceError
from components.params import Tree, check, load_profile, merge, parse_assignments
from components.settings import Settings
from flows.deployments import DEPLOYMENTS, DeploymentSpec


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
    """Start a run with the deployment's parameters, the profile and the assignments laid over.

    Raises:
        ConfigError: If a name or value is not one the flow accepts.
        ServiceError: If the server does not know the deployment.
    """
    spec = find_flow(name)
    overlay = spec.parameters(load_profile(settings.params_file, profile)) if profile else {}
    overlay = merge(overlay, parse_assignments(assignments))
    try:
        deployment = client.read_deployment_by_name(f"{name}/{name}")
    except ObjectNotFound:
        raise ServiceError(
            f"deployment {name}",
            got="a server that does not know it",
            wanted="a registered deployment",
            remedy="Run `nightforge up`, which registers all of them.",
        ) from None
    parameters = checked_parameters(spec, merge(deployment.parameters, overlay))
    tags = ["nightforge", f"profile:{profile}"] if profile else ["nightforge"]
    return client.create_flow_run_from_deployment(
        UUID(str(deployment.id)), parameters=parameters, tags=tags
    )


def checked_parameters(spec: DeploymentSpec, values: Tree) -> Tree:
    """The values as the flow will see them.

    Raises:
        ConfigError: For an unknown name or an unusable value.
    """
    hints = get_type_hints(spec.flow.fn, include_extras=True)
    schema: dict[str, Any] = spec.flow.parameters.properties
    checked: Tree = {}
    for key, value in values.items():
        if key not in schema:
            raise unknown_key(f"parameter of {spec.name}", key, schema)
        hint, where = hints[key], f"parameter {key}"
        if isinstance(hint, type) and issubclass(hint, BaseModel):
            checked[key] = check(hint, value or {}, where).model_dump(mode="json")
            continue
        if (known := schema[key].get("enum")) and value not in known:
            raise unknown_key(where, str(value), known)
        checked[key] = _plain(hint, value, where)
    return checked


def _plain(hint: Any, value: object, where: str) -> object:
    try:
        return TypeAdapter(hint).validate_python(value)
    except ValidationError as error:
        wanted = error.errors()[0]["msg"].removeprefix("Input should be ")
        raise ConfigError(
            where, got=repr(value), wanted=wanted, remedy="Correct the value."
        ) from None
