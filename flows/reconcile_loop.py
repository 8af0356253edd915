"""`python -m flows.reconcile_loop`: look after crashed runs for ever, in a small process."""

from __future__ import annotations

import os
import sys
import time
from datetime import UTC, datetime

import httpx

from components.errors import NightforgeError
from components.jobs.context import JobContext
from components.settings import Settings
from flows.reconciler import reconcile_config, reconcile_now


def main() -> None:
    """Never ends; a server that does not answer is tried again at the next look."""
    try:
        settings = Settings.from_environment(os.environ)
        context = JobContext.connect(settings)
        pause = reconcile_config(settings).every_seconds
    except NightforgeError as error:
        sys.exit(str(error))
    while True:
        for line in _look(context):
            now = datetime.now(UTC).isoformat(" ", "seconds")
            sys.stdout.write(f"{now} {' '.join(line.split())[:500]}\n")
            sys.stdout.flush()
        settings.reconciled.touch()
        time.sleep(pause)


def _look(context: JobContext) -> list[str]:
    try:
        return reconcile_now(context)
    except (NightforgeError, httpx.HTTPError, OSError) as error:
        return [f"{type(error).__name__}: {error}"]


if __name__ == "__main__":
    main()
