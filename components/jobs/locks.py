"""Locks by files that may be removed by whoever holds them."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def exclusive(path: Path, *, wait: bool = True) -> Iterator[bool]:
    """Hold a lock file, which is made if need be; the value says whether it is held.

    The file that was locked may have been removed by its last holder in the meantime; then the
    lock is that of the file that lies there now.

    Args:
        path: In a folder that exists.
        wait: Until nobody else holds it; otherwise the value may be False.
    """
    how = fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            try:
                fcntl.flock(file, how)
            except BlockingIOError:
                yield False
                return
            if _is_at(file, path):
                yield True
                return
        finally:
            os.close(file)


def held(path: Path) -> bool:
    """Whether somebody holds a lock file; False if there is none."""
    try:
        file = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False


def _is_at(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False
