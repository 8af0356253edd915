"""What the run form says about its fields."""

from __future__ import annotations

import pytest
from prefect.utilities.callables import ParameterSchema, parameter_schema
from pydantic import BaseModel, Field

from flows.deployments import DEPLOYMENTS
from flows.forms import say_ranges
from flows.pipeline import nightly


class Section(BaseModel):
    steps: int = Field(1, ge=1, le=70_000, description="How many")
    share: float = Field(0.5, ge=0, lt=1, description="Of the steps.")
    rate: float = Field(0.1, gt=0, le=2.5, description="How fast")
    fast: bool = Field(True, description="Whether it hurries")


@pytest.fixture
def section() -> ParameterSchema:
    def flow(section: Section) -> None:
        """Take a section."""

    return parameter_schema(flow)


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("steps", "How many (1 to 70,000)"),
        ("share", "Of the steps (at least 0, below 1)."),
        ("rate", "How fast (above 0, at most 2.5)"),
        ("fast", "Whether it hurries"),
    ],
)
def test_the_range_of_a_number_stands_in_its_help(
    section: ParameterSchema, field: str, text: str
) -> None:
    say_ranges(section)
    assert section.definitions["Section"]["properties"][field]["description"] == text


def test_every_number_of_a_night_shows_its_range() -> None:
    schema = parameter_schema(nightly.fn)
    say_ranges(schema)
    for section in ("TrainConfig", "GanConfig"):
        for field in schema.definitions[section]["properties"].values():
            if field["type"] in ("integer", "number"):
                assert field["description"].endswith(")"), field


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_a_deployment_is_described_in_whole_paragraphs(name: str) -> None:
    said = DEPLOYMENTS[name].description
    assert said
    for paragraph in said.split("\n\n"):
        assert paragraph.endswith("."), "cut in the middle"
        assert paragraph == paragraph.strip(), "Markdown takes indented text for code"
