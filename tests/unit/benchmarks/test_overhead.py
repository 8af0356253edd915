"""What a night costs, split into what grows with training and what does not."""

from __future__ import annotations

import pytest

from components.benchmarks.overhead import Night, OverheadBenchmark, Pair, result


def night(seconds: float, waited: float = 5) -> Night:
    return Night(waited, seconds - waited, {"data": 2.0, "train": seconds - 9}, "toy")


def test_fixed_and_growing_overhead_are_told_apart() -> None:
    """3 s of start and 5 s an epoch as a script; 4 % more an epoch and 12 s more as a flow."""
    pairs = [
        tuple(Pair(e, 3 + 5 * e, night(15 + 5.2 * e + noise)) for e in (2, 12))
        for noise in (0, -1, 7)
    ]
    found = result("toy", pairs, [night(9), night(7), night(8)])
    assert found.relative == pytest.approx(0.04)
    assert found.fixed == pytest.approx((12, 11, 19))
    assert found.fixed_seconds == pytest.approx(12)
    assert found.unchanged == (4, 2, 3)
    assert found.unchanged_seconds == 3
    assert found.trigger_seconds == 5
    assert found.script_seconds[12] == (63, 63, 63)
    assert found.step_seconds["data"] == 2
    assert OverheadBenchmark.model_validate_json(found.model_dump_json()) == found
