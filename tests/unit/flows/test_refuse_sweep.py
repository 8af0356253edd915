"""What is refused before a sweep's run starts."""

from __future__ import annotations

from typing import Any

import pytest

from components.errors import ConfigError, StudyError
from components.params import load_params
from components.settings import PROJECT_ROOT
from flows.deployments import DEPLOYMENTS
from flows.parameters import checked_parameters
from flows.sweep import refuse_sweep


@pytest.fixture
def parameters() -> dict[str, Any]:
    """As the deployment is registered."""
    spec = DEPLOYMENTS["sweep"]
    tree = load_params(PROJECT_ROOT / "params.yaml")
    return checked_parameters(spec.flow, spec.parameters(tree))


def test_the_defaults_and_profiles_are_accepted(parameters: dict[str, Any]) -> None:
    refuse_sweep(parameters)
    for profile in ("book_sweep", "resnet_sweep"):
        spec = DEPLOYMENTS["sweep"]
        tree = load_params(PROJECT_ROOT / "params.yaml", profile)
        spec.refuse(checked_parameters(spec.flow, spec.parameters(tree)))


CHOICE = {"distribution": "choice", "low": None, "high": None}


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"study": "../x"}, ConfigError, "small letters"),
        ({"space": {}}, ConfigError, "no field"),
        ({"space": {"momentun": CHOICE | {"values": [0.9]}}}, ConfigError, "'momentum'"),
        ({"space": {"momentum": CHOICE | {"values": [1.5]}}}, ConfigError, "less than 1"),
        ({"points": [{"lr": 7}]}, ConfigError, r"points\[0\]"),
        ({"metric": "kernel_distance"}, ConfigError, "what lenet reports"),
        ({"warm_start": "nothing"}, StudyError, "study list"),
    ],
)
def test_what_no_study_can_be_is_refused(
    parameters: dict[str, Any], change: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        refuse_sweep(parameters | change)
