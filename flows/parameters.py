"""A flow's parameters, checked before a run starts: types, ranges and choices."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, get_type_hints

from prefect import Flow
from pydantic import BaseModel, TypeAdapter, ValidationError

from components.catalog import unknown_key
from components.datasets.base import DataKind
from components.errors import ConfigError
from components.jobs.context import registered_models
from components.params import Tree, check

DATASET, REGISTERED_MODEL = "dataset", "registered_model"


def own_choices(own_datasets: Iterable[str]) -> dict[str, list[str]]:
    """What parameters may be besides what the catalogs know, because of a person's own datasets."""
    names = list(own_datasets)
    models = [model for name in names for model in registered_models(name, DataKind.IMAGES)]
    return {DATASET: names, REGISTERED_MODEL: models}


def checked_parameters(
    flow: Flow[..., None],
    values: Mapping[str, Any],
    place: Callable[[str], str] = "parameter {}".format,
    own_datasets: Iterable[str] = (),
) -> Tree:
    """The values as the flow will see them.

    Args:
        flow: Its signature decides.
        values: Parameter names and values.
        place: How a person finds a parameter ("params.yaml: training").
        own_datasets: A person's own, which parameters may name besides the catalog's.

    Raises:
        ConfigError: For an unknown name or an unusable value.
    """
    hints, own = get_type_hints(flow.fn, include_extras=True), own_choices(own_datasets)
    schema: dict[str, Any] = flow.parameters.properties
    checked: Tree = {}
    for key, value in values.items():
        if key not in schema:
            raise unknown_key(f"parameter of {flow.name}", key, schema)
        hint, where = hints[key], place(key)
        if isinstance(hint, type) and issubclass(hint, BaseModel):
            checked[key] = check(hint, {} if value is None else value, where).model_dump(
                mode="json"
            )
            continue
        choices = [*schema[key].get("enum", ()), *own.get(key, ())]
        if choices and value not in choices:
            raise unknown_key(where, str(value), choices)
        checked[key] = _plain(hint, value, where)
    return checked


def _plain(hint: Any, value: object, where: str) -> object:
    adapter = TypeAdapter(hint)
    try:
        return adapter.dump_python(adapter.validate_python(value), mode="json")
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(
            ".".join([where, *map(str, first["loc"])]),
            got=repr(first["input"]),
            wanted=first["msg"].removeprefix("Input should be "),
            remedy="Correct the value.",
        ) from None
