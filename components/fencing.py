"""Fencing numbers: of several attempts at the same work, only the newest may still write.

A process can be paused, or cut off, for so long that others take it for dead and begin again. When
it wakes up it must not write over what they did. Kleppmann, Designing Data-Intensive Applications,
section 8.4 ("fencing tokens").
"""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

from components.errors import SupersededError

WIDTH = 20  # digits of a number, so that a newer one replaces an older one in a single write


@dataclass(frozen=True)
class Fence:
    """One attempt's right to write.

    Attributes:
        path: The file that holds the number of the newest attempt, on a disk all attempts share.
        number: Of this attempt, 1 for the first; 0 where there is no file.
    """

    path: Path
    number: int

    @classmethod
    def take(cls, path: Path) -> Fence:
        """Begin a new attempt; all earlier ones may write no more."""
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            number = _number(os.pread(descriptor, WIDTH, 0)) + 1
            os.pwrite(descriptor, f"{number:0{WIDTH}}\n".encode(), 0)
        finally:
            os.close(descriptor)
        return cls(path, number)

    @classmethod
    def standing(cls, path: Path) -> Fence:
        """The right of the attempt that is the newest now, for a process that works for it."""
        return cls(path, _newest(path))

    def check(self) -> None:
        """Call before each write.

        Raises:
            SupersededError: If a newer attempt has begun.
        """
        newest = _newest(self.path)
        if newest != self.number:
            raise SupersededError(
                f"attempt {self.number} at {self.path.stem}",
                got=f"attempt {newest} at work",
                wanted="the newest attempt, for only that may write",
                remedy="Nothing is lost: see what became of the newer one.",
            )


def fence_of(folder: Path) -> Path:
    """Where the number of the newest attempt at the work in a folder is kept: beside the folder."""
    return folder.with_name(folder.name + ".fence")


def _newest(path: Path) -> int:
    try:
        return _number(path.read_bytes())
    except FileNotFoundError:
        return 0


def _number(text: bytes) -> int:
    return int(text or b"0")  # empty: killed between its creation and the first write
