"""What Prefect's flow runs say to whoever cleans up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from prefect.client.schemas.objects import FlowRun, State, StateType

from flows.flow_history import PrefectHistory
from flows.reconciler import GIVEN_UP, RECONCILE

NOW = datetime.now(UTC)
HOUR = timedelta(hours=1)


def stored(state: StateType, *, name: str = "nightly", tags: tuple[str, ...] = (), **fields):
    times = {"start_time": NOW - 2 * HOUR, "end_time": NOW - HOUR, "parameters": {}} | fields
    run = FlowRun(flow_id=uuid4(), name=name, tags=list(tags), state=State(type=state), **times)
    return PrefectHistory(NOW - 3 * HOUR)._stored(run)


@pytest.mark.parametrize(
    ("parameters", "datasets"),
    [
        ({"dataset": "a"}, {"a"}),
        ({"dataset": "a", "also": [{"dataset": "b"}, {"dataset": "a"}]}, {"a", "b"}),
        ({"dataset": "a", "also": [{"model": "dcgan"}]}, set()),  # it has the usual one
        ({"registered_model": "x"}, set()),
    ],
)
def test_a_run_names_all_datasets_that_it_works_on_or_none(parameters, datasets) -> None:
    assert stored(StateType.RUNNING, parameters=parameters).datasets == datasets


@pytest.mark.parametrize(
    ("state", "fields", "under_way"),
    [
        (StateType.RUNNING, {}, True),
        (StateType.PENDING, {"start_time": None, "expected_start_time": NOW}, True),
        (StateType.SCHEDULED, {}, True),  # waits for another attempt
        (StateType.SCHEDULED, {"start_time": None, "expected_start_time": NOW}, False),
        (StateType.COMPLETED, {}, False),
        (StateType.CRASHED, {}, True),
        (StateType.CRASHED, {"end_time": NOW - 4 * HOUR}, False),
        (StateType.CRASHED, {"tags": (GIVEN_UP,)}, False),
        (StateType.CRASHED, {"name": RECONCILE}, False),
    ],
)
def test_a_run_is_under_way_until_it_is_over_for_good(state, fields, under_way: bool) -> None:
    assert stored(state, **fields).under_way is under_way
