"""Waiting for what tells nobody that it has happened."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
PAUSE = 0.2  # seconds; asking without a pause would take a core from what is waited for


def until(found: Callable[[], T]) -> T:
    """The first true value of `found`; pytest's time limit ends a wait in vain."""
    while not (value := found()):
        time.sleep(PAUSE)
    return value
