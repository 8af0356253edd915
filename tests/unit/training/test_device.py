from __future__ import annotations

import platform

import pytest
import torch

from components.allocator import keep_freed_memory
from components.training.precision import describe_device, pick_device, synchronise


def test_the_device_is_cuda_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for there, kind in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        assert pick_device().type == kind


@pytest.mark.parametrize(("threads", "words"), [(1, "cpu, 1 thread"), (2, "cpu, 2 threads")])
def test_the_cpu_is_described_with_its_threads(
    threads: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    assert describe_device(torch.device("cpu")) == words


def test_waiting_for_the_cpu_is_nothing() -> None:
    synchronise(torch.device("cpu"))


def test_freed_memory_is_kept_exactly_where_glibc_is() -> None:
    assert keep_freed_memory() is (platform.libc_ver()[0] == "glibc")
