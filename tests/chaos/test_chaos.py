"""Nights under kills keep every promise; five kills by default, one of each kind of process."""

from __future__ import annotations

import pytest

from components.benchmarks.chaos import KINDS, chaos

pytestmark = [pytest.mark.servers, pytest.mark.timeout(7200)]


def test_nights_under_kills_end_like_undisturbed_ones(pytestconfig: pytest.Config) -> None:
    kills = max(len(KINDS), int(pytestconfig.getoption("kills")))
    said: list[str] = []
    result = chaos(said.append, kills)
    assert not result.problems, "\n".join([*result.problems, *said])
    assert sum(result.kills.values()) == kills
    assert set(result.kills) == set(KINDS)
