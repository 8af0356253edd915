"""Every deployment's form explains itself and begins with the numbers of params.yaml."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import pytest
from prefect.deployments.runner import RunnerDeployment

from components.datasets.base import DatasetSpec
from components.datasets.own import own_dataset
from components.params import load_params, merge
from components.settings import PROJECT_ROOT
from flows.deployments import (
    DEPLOYMENTS,
    QUEUES,
    Purpose,
    Queue,
    ScheduleConfig,
    deployment_of,
)

Field = dict[str, Any]

TREE = load_params(PROJECT_ROOT / "params.yaml")
LOWER, UPPER = {"minimum", "exclusiveMinimum"}, {"maximum", "exclusiveMaximum"}
# They stand for any field of any section, which checks them itself.
ANY_NUMBER = {"Distribution.low", "Distribution.high", "Distribution.values", "sweep.points"}
ENDLESS = {"rollback.to"}  # versions are counted on and on


def deployed(name: str, own_datasets: list[DatasetSpec]) -> RunnerDeployment:
    return deployment_of(DEPLOYMENTS[name], TREE, ScheduleConfig(), own_datasets)


def fields(name: str) -> Iterator[tuple[str, Field]]:
    """All fields of a form as (flow.parameter or Section.field, schema)."""
    form = deployed(name, [])._parameter_openapi_schema
    sections = {key: section.get("properties", {}) for key, section in form.definitions.items()}
    for section, properties in {name: form.properties, **sections}.items():
        for key, field in properties.items():
            yield f"{section}.{key}", field


def numbers(field: Field) -> Iterator[Field]:
    """The numbers that a field is made of: itself, its items, or one of its alternatives."""
    if field.get("type") in ("integer", "number"):
        yield field
    for part in (field.get("items"), *field.get("anyOf", ())):
        yield from numbers(part) if part else ()


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_every_field_has_a_help_text(name: str) -> None:
    assert [path for path, field in fields(name) if not field.get("description")] == []


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_every_number_has_a_range(name: str) -> None:
    for path, field in fields(name):
        for number in numbers(field):
            assert LOWER & set(number) or path in ANY_NUMBER, path
            assert UPPER & set(number) or path in ANY_NUMBER | ENDLESS, path


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_fields_stand_in_the_order_in_which_they_are_written(name: str) -> None:
    form = deployed(name, [])._parameter_openapi_schema
    sections = [section.get("properties", {}) for section in form.definitions.values()]
    for properties in (form.properties, *sections):
        assert [field["position"] for field in properties.values()] == list(range(len(properties)))


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_a_form_begins_with_what_would_run(name: str) -> None:
    """Wherever params.yaml says nothing, with the default of the flow or of the section."""
    deployment = deployed(name, [])
    form = deployment._parameter_openapi_schema
    for key, wanted in DEPLOYMENTS[name].parameters(TREE).items():
        shown = form.properties[key]["default"]
        assert merge({key: shown}, {key: wanted}, whole=()) == {key: shown}
        assert deployment.parameters[key] == shown
        if section := form.properties[key].get("$ref"):
            inside = form.definitions[section.rpartition("/")[2]]["properties"]
            assert {name: field["default"] for name, field in inside.items()} == shown


def test_a_section_inside_a_section_has_its_defaults_as_well() -> None:
    form = deployed("nightly", [])._parameter_openapi_schema
    assert form.definitions["DcganConfig"]["properties"]["width"]["default"] == 64
    assert form.properties["training"]["default"]["epochs"] == TREE["training"]["epochs"]


def own(name: str, source: str, task: str = "classification") -> DatasetSpec:
    return own_dataset(name, {"fetch": {"source": source}, "prepare": {"task": task}})


OWN = [
    own("pictures", "/pictures.zip"),
    own("opinions", "/opinions.csv"),
    own("rhymes", "/rhymes.jsonl", "language modelling"),
]


@pytest.mark.parametrize(
    ("name", "key", "more"),
    [
        ("nightly", "dataset", {"pictures", "opinions", "rhymes"}),
        ("finetune", "dataset", {"opinions"}),
        ("rollback", "registered_model", {"pictures-classifier", "opinions-classifier"}),
    ],
)
def test_a_persons_own_datasets_are_choices_where_they_fit(
    name: str, key: str, more: set[str]
) -> None:
    plain, mine = (deployed(name, own)._parameter_openapi_schema for own in ([], OWN))
    added = set(mine.properties[key]["enum"]) - set(plain.properties[key]["enum"])
    assert added == more if key == "dataset" else added >= more


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_a_deployment_says_what_it_is_for_and_where_it_runs(name: str) -> None:
    deployment = deployed(name, [])
    assert deployment.tags == ["nightforge", DEPLOYMENTS[name].purpose]
    assert deployment.work_queue_name == DEPLOYMENTS[name].queue
    trains = "training" in deployment.parameters or name == "evaluate"  # which trains what it says
    assert trains == (deployment.work_queue_name == "gpu")


def test_every_queue_and_purpose_is_used() -> None:
    assert set(QUEUES) == set(get_args(Queue)) == {spec.queue for spec in DEPLOYMENTS.values()}
    assert {spec.purpose for spec in DEPLOYMENTS.values()} == set(get_args(Purpose))
