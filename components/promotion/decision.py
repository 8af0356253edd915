"""The decision: a pure function of two reports, a policy and a ledger."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from components.errors import PromotionError
from components.evaluation.report import Report
from components.promotion import RULES
from components.promotion.ledger import AlphaLedger
from components.promotion.policy import PromotionPolicy
from components.promotion.rules import Comparison, RuleResult


class RuleEvidence(BaseModel):
    """One rule's verdict as it is stored and reported."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

    rule: str
    passed: bool
    reason: str
    values: dict[str, float | int | str]

    @classmethod
    def of(cls, result: RuleResult) -> RuleEvidence:
        """The storable form of a rule's result."""
        return cls(
            rule=result.rule,
            passed=result.passed,
            reason=result.reason,
            values=dict(result.evidence),
        )


class PromotionDecision(BaseModel):
    """Whether a candidate becomes champion, the reasons in words, and the evidence.

    `reasons` are those of the rules that failed, or of all rules when none did.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

    promoted: bool
    reasons: tuple[str, ...]
    evidence: tuple[RuleEvidence, ...]


def decide(
    candidate: Report,
    champion: Report | None,
    policy: PromotionPolicy,
    ledger: AlphaLedger,
    fingerprint: str,
    champion_version: int | None = None,
    anchor: Report | None = None,
) -> PromotionDecision:
    """Apply every rule of the catalog.

    Args:
        candidate: The new model on the test split.
        champion: The present champion on the same split in the same run; None for the first
            model ever, which has only the rules that need no champion to pass.
        policy: What must be achieved.
        ledger: Must hold the reservation for this test when there is a champion.
        fingerprint: The candidate's training fingerprint, under which alpha was reserved.
        champion_version: The champion's, against which it was reserved; None for no champion.
        anchor: What must not be undercut under the goal "cheaper"; see `Comparison`.

    Raises:
        PromotionError: If alpha was not reserved before the test.
    """
    entry = None
    if champion_version is not None:
        entry = ledger.find(fingerprint, candidate.dataset_version, champion_version)
    if champion is not None and entry is None:
        raise PromotionError(
            f"test of {candidate.model}",
            got="no reserved alpha",
            wanted="a ledger entry made before the test",
            remedy="Reserve alpha first (components.promotion.ledger.reserve).",
        )
    comparison = Comparison(candidate, champion, policy, entry.alpha if entry else 0.0, anchor)
    results = [result for name in RULES if (result := RULES.get(name)(comparison))]
    failed = [result for result in results if not result.passed]
    reasons = [f"{result.rule}: {result.reason}" for result in failed or results]
    if champion is None and not failed:
        reasons.insert(0, "first model: there is no champion yet")
    return PromotionDecision(
        promoted=not failed,
        reasons=tuple(reasons),
        evidence=tuple(RuleEvidence.of(result) for result in results),
    )
