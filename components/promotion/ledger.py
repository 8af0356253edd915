"""Spending the error budget of a year over the nights of that year.

Each test of a candidate against a champion may promote falsely. By the union bound, tests at
levels a_1, ..., a_k promote falsely with probability at most a_1 + ... + a_k, however dependent
they are (the same test set every night makes them so). The budget of a rolling year is divided
evenly among the tests a year may hold; what a test reserved is spent whatever its outcome.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pydantic import BaseModel, ConfigDict, Field

from components.promotion.policy import PromotionPolicy

YEAR = timedelta(days=365)


class AlphaEntry(BaseModel):
    """The level reserved for one test, before it was computed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    candidate: str = Field(description="The candidate's training fingerprint")
    dataset_version: str = Field(description="The data both models were tested on")
    champion: int | None = Field(
        None, description="The champion's version; None where an older ledger did not keep it"
    )
    alpha: float = Field(ge=0, le=1)
    reserved_at: datetime


class AlphaLedger(BaseModel):
    """All reservations of one registered model, oldest first."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    entries: tuple[AlphaEntry, ...] = ()

    def find(self, candidate: str, dataset_version: str, champion: int) -> AlphaEntry | None:
        """The reservation for this very test, if there is one; it is never reserved twice."""
        wanted = (candidate, dataset_version, champion)
        for entry in self.entries:
            if (entry.candidate, entry.dataset_version, entry.champion) == wanted:
                return entry
        return None

    def spent(self, now: datetime) -> float:
        """What was reserved within the year before `now`."""
        return sum(entry.alpha for entry in self.entries if now - entry.reserved_at < YEAR)


def reserve(
    ledger: AlphaLedger,
    policy: PromotionPolicy,
    *,
    candidate: str,
    dataset_version: str,
    champion: int,
    now: datetime | None = None,
) -> AlphaEntry:
    """The entry for a test: the one made earlier, or a new one that the budget still allows.

    The same pair on the same data gives the same p-value however often it is computed, so it is
    one test, paid once; against another champion it is another.

    Returns:
        An entry whose alpha is 0 when the year's budget is used up; it may be asked for again.
    """
    existing = ledger.find(candidate, dataset_version, champion)
    if existing and existing.alpha > 0:
        return existing
    now = now or datetime.now(UTC)
    share = policy.level
    left = policy.alpha_per_year - ledger.spent(now)
    alpha = share if left >= share * (1 - 1e-9) else 0.0
    return AlphaEntry(
        candidate=candidate,
        dataset_version=dataset_version,
        champion=champion,
        alpha=alpha,
        reserved_at=now,
    )
