"""More things that are not there, in memory and over MLflow."""

from __future__ import annotations

import pytest
from both_services import Services
from matplotlib.figure import Figure

from components.errors import TrackingError
from components.tracking.base import CHAMPION, ModelVersion


def test_a_version_that_is_not_there_cannot_be_loaded(services: Services) -> None:
    gone = ModelVersion(services.model, 1, "0" * 32, "nowhere", {})
    with pytest.raises(TrackingError):
        services.registry.load(gone)


def test_a_figure_of_an_unknown_run_is_a_tracking_error(services: Services) -> None:
    with pytest.raises(TrackingError):
        services.tracker.log_figure("0" * 32, "picture.png", Figure(figsize=(1, 1)))


def test_a_metric_of_a_run_that_logged_none_has_step_zero(services: Services) -> None:
    assert services.tracker.last_step(services.run().run_id, "loss") == 0


def test_an_alias_of_a_model_without_versions_is_none(services: Services) -> None:
    services.registry.tag_model(services.model, {})
    assert services.registry.by_alias(services.model, CHAMPION) is None


def test_the_tags_of_an_unknown_model_are_empty(services: Services) -> None:
    assert services.registry.model_tags(services.model) == {}
