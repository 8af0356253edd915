"""Of several attempts at the same work, only the newest may write."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from components.errors import SupersededError
from components.fencing import Fence, fence_of


def test_each_attempt_has_a_greater_number(tmp_path: Path) -> None:
    path = fence_of(tmp_path / "work")
    assert [Fence.take(path).number for _ in range(12)] == list(range(1, 13))


def test_attempts_that_begin_at_once_have_different_numbers(tmp_path: Path) -> None:
    path = fence_of(tmp_path / "work")
    with ThreadPoolExecutor(8) as pool:
        numbers = [fence.number for fence in pool.map(lambda _: Fence.take(path), range(64))]
    assert sorted(numbers) == list(range(1, 65))


def test_only_the_newest_may_write(tmp_path: Path) -> None:
    path = fence_of(tmp_path / "work")
    older = Fence.take(path)
    older.check()
    newer = Fence.take(path)
    newer.check()
    with pytest.raises(SupersededError, match="got attempt 2 at work"):
        older.check()


def test_a_helper_process_works_for_the_attempt_that_started_it(tmp_path: Path) -> None:
    path = fence_of(tmp_path / "work")
    Fence.standing(path).check()  # nobody fences what has no number
    Fence.take(path)
    helper = Fence.standing(path)
    helper.check()
    Fence.take(path)
    with pytest.raises(SupersededError):
        helper.check()


def test_a_kill_between_creation_and_number_does_no_harm(tmp_path: Path) -> None:
    path = fence_of(tmp_path / "work")
    path.touch()
    assert Fence.take(path).number == 1
