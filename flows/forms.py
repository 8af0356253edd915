"""Types of flow parameters: what the run form in the Prefect UI shows and checks.

Their help texts come from the flows' docstrings.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from prefect.utilities.callables import ParameterSchema
from pydantic import Field

from components.datasets import DATASETS
from components.datasets.base import TextTask
from components.jobs.context import registered_models
from components.models import MODELS
from components.tuning import SCHEDULERS, SEARCHERS

_REGISTERED = sorted(
    model for name in DATASETS for model in registered_models(name, DATASETS.get(name).kind)
)

# What an encoder is fine-tuned for, and what other texts are learned by, from scratch.
FINE_TUNED = {
    TextTask.CLASSIFICATION: "encoder",
    TextTask.TOKENS: "token_classifier",
    TextTask.SPANS: "span_extractor",
}
FROM_SCRATCH = {TextTask.GENERATION: "seq2seq", TextTask.LANGUAGE: "causal_lm"}
_TEXTS = [name for name in DATASETS if DATASETS.get(name).task in FINE_TUNED]

# A person's own datasets are added to these choices when the deployments are registered.
DatasetName = Annotated[str, Field(json_schema_extra={"enum": list(DATASETS)})]
TextDatasetName = Annotated[str, Field(json_schema_extra={"enum": _TEXTS})]
RegisteredModelName = Annotated[str, Field(json_schema_extra={"enum": _REGISTERED})]
ModelName = Annotated[str, Field(json_schema_extra={"enum": list(MODELS)})]
SearcherName = Annotated[str, Field(json_schema_extra={"enum": list(SEARCHERS)})]
SchedulerName = Annotated[str, Field(json_schema_extra={"enum": list(SCHEDULERS)})]
# A version's number may come as one, from the command line.
Candidate = Annotated[str, Field(coerce_numbers_to_str=True)]
Workers = Annotated[int, Field(ge=1, le=1024)]
Seed = Annotated[int, Field(ge=0, le=2**31 - 1)]
ModeName = Literal["auto", "max", "min"]

_BOUNDS = {
    "minimum": "at least",
    "exclusiveMinimum": "above",
    "maximum": "at most",
    "exclusiveMaximum": "below",
}


def say_ranges(schema: ParameterSchema) -> None:
    """Add its range to the help text of each number; the form checks it, but does not show it."""
    for fields in (schema.properties, *_sections(schema)):
        for field in fields.values():
            if (bounds := _range(field)) and "description" in field:
                text: str = field["description"]
                end = "." if text.endswith(".") else ""
                field["description"] = f"{text.removesuffix('.')} ({bounds}){end}"


def _sections(schema: ParameterSchema) -> Iterator[dict[str, Any]]:
    for definition in schema.definitions.values():
        yield definition.get("properties", {})


def _range(field: Mapping[str, Any]) -> str:
    """Such as `1 to 1,000` or `at least 0, below 1`; empty for what has no bounds."""
    bounds = {key: _number(field[key]) for key in _BOUNDS if key in field}
    if bounds.keys() == {"minimum", "maximum"}:
        return "{minimum} to {maximum}".format(**bounds)
    return ", ".join(f"{_BOUNDS[key]} {value}" for key, value in bounds.items())


def _number(value: float) -> str:
    return f"{int(value):,}" if value == int(value) else f"{value:g}"


def show_defaults(form: ParameterSchema, parameters: Mapping[str, Any]) -> None:
    """Let a form begin with a deployment's parameters, and keep the order of sections' fields.

    A form begins with the defaults of the classes otherwise, wherever a person empties a section.
    """
    _set_defaults(form.properties, form.definitions, parameters)
    for section in form.definitions.values():
        # A database may give the keys of a JSON object back in another order.
        for position, field in enumerate(section.get("properties", {}).values()):
            field["position"] = position


def _set_defaults(
    fields: Mapping[str, Any], sections: Mapping[str, Any], values: Mapping[str, Any]
) -> None:
    for name, value in values.items():
        fields[name]["default"] = value
        if reference := fields[name].get("$ref"):
            section = sections[reference.rpartition("/")[2]]
            _set_defaults(section["properties"], sections, value)
