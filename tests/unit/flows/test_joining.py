"""What a command does while another process starts or stops the servers, or when they are gone."""

from __future__ import annotations

import fcntl
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest
from prefect.client.orchestration import SyncPrefectClient

from components.errors import ServiceError
from components.settings import Settings
from flows.cli import answering
from flows.embedded import Embedded


def test_nothing_is_waited_for_where_nothing_ever_ran(tmp_path: Path) -> None:
    assert Embedded(Settings(home=tmp_path)).join() is None
    assert list(tmp_path.iterdir()) == []


def test_a_start_or_stop_under_way_is_waited_for(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    order: list[str] = []

    def join() -> object:
        found = Embedded(Settings(home=tmp_path)).join()
        order.append("joined")
        return found

    with ThreadPoolExecutor(1) as pool:
        with (tmp_path / "run" / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            joining = pool.submit(join)
            order.append("released")
        assert joining.result() is None
    assert order == ["released", "joined"]


def test_a_server_that_is_gone_is_one_clear_error(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    with (
        pytest.raises(ServiceError, match="nightforge status") as caught,
        answering(settings),
        SyncPrefectClient("http://127.0.0.1:9/api") as client,
    ):
        client.read_flow_run(uuid4())
    assert "ConnectError" in caught.value.got


def test_other_errors_are_left_as_they_are(tmp_path: Path) -> None:
    with pytest.raises(KeyError), answering(Settings(home=tmp_path)):
        raise KeyError
