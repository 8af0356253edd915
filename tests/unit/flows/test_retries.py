"""Which failures of a task are worth another attempt."""

from __future__ import annotations

import pytest
from prefect.client.schemas.objects import TaskRun
from prefect.states import Failed

from components.errors import (
    CorruptDataError,
    PromotionError,
    TrackingError,
    TrackingUnavailableError,
)
from flows import tasks

PARTS = {"got": "one thing", "wanted": "another", "remedy": "Change it."}


@pytest.mark.parametrize(
    ("error", "retried"),
    [
        (TrackingError("x", **PARTS), True),
        (TrackingUnavailableError("x", **PARTS), True),
        (ConnectionRefusedError(), True),
        (TimeoutError(), True),
        (PromotionError("x", **PARTS), False),
        (CorruptDataError("x", **PARTS), False),
        (ValueError(), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_can_pass_is_retried(error: Exception, retried: bool) -> None:
    state = Failed(data=error)
    assert tasks.passing_trouble(tasks.evaluate, TaskRun.model_construct(), state) is retried
