"""What the gate keeps in the registry: decisions as version tags, the ledger as model tags."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from components.errors import PromotionError
from components.promotion.decision import PromotionDecision
from components.promotion.ledger import AlphaEntry, AlphaLedger
from components.promotion.policy import PromotionPolicy
from components.tracking.base import CHAMPION, ModelRegistry, ModelVersion, Tag, TrackedRun

# What a promotion rests on, as its reason begins.
DECIDING = ("first model", "mcnemar", "relative_distance", "bootstrap", "non_inferiority")


class DecisionState(StrEnum):
    """How far a decision got; the evidence is stored before the alias moves."""

    REFUSED = "refused"
    PENDING = "pending"
    APPLIED = "applied"
    SUPERSEDED = "superseded"
    ROLLED_BACK = "rolled back"


class DecisionRecord(BaseModel):
    """A decision as it stands on the candidate's version.

    A tag holds at most 5,000 characters, so the evidence is an artifact of the run and the tag
    says where.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    state: DecisionState
    promoted: bool
    reasons: tuple[str, ...]
    champion: int | None = Field(description="Version compared with; None for the first model")
    anchor: int | None = Field(
        None, description="Version that must not be undercut while this one is champion"
    )
    policy: str = Field("", description="Digest of the policy; empty in records of older versions")
    decided_at: datetime = Field(default_factory=lambda: datetime.now(UTC))

    @property
    def gist(self) -> str:
        """In a line: what failed, or which test it passed."""
        if not self.promoted:
            return "; ".join(self.reasons)
        deciding = [reason for reason in self.reasons if reason.startswith(DECIDING)]
        return (deciding or list(self.reasons))[0]


DECISION_ARTIFACT = "evaluation/decision.json"


def evidence_path(run: TrackedRun, dataset_version: str, path: str) -> str:
    """Where the evidence of a decision lies in a run.

    On other data than the run's own it lies apart, so that neither an earlier decision's evidence
    is lost nor the classes that the model knows.
    """
    if run.tags[Tag.DATASET_VERSION] == dataset_version:
        return path
    folder, _, name = path.rpartition("/")
    return f"{folder}/{dataset_version}/{name}"


def _tag(dataset_version: str) -> str:
    return f"{Tag.DECISION}.{dataset_version}"


def stored_decision(version: ModelVersion, dataset_version: str) -> DecisionRecord | None:
    """The last decision made about a version on these data, if any."""
    return stored_decisions(version).get(dataset_version)


def stored_decisions(version: ModelVersion) -> dict[str, DecisionRecord]:
    """The last decision about a version on each version of the data."""
    prefix = f"{Tag.DECISION}."
    return {
        key.removeprefix(prefix): DecisionRecord.model_validate_json(text)
        for key, text in version.tags.items()
        if key.startswith(prefix)
    }


def standing_decision(
    version: ModelVersion, dataset_version: str, policy: PromotionPolicy
) -> DecisionRecord | None:
    """The decision that still holds; None if the version is to be decided, or decided anew.

    A decision under another policy, or one that a new champion overtook, does not hold. What was
    carried out does: a version that somebody rolled back does not come back by a change of policy.
    """
    record = stored_decision(version, dataset_version)
    carried_out = (DecisionState.APPLIED, DecisionState.ROLLED_BACK)
    if record is None or record.state in carried_out or CHAMPION in version.aliases:
        return record
    overtaken = record.state is DecisionState.SUPERSEDED or record.policy != policy.digest()
    return None if overtaken else record


def store_decision(
    registry: ModelRegistry, version: ModelVersion, dataset_version: str, record: DecisionRecord
) -> None:
    """Write a decision onto a version."""
    tags = {_tag(dataset_version): record.model_dump_json()}
    registry.tag_version(version.name, version.version, tags)


def anchor_of(registry: ModelRegistry, champion: ModelVersion) -> ModelVersion:
    """The last champion that was better than its predecessor, or the first one.

    A champion that was promoted for being cheaper names it; any other is its own.

    Raises:
        PromotionError: If the version is gone.
    """
    carried_out = (DecisionState.APPLIED, DecisionState.ROLLED_BACK)
    records = [r for r in stored_decisions(champion).values() if r.state in carried_out]
    newest = max(records, key=lambda record: record.decided_at, default=None)
    number = newest.anchor if newest and newest.anchor else champion.version
    for version in registry.versions(champion.name):
        if version.version == number:
            return version
    raise PromotionError(
        f"{champion.name} version {number}",
        got="nothing",
        wanted="the version that cheaper champions are compared with",
        remedy="Restore it, or set the policy's goal to better.",
    )


def record_of(
    decision: PromotionDecision,
    champion: ModelVersion | None,
    policy: PromotionPolicy,
    anchor: int | None = None,
) -> DecisionRecord:
    """A fresh decision, not yet acted on; `anchor` if it was promoted for being cheaper."""
    return DecisionRecord(
        state=DecisionState.PENDING if decision.promoted else DecisionState.REFUSED,
        promoted=decision.promoted,
        reasons=decision.reasons,
        champion=champion.version if champion else None,
        anchor=anchor,
        policy=policy.digest(),
    )


def read_ledger(registry: ModelRegistry, name: str) -> AlphaLedger:
    """All reservations of a registered model."""
    prefix = f"{Tag.LEDGER}."
    texts = [text for key, text in registry.model_tags(name).items() if key.startswith(prefix)]
    entries = [AlphaEntry.model_validate_json(text) for text in texts]
    return AlphaLedger(entries=tuple(sorted(entries, key=lambda entry: entry.reserved_at)))


def write_entry(registry: ModelRegistry, name: str, entry: AlphaEntry) -> None:
    """Add a reservation; one tag each, so that concurrent writers do not lose any."""
    key = f"{Tag.LEDGER}.{entry.candidate}.{entry.dataset_version}.{entry.champion}"
    registry.tag_model(name, {key: entry.model_dump_json()})
