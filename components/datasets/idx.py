"""The IDX format of MNIST and its relatives: a magic number, the sizes, then the bytes."""

from __future__ import annotations

import math
import struct

import numpy as np

from components.datasets.base import UInt8Array
from components.errors import CorruptDataError

UNSIGNED_BYTE = 0x08
MAX_BYTES = 2**31


def parse_idx(payload: bytes, name: str, *, dimensions: int) -> UInt8Array:
    """Read an unsigned-byte IDX payload.

    Args:
        payload: The decompressed file.
        name: For error messages.
        dimensions: 1 for labels, 3 for images.

    Returns:
        An array with the shape the header states, sharing memory with `payload`.

    Raises:
        CorruptDataError: If the header or the length is not what the format allows.
    """
    header = 4 + 4 * dimensions
    if len(payload) < header:
        raise _corrupt(name, f"{len(payload)} bytes", f"a header of {header} bytes")
    magic = struct.unpack(">I", payload[:4])[0]
    expected = (UNSIGNED_BYTE << 8) | dimensions
    if magic != expected:
        raise _corrupt(name, f"magic number 0x{magic:08x}", f"0x{expected:08x}")
    shape = struct.unpack(f">{dimensions}I", payload[4:header])
    size = math.prod(shape)
    if size > MAX_BYTES:
        raise _corrupt(name, f"a header that states {size} bytes", f"at most {MAX_BYTES}")
    if len(payload) - header != size:
        raise _corrupt(name, f"{len(payload) - header} bytes of data", f"{size} for shape {shape}")
    return np.frombuffer(payload, np.uint8, offset=header).reshape(shape)


def write_idx(array: UInt8Array) -> bytes:
    """The inverse of `parse_idx`."""
    magic = (UNSIGNED_BYTE << 8) | array.ndim
    return struct.pack(f">I{array.ndim}I", magic, *array.shape) + array.tobytes()


def _corrupt(name: str, got: str, wanted: str) -> CorruptDataError:
    return CorruptDataError(
        name, got=got, wanted=wanted, remedy="Fetch the file again from its source."
    )
