"""Out of memory: say which batch size fits."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from components.errors import OutOfMemoryError


@contextmanager
def explained(batch_size: int, attempt: Callable[[int], None]) -> Iterator[None]:
    """Turn PyTorch's out-of-memory errors into one that names a batch size.

    Args:
        batch_size: The one that was used.
        attempt: Runs one forward and backward pass with so many examples, changing nothing.

    Raises:
        OutOfMemoryError: With the largest of half, a quarter, ... of the batch size that fits.
    """
    try:
        yield
        return
    except (RuntimeError, MemoryError) as error:
        if not _is_out_of_memory(error):
            raise
        reason = " ".join(str(error).split())[:200]
    # Outside the handler, whose traceback kept the tensors of the failed step alive.
    fitting = _fitting(batch_size // 2, attempt)
    raise OutOfMemoryError(
        f"memory for a batch of {batch_size}",
        got=reason,
        wanted="a step that fits",
        remedy=f"Set batch_size={fitting}, which fits."
        if fitting
        else "Not even one example fits: choose a smaller network or smaller pictures.",
    )


def _fitting(batch_size: int, attempt: Callable[[int], None]) -> int:
    while batch_size > 0:
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        try:
            attempt(batch_size)
        except (RuntimeError, MemoryError) as error:
            if not _is_out_of_memory(error):
                raise
        else:
            return batch_size
        batch_size //= 2
    return 0


def _is_out_of_memory(error: BaseException) -> bool:
    known = isinstance(error, MemoryError | torch.OutOfMemoryError)
    return known or "can't allocate memory" in str(error)  # the CPU allocator's words
