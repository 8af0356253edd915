"""A worker without torch: its epochs are a formula. Told on standard input where to work."""

from __future__ import annotations

import json
import os
import signal
import sys

from components.errors import CheckpointError
from components.tuning.coordinator import Address, Worker
from tests.simulated import error_curve


def main() -> None:
    told = json.loads(sys.stdin.readline())
    worker = Worker(Address(**told["address"]))
    print("connected", flush=True)
    crashes = set(worker.setup.get("crashes", ()))
    while segment := worker.claim():
        if segment.trial in crashes:
            os.kill(os.getpid(), signal.SIGKILL)
        if segment.trial == worker.setup.get("full"):
            words = {"got": "No space left", "wanted": "space", "remedy": "Free some."}
            worker.fatal(CheckpointError("checkpoint", **words))
        if segment.trial == worker.setup.get("fails"):
            worker.failed("an  operator\nwas missing")
            continue
        values = error_curve(segment.config).values
        for epoch in range(1, segment.resource + 1):  # the earlier ones are told again
            if not worker.epoch(epoch, {"error": values[epoch - 1], "seconds": epoch / 8}):
                break
        else:
            worker.done()


if __name__ == "__main__":
    main()
