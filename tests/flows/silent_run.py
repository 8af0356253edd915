"""A flow run without a process, over real servers; prints what the reconciler made of it as JSON.

Args: how often it may be started again.
"""

from __future__ import annotations

import json
import os
import sys

from components.settings import Settings
from components.tracking.base import DatasetInput, RunSpec, Tag
from flows.connection import job_context
from tests.waiting import until


def main(restarts: int) -> None:
    """It claims to be running, but died before it could say which process it is."""
    context = job_context(Settings.from_environment(os.environ))  # before prefect is imported
    from prefect.client.orchestration import get_client
    from prefect.states import Running

    from flows import reconciler
    from flows.reconciler import ReconcileConfig, Reconciler

    reconciler.SETTLED_SECONDS = 0  # no worker will tell of a process that never was
    config = ReconcileConfig(silent_seconds=1, restarts=restarts)
    with get_client(sync_client=True) as client:
        deployment = client.read_deployment_by_name("self_check/self_check")
        run = client.create_flow_run_from_deployment(deployment.id, state=Running())
        data = DatasetInput("silent", "a" * 32, "nowhere", {})
        spec = RunSpec("silent", "silent", str(run.id), {}, {Tag.FLOW_RUN: str(run.id)}, data)
        tracked = context.tracker.start(spec)
        lines: list[str] = []
        watching = Reconciler(context.settings, config, client, context.tracker)

        def closed() -> bool:  # in both, and what comes after
            lines.extend(watching.reconcile())
            return len(lines) >= 3

        until(closed)
        ended = context.tracker.get(tracked.run_id)
        tags = client.read_flow_run(run.id).tags
    found = {
        "id": str(run.id),
        "lines": lines,
        "tracked": ended.status,
        "closed": ended.tags.get(Tag.CLOSED),
        "tags": tags,
    }
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]))
