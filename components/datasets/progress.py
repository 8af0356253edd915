"""Progress of a download: a bar where a person watches, a line for each tenth where not."""

from __future__ import annotations

import sys

WIDTH = 30
MINIMUM_BYTES = 4 << 20  # smaller files are there before a person could read about them


class Progress:
    """Counts bytes of one file.

    Args:
        name: What is being fetched.
        done: Bytes that an earlier attempt left.
        remaining: Bytes still to come; None if the source does not say.
    """

    def __init__(self, name: str, done: int, remaining: int | None) -> None:
        self._name, self._done = name, done
        self._total = None if remaining is None else done + remaining
        self._shown = -1

    def advance(self, count: int) -> None:
        """`count` more bytes have arrived."""
        self._done += count
        if self._total is None or self._total < MINIMUM_BYTES:
            return
        watched = sys.stderr.isatty()
        step = self._done * (100 if watched else 10) // self._total
        if step == self._shown:
            return
        self._shown = step
        if watched:
            self._draw(step)
        else:
            megabytes = f"{self._done / 1e6:.0f} of {self._total / 1e6:.0f} MB"
            print(f"{self._name}: {megabytes}", flush=True)

    def _draw(self, percent: int) -> None:
        bar = ("=" * (percent * WIDTH // 100)).ljust(WIDTH)
        end = "\n" if percent >= 100 else ""
        print(f"\r{self._name} [{bar}] {percent} %", end=end, file=sys.stderr, flush=True)
