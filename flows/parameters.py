"""A flow's parameters, checked before a run starts: types, ranges and choices."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, get_type_hints

from prefect import Flow
from pydantic import BaseModel, TypeAdapter, ValidationError

from components.catalog import unknown_key
from components.datasets.base import DatasetSpec
from components.errors import ConfigError
from components.jobs.context import registered_models
from components.params import Tree, check
from flows.forms import FINE_TUNED, TextDatasetName

DATASET, REGISTERED_MODEL = "dataset", "registered_model"


def own_choices(flow: Flow[..., None], own_datasets: Iterable[DatasetSpec]) -> dict[str, list[str]]:
    """What a flow's parameters may be besides what the catalogs know: a person's own datasets."""
    own = list(own_datasets)
    if get_type_hints(flow.fn, include_extras=True).get(DATASET) == TextDatasetName:
        own = [spec for spec in own if spec.task in FINE_TUNED]
    models = {model for spec in own for model in registered_models(spec.name, spec.kind)}
    return {DATASET: [spec.name for spec in own], REGISTERED_MODEL: sorted(models)}


def checked_parameters(
    flow: Flow[..., None],
    values: Mapping[str, Any],
    place: Callable[[str], str] = "parameter {}".format,
    own_datasets: Iterable[DatasetSpec] = (),
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
    hints = get_type_hints(flow.fn, include_extras=True)
    own = own_choices(flow, own_datasets)
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
