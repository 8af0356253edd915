"""The process of one contestant: `python -m components.benchmarks.side MODULE:FUNCTION ROOT`."""

from __future__ import annotations

import importlib
import resource
import sys
import time
from pathlib import Path

from components.benchmarks.base import SECONDS

KIBIBYTE = 1024 if sys.platform == "linux" else 1  # the unit of ru_maxrss


def serve(make: str, root: Path) -> None:
    """In the process of one side: run the work once for each line of standard input."""
    module, _, function = make.partition(":")
    work = getattr(importlib.import_module(module), function)(root)
    for _ in sys.stdin:
        start = time.perf_counter()
        work()
        seconds = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIBIBYTE
        print(f"{SECONDS}{seconds} {peak}", flush=True)


if __name__ == "__main__":
    serve(sys.argv[1], Path(sys.argv[2]))
