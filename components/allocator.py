"""Keep freed memory in the process, while training on the CPU and while decoding images.

By default glibc gives the few megabytes of each activation back to the kernel and asks for them
again at the next step; the page faults cost a third of a LeNet epoch (DECISIONS.md, 9), and a
quarter of the time of decoding a sprite.
"""

from __future__ import annotations

import ctypes
import platform
from functools import cache

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3
KEEP_BYTES = 1 << 30
STEP_BYTES = 64 << 20
MAX_MMAP_THRESHOLD = 32 << 20  # glibc's own upper limit


@cache
def keep_freed_memory() -> bool:
    """Tell glibc to reuse freed blocks; True where that is possible, once for each process."""
    if platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL(None)
    wanted = {
        M_TRIM_THRESHOLD: KEEP_BYTES,
        M_TOP_PAD: STEP_BYTES,
        M_MMAP_THRESHOLD: MAX_MMAP_THRESHOLD,
    }
    accepted = [libc.mallopt(option, value) for option, value in wanted.items()]
    return all(accepted)
