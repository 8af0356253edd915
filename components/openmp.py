"""Let go of OpenMP's idle threads before another thread computes.

Every thread that computes in parallel keeps a team of its own. As soon as all teams of a process
have more threads than there are processors, GNU's OpenMP stops waiting actively at barriers, and a
network of small layers trains 1.8 times as long (DECISIONS.md, 75): the main thread's team from an
evaluation must not outlive it while the training thread works.
"""

from __future__ import annotations

import ctypes
import re
from pathlib import Path

MAPS = Path("/proc/self/maps")
LIBRARY = re.compile(r"\S*/libgomp[^/\s]*")
SOFT = 1  # omp_pause_soft: what is let go of comes back when it is needed (OpenMP 5.0, 3.2.44)


def release_team() -> int:
    """End the idle threads of the calling thread's team; it gets new ones when it needs them.

    Returns:
        How many OpenMP libraries took the call; 0 where none of GNU's is loaded, as off Linux.
    """
    if not MAPS.exists():
        return 0
    loaded = sorted(set(LIBRARY.findall(MAPS.read_text("utf-8", errors="replace"))))
    released = 0
    for path in loaded:
        pause = getattr(ctypes.CDLL(path), "omp_pause_resource_all", None)
        if pause is not None and pause(SOFT) == 0:
            released += 1
    return released
