"""One attempt at a time at the work in a folder, and no write by one that was given up."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from components.fencing import Fence, fence_of
from components.jobs.context import FlowRunRef
from components.jobs.locks import try_lock

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
    lock = folder.with_name(folder.name + ".lock")
    while True:
        with try_lock(lock) as mine:
            if mine:
                lock.write_text(f"{flow_run.id} {flow_run.attempt}" if flow_run else "")
                yield Fence.take(fence_of(folder))
                return
        if _older(lock, flow_run):
            lock.unlink(missing_ok=True)  # whoever comes now locks another file
        else:
            time.sleep(POLL_SECONDS)


def _older(lock: Path, flow_run: FlowRunRef | None) -> bool:
    """Whether the holder is an earlier attempt of the same flow run."""
    try:
        holder, _, attempt = lock.read_text().rpartition(" ")
    except FileNotFoundError:
        return False
    return flow_run is not None and holder == flow_run.id and int(attempt) < flow_run.attempt
