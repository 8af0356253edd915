"""One attempt at a time at the work in a folder, and no write by one that was given up."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path

from components.fencing import Fence, fence_of
from components.jobs.context import FlowRunRef

POLL_SECONDS = 0.2


@contextmanager
def only_attempt(folder: Path, flow_run: FlowRunRef | None) -> Iterator[Fence]:
    """Wait until nobody else works in `folder`, then keep others out.

    An older attempt of the same flow run is not waited for: the run was started again because that
    one was taken for dead, and if it lives it may write no more.

    Args:
        folder: Where the work is; the lock stands beside it.
        flow_run: Who asks; None outside a flow run.

    Yields:
        The right to write.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = _locked(folder.with_name(folder.name + ".lock"), flow_run)
    try:
        yield Fence.take(fence_of(folder))
    finally:
        lock.close()


def _locked(path: Path, flow_run: FlowRunRef | None) -> TextIOWrapper:
    while True:
        lock = path.open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if _older(lock, flow_run):
                path.unlink(missing_ok=True)  # whoever comes now locks another file
            else:
                time.sleep(POLL_SECONDS)
            lock.close()
            continue
        if _still(path, lock):
            lock.truncate(0)
            lock.write(f"{flow_run.id} {flow_run.attempt}" if flow_run else "")
            lock.flush()
            return lock
        lock.close()


def _older(lock: TextIOWrapper, flow_run: FlowRunRef | None) -> bool:
    """Whether the holder is an earlier attempt of the same flow run."""
    lock.seek(0)
    holder, _, attempt = lock.read().rpartition(" ")
    return flow_run is not None and holder == flow_run.id and int(attempt) < flow_run.attempt


def _still(path: Path, lock: TextIOWrapper) -> bool:
    """Whether the locked file is the one that stands at the path."""
    try:
        return os.path.samestat(os.fstat(lock.fileno()), path.stat())
    except FileNotFoundError:
        return False
