"""Locks by files that their holder may remove."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from components.jobs.attempts import only_attempt
from components.jobs.locks import held, try_lock


def test_a_lock_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    lock = tmp_path / "a.lock"
    assert not held(lock)
    with try_lock(lock) as mine, try_lock(lock) as other:
        assert (mine, other) == (True, False)
        assert held(lock)
    assert not held(lock)


def test_the_lock_of_a_training_is_seen_and_not_taken(tmp_path: Path) -> None:
    folder = tmp_path / "print"
    with only_attempt(folder, None):
        assert held(tmp_path / "print.lock")
        with try_lock(tmp_path / "print.lock") as mine:
            assert not mine


def test_a_lock_that_was_removed_just_before_is_not_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, opened = tmp_path / "a.lock", os.open

    def removed_at_once(path: Path, *how: int) -> int:
        file = opened(path, *how)
        path.unlink()
        return file

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", removed_at_once)
        with try_lock(lock) as mine:
            assert not mine
