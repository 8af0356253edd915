"""`python -m flows.successor COMMAND...`: end what a killed predecessor left, become COMMAND.

A server that was killed may leave children behind, which keep its port.
"""

from __future__ import annotations

import os
import sys

from components.settings import Settings
from flows.supervision import SERVICE_VARIABLE, end_leftovers


def main(command: list[str]) -> None:
    """Only what carries this service's name is ended; called by supervisord."""
    settings = Settings.from_environment(os.environ)
    end_leftovers(settings.home, os.environ[SERVICE_VARIABLE])
    os.execv(command[0], command)  # noqa: S606 - replaces this process


if __name__ == "__main__":
    main(sys.argv[1:])
