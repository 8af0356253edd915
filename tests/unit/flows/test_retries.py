"""Which failures of a task are worth another attempt."""

from __future__ import annotations

import httpx
import pytest
from prefect.client.schemas.objects import TaskRun
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_CLIENT_CSRF_SUPPORT_ENABLED,
    PREFECT_CLIENT_MAX_RETRIES,
    temporary_settings,
)
from prefect.states import Failed

from components.errors import (
    CorruptDataError,
    PromotionError,
    TrackingError,
    TrackingUnavailableError,
)
from components.jobs.beside import Beside
from components.training.reporting import EpochMetrics
from flows import tasks
from tests.receivers import WebhookReceiver, serving

ASKED = httpx.Request("GET", "http://127.0.0.1/api")


def answered(status: int) -> httpx.HTTPStatusError:
    return httpx.HTTPStatusError("x", request=ASKED, response=httpx.Response(status))


PARTS = {"got": "one thing", "wanted": "another", "remedy": "Change it."}


@pytest.mark.parametrize(
    ("error", "retried"),
    [
        (TrackingError("x", **PARTS), True),
        (TrackingUnavailableError("x", **PARTS), True),
        (ConnectionRefusedError(), True),
        (TimeoutError(), True),
        (httpx.ReadTimeout("x"), True),
        (answered(500), True),
        (answered(422), False),
        (PromotionError("x", **PARTS), False),
        (CorruptDataError("x", **PARTS), False),
        (ValueError(), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_can_pass_is_retried(error: Exception, retried: bool) -> None:
    state = Failed(data=error)
    assert tasks.passing_trouble(tasks.evaluate, TaskRun.model_construct(), state) is retried


@pytest.mark.filterwarnings("ignore:Artifact creation outside:FutureWarning")
def test_a_server_that_cannot_show_an_epoch_ends_no_training() -> None:
    """As while Prefect's database is away."""
    epoch = EpochMetrics(1, 0.5, 0.8, 0.6, 0.7, 0.1, 3.0, 100.0, 5.0, 300.0)
    with serving(WebhookReceiver()) as receiver:
        refusing = {
            PREFECT_API_URL: f"{receiver.url}/410/api",
            PREFECT_CLIENT_MAX_RETRIES: 0,
            PREFECT_CLIENT_CSRF_SUPPORT_ENABLED: False,
        }
        with temporary_settings(refusing), Beside() as beside:
            tasks._ProgressArtifact("lenet", beside).on_epoch(epoch, 2)
            beside.wait()
    assert receiver.got[0]["data"] == 50
