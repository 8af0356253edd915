"""What a Dask worker does before it registers, so that it takes a trial at once.

For `dask worker --preload=flows.cluster_worker`.
"""

from __future__ import annotations

from components.jobs.trial_processes import keep_spare, release_spares
from flows import tasks

__all__ = ["dask_setup", "dask_teardown", "tasks"]


def dask_setup(_: object) -> None:
    """Called by Dask in each worker process; the flow's imports are done by then."""
    keep_spare()


def dask_teardown(_: object) -> None:
    """Called by Dask when the worker ends."""
    release_spares()
