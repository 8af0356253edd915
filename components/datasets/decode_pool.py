"""Decoding over several processes, where that is safe and worth it."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import chain

from components.datasets.archives import ImageSource, Member
from components.datasets.base import UInt8Array, Unreadable
from components.datasets.images import SMALL_FILE, Colour, decode_many
from components.errors import DataError

WORTH_IT = 1000  # small files below which forking costs more than it saves
CHUNK = 200


@dataclass(frozen=True)
class _Work:
    source: ImageSource
    members: Sequence[Member]
    background: Colour
    out: UInt8Array

    def decode(self, start: int) -> list[Unreadable]:
        rows = slice(start, start + CHUNK)
        out = self.out[rows]
        return decode_many(
            self.source,
            self.members[rows],
            (out.shape[2], out.shape[3]),
            out.shape[1],
            self.background,
            out,
            workers=1,
        )


def decode_all(
    source: ImageSource, members: Sequence[Member], background: Colour, out: UInt8Array
) -> list[Unreadable]:
    """Decode members into the rows of a mapped array; see `images.decode_many`.

    Small files are decoded by forked processes, since threads wait for one another there; the
    children write into the same mapping. A process that has threads (as with torch in it) is not
    forked. The result is the same either way.

    Args:
        source: Where the members are read from.
        members: N files.
        background: Red, green and blue behind transparent and missing parts.
        out: (N, C, H, W) uint8, mapped from a file.

    Returns:
        The files that are no images, in order.

    Raises:
        DataError: If the source itself breaks off.
    """
    work = _Work(source, members, background, out)
    workers = os.cpu_count() or 1
    small = sum(member.size for member in members) < SMALL_FILE * len(members)
    if workers == 1 or not small or len(members) < WORTH_IT or not _may_fork():
        size, channels = (out.shape[2], out.shape[3]), out.shape[1]
        return decode_many(source, members, size, channels, background, out)
    context = multiprocessing.get_context("fork")
    starts = range(0, len(members), CHUNK)
    try:
        with ProcessPoolExecutor(workers, context, _begin, (work,)) as pool:
            return list(chain.from_iterable(pool.map(_decode, starts)))
    except BrokenProcessPool:
        raise DataError(
            "decoding",
            got="a process that was killed, as when memory runs out",
            wanted="all processes to end by themselves",
            remedy="Free memory, then run it again.",
        ) from None


def _may_fork() -> bool:
    return sys.platform == "linux" and threading.active_count() == 1 and "torch" not in sys.modules


_work: _Work | None = None


def _begin(work: _Work) -> None:
    global _work
    work.source.reopen()
    _work = work


def _decode(start: int) -> list[Unreadable]:
    assert _work is not None
    return _work.decode(start)
