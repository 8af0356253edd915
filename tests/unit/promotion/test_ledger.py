from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.promotion.ledger import YEAR, AlphaEntry, AlphaLedger, reserve
from components.promotion.policy import PromotionPolicy

START = datetime(2026, 1, 1, tzinfo=UTC)
POLICY = PromotionPolicy(alpha_per_year=0.05, tests_per_year=5)


def after(days: float) -> datetime:
    return START + timedelta(days=days)


def add(ledger: AlphaLedger, now: datetime, name: str, policy=POLICY) -> tuple[AlphaLedger, float]:
    entry = reserve(ledger, policy, candidate=name, dataset_version="v1", champion=1, now=now)
    return AlphaLedger(entries=(*ledger.entries, entry)), entry.alpha


def fill(policy: PromotionPolicy, days: list[float]) -> AlphaLedger:
    ledger = AlphaLedger()
    for index, day in enumerate(days):
        ledger, _ = add(ledger, after(day), f"run {index}", policy)
    return ledger


def test_the_budget_of_a_year_is_divided_evenly_and_then_used_up() -> None:
    ledger = fill(POLICY, [0, 1, 2, 3, 4, 5, 364])
    assert [entry.alpha for entry in ledger.entries] == pytest.approx([0.01] * 5 + [0, 0])


def test_a_year_later_the_level_comes_back() -> None:
    ledger = fill(POLICY, [0, 1, 2, 3, 4])
    assert add(ledger, after(364.999), "x")[1] == 0
    assert add(ledger, after(365), "x")[1] == pytest.approx(0.01)
    ledger, _ = add(ledger, after(365), "x")
    assert add(ledger, after(365.5), "y")[1] == 0
    assert add(ledger, after(366), "y")[1] == pytest.approx(0.01)


def test_the_same_test_is_never_reserved_twice() -> None:
    ledger = fill(POLICY, [0])
    again = reserve(
        ledger, POLICY, candidate="run 0", dataset_version="v1", champion=1, now=after(200)
    )
    assert again == ledger.entries[0]


@pytest.mark.parametrize(
    ("name", "version", "champion"), [("run 0", "v2", 1), ("run 1", "v1", 1), ("run 0", "v1", 2)]
)
def test_another_candidate_dataset_or_champion_is_another_test(
    name: str, version: str, champion: int
) -> None:
    ledger = fill(POLICY, [0])
    entry = reserve(
        ledger,
        POLICY,
        candidate=name,
        dataset_version=version,
        champion=champion,
        now=after(1),
    )
    assert entry.reserved_at == after(1)
    assert ledger.find(name, version, champion) is None


def test_an_entry_without_a_champion_is_spent_but_stands_for_no_test() -> None:
    old = AlphaEntry(candidate="run 0", dataset_version="v1", alpha=0.05, reserved_at=START)
    entry = reserve(
        AlphaLedger(entries=(old,)),
        POLICY,
        candidate="run 0",
        dataset_version="v1",
        champion=1,
        now=after(1),
    )
    assert entry.alpha == 0
    assert entry.champion == 1


def test_a_reservation_without_a_level_may_be_asked_for_again() -> None:
    ledger = fill(POLICY, [0, 0, 0, 0, 0, 1])
    again = {"candidate": "run 5", "dataset_version": "v1", "champion": 1}
    assert reserve(ledger, POLICY, **again, now=after(2)).alpha == 0
    assert reserve(ledger, POLICY, **again, now=after(400)).alpha == pytest.approx(0.01)
    larger = POLICY.model_copy(update={"alpha_per_year": 0.1})
    assert reserve(ledger, larger, **again, now=after(2)).alpha > 0


def test_without_a_clock_it_is_now() -> None:
    entry = reserve(AlphaLedger(), POLICY, candidate="x", dataset_version="v1", champion=1)
    assert datetime.now(UTC) - entry.reserved_at < timedelta(minutes=1)


def test_a_year_of_nights_is_served_and_not_one_more() -> None:
    ledger = fill(PromotionPolicy(), [night / 2 for night in range(400)])
    assert sum(entry.alpha > 0 for entry in ledger.entries) == 365


def test_entries_survive_being_stored() -> None:
    for entry in fill(POLICY, [0, 1]).entries:
        assert AlphaEntry.model_validate_json(entry.model_dump_json()) == entry


@settings(deadline=None)
@given(
    days=st.lists(st.floats(0, 1500), max_size=40),
    tests=st.integers(1, 8),
    budget=st.floats(0.001, 0.5),
    changed=st.integers(1, 8),
)
def test_no_365_days_ever_hold_more_than_the_budget(days, tests, budget, changed) -> None:
    """Also when the clock goes back or the number of tests is changed on the way."""
    ledger = AlphaLedger()
    for index, day in enumerate(days):
        n = tests if index < len(days) // 2 else changed
        policy = PromotionPolicy(alpha_per_year=budget, tests_per_year=n)
        ledger, _ = add(ledger, after(day), f"run {index}", policy)
    for first in ledger.entries:
        end = first.reserved_at + YEAR
        inside = [e.alpha for e in ledger.entries if first.reserved_at <= e.reserved_at < end]
        assert sum(inside) <= budget * (1 + 1e-6)
