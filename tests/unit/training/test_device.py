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


def test_the_cpu_is_described_with_its_threads() -> None:
    assert describe_device(torch.device("cpu")) == f"cpu, {torch.get_num_threads()} threads"


def test_waiting_for_the_cpu_is_nothing() -> None:
    synchronise(torch.device("cpu"))


def test_freed_memory_is_kept_exactly_where_glibc_is() -> None:
    assert keep_freed_memory() is (platform.libc_ver()[0] == "glibc")
