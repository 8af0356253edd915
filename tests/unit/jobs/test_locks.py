"""Locks by files that their holder may remove."""

from __future__ import annotations

import threading
from pathlib import Path

from components.jobs.locks import exclusive, held


def somebody_waits_for(lock: Path) -> bool:
    node = f":{lock.stat().st_ino} "
    lines = Path("/proc/locks").read_text("utf-8").splitlines()
    return any("->" in line and node in line for line in lines)


def test_a_lock_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    lock = tmp_path / "a.lock"
    assert not held(lock)
    with exclusive(lock) as mine, exclusive(lock, wait=False) as other:
        assert (mine, other) == (True, False)
        assert held(lock)
    assert not held(lock)


def test_who_waited_for_a_removed_lock_holds_the_one_that_is_there_now(tmp_path: Path) -> None:
    lock, has_it, may_end = tmp_path / "a.lock", threading.Event(), threading.Event()

    def wait() -> None:
        with exclusive(lock):
            has_it.set()
            may_end.wait(60)

    waiting = threading.Thread(target=wait)
    with exclusive(lock):
        waiting.start()
        while not somebody_waits_for(lock):
            pass  # pytest's time limit ends it
        lock.unlink()
    assert has_it.wait(60)
    assert held(lock)
    may_end.set()
    waiting.join()
