"""`python -m flows.await_server URL COMMAND...`: become COMMAND once URL answers.

Started beside the server, a worker would otherwise fail until the server is up.
"""

from __future__ import annotations

import os
import sys
import time
import urllib.request

POLL_SECONDS = 0.3


def main(url: str, command: list[str]) -> None:
    """Wait for `url` as long as it takes, then replace this process by `command`."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while True:
        try:
            opener.open(url, timeout=5).close()
            break
        except OSError:
            time.sleep(POLL_SECONDS)
    os.execv(command[0], command)  # noqa: S606 - replaces this process


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
