from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from components.datasets.idx import MAX_BYTES, parse_idx, write_idx
from components.errors import CorruptDataError

ARRAYS = npst.arrays(np.uint8, npst.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=6))


@given(ARRAYS)
def test_what_is_written_is_read_back(array: np.ndarray) -> None:
    read = parse_idx(write_idx(array), "x", dimensions=array.ndim)
    assert read.dtype == np.uint8
    assert np.array_equal(read, array)


@given(st.binary(max_size=64), st.sampled_from([1, 3]))
def test_arbitrary_bytes_raise_nothing_but_corrupt_data(payload: bytes, dimensions: int) -> None:
    try:
        array = parse_idx(payload, "x", dimensions=dimensions)
    except CorruptDataError:
        return
    assert write_idx(array) == payload


@given(ARRAYS, st.data())
def test_one_changed_byte_of_a_header_raises_nothing_but_corrupt_data(array, data) -> None:
    payload = bytearray(write_idx(array))
    position = data.draw(st.integers(0, 3 + 4 * array.ndim))
    payload[position] = data.draw(st.integers(0, 255))
    try:
        parse_idx(bytes(payload), "x", dimensions=array.ndim)
    except CorruptDataError as error:
        assert error.subject == "x"


@given(ARRAYS, st.integers(1, 30))
def test_a_shortened_or_lengthened_file_is_refused(array: np.ndarray, n: int) -> None:
    payload = write_idx(array)
    for changed in (payload[:-n], payload + bytes(n)):
        with pytest.raises(CorruptDataError):
            parse_idx(changed, "x", dimensions=array.ndim)


def test_images_are_not_taken_for_labels() -> None:
    payload = write_idx(np.zeros((2, 3, 3), np.uint8))
    with pytest.raises(CorruptDataError, match="magic number 0x00000803, wanted 0x00000801"):
        parse_idx(payload, "x", dimensions=1)


def test_a_header_that_states_too_much_is_refused_before_anything_is_allocated() -> None:
    payload = struct.pack(">4I", 0x803, 2**32 - 1, 2**32 - 1, 2**32 - 1)
    with pytest.raises(CorruptDataError, match=str(MAX_BYTES)):
        parse_idx(payload, "x", dimensions=3)
