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
from pathlib import Path
from typing import Any

import numpy as np

from components.allocator import keep_freed_memory
from components.datasets.archives import ImageSource, Member
from components.datasets.base import Unreadable
from components.datasets.images import SMALL_FILE, Colour, decode_many
from components.errors import DataError

WORTH_IT = 1000  # small files below which forking costs more than it saves
CHUNK = 200


@dataclass(frozen=True)
class _Work:
    source: ImageSource
    members: Sequence[Member]
    background: Colour
    out: np.memmap[Any, np.dtype[np.uint8]]

    def decode(self, start: int) -> list[Unreadable]:
        members = self.members[start : start + CHUNK]
        _, channels, *size = self.out.shape
        rows = np.zeros((len(members), channels, *size), dtype=np.uint8)
        unreadable = decode_many(
            self.source, members, (size[0], size[1]), channels, self.background, rows, workers=1
        )
        assert self.out.filename is not None
        with Path(self.out.filename).open("r+b") as file:
            # Written, not stored through the mapping: a page fault for each 4 KiB costs more.
            file.seek(self.out.offset + start * rows[0].nbytes)
            file.write(rows.data)
        return unreadable


def decode_all(
    source: ImageSource,
    members: Sequence[Member],
    background: Colour,
    out: np.memmap[Any, np.dtype[np.uint8]],
) -> list[Unreadable]:
    """Decode members into the rows of a mapped array; see `images.decode_many`.

    Small files are decoded by forked processes, since threads wait for one another there; the
    children write into the mapped file. A process that has threads (as with torch in it) is not
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
    from PIL import Image

    Image.preinit()  # the usual readers: loaded once here, not in every child
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
    keep_freed_memory()
    work.source.reopen()
    _work = work


def _decode(start: int) -> list[Unreadable]:
    assert _work is not None
    return _work.decode(start)
