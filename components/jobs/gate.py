"""Register a candidate, decide, and move the alias: evidence first, alias last."""

from __future__ import annotations

from dataclasses import dataclass

from components.errors import PromotionError
from components.jobs.context import JobContext, registered_model
from components.jobs.evaluate import (
    CANDIDATE_REPORT,
    CHAMPION_REPORT,
    EvaluationOutcome,
    read_report,
)
from components.jobs.records import (
    DECISION_ARTIFACT,
    DecisionRecord,
    DecisionState,
    read_ledger,
    record_of,
    standing_decision,
    store_decision,
    stored_decision,
    write_entry,
)
from components.promotion.decision import PromotionDecision, decide
from components.promotion.ledger import AlphaLedger, reserve
from components.promotion.policy import PromotionPolicy
from components.tracking import model_card
from components.tracking.base import CHAMPION, MODEL_CARD, PREVIOUS, ModelVersion, Tag, TrackedRun
from components.versioning.versions import DatasetVersion


@dataclass(frozen=True)
class RegisterOutcome:
    """The candidate's version in the registry."""

    version: ModelVersion
    skipped: str | None


@dataclass(frozen=True)
class GateOutcome:
    """The decision about a version; `skipped` when it had been made before."""

    version: ModelVersion
    decision: PromotionDecision
    skipped: str | None


@dataclass(frozen=True)
class PromoteOutcome:
    """Who is champion now."""

    champion: ModelVersion | None
    skipped: str | None


def register(context: JobContext, run: TrackedRun, data: DatasetVersion) -> RegisterOutcome:
    """Make the run's model a version of its registered model, once, with its card.

    Raises:
        TrackingError: If the run was not evaluated, or the server refuses.
    """
    name = registered_model(data.name)
    if found := context.registry.version_of_run(name, run.run_id):
        return RegisterOutcome(found, f"registered before as version {found.version}")
    tags = {
        **context.tags(),
        Tag.FINGERPRINT: run.tags[Tag.FINGERPRINT],
        Tag.DATASET: data.name,
        Tag.DATASET_VERSION: data.version,
        Tag.SAMPLE: str(data.sample).lower(),
    }
    card = model_card.markdown(name, run, read_report(context, run, CANDIDATE_REPORT))
    context.tracker.log_text(run.run_id, MODEL_CARD, card)
    version = context.registry.register(name, run.run_id, tags)
    context.registry.describe_version(name, version.version, card)
    return RegisterOutcome(version, None)


def gate(
    context: JobContext,
    version: ModelVersion,
    evaluation: EvaluationOutcome,
    data: DatasetVersion,
) -> GateOutcome:
    """Decide whether a version becomes champion, unless a decision on these data stands.

    The reservation of alpha, then the evidence, then the decision are stored in this order, so
    that a kill between any two leaves a state from which the next night goes on.

    Raises:
        PromotionError: If the champion or the policy changed since the evaluation.
    """
    run, version = evaluation.run, _again(context, version)
    policy = context.policy(version.name)
    if record := standing_decision(version, data.version, policy):
        text = context.tracker.read_text(run.run_id, DECISION_ARTIFACT)
        decision = PromotionDecision.model_validate_json(text)
        reason = f"decided on {record.decided_at:%Y-%m-%d %H:%M} UTC: {record.state}"
        return GateOutcome(version, decision, reason)
    champion = context.registry.by_alias(version.name, CHAMPION)
    _check_unchanged(champion, evaluation)
    decision = _decide(context, run, champion, policy, data)
    context.tracker.log_text(run.run_id, DECISION_ARTIFACT, decision.model_dump_json(indent=2))
    store_decision(context.registry, version, data.version, record_of(decision, champion, policy))
    return GateOutcome(_again(context, version), decision, None)


def _decide(
    context: JobContext,
    run: TrackedRun,
    champion: ModelVersion | None,
    policy: PromotionPolicy,
    data: DatasetVersion,
) -> PromotionDecision:
    print_, candidate = run.tags[Tag.FINGERPRINT], read_report(context, run, CANDIDATE_REPORT)
    if champion is None:
        return decide(candidate, None, policy, AlphaLedger(), print_)
    incumbent = read_report(context, run, CHAMPION_REPORT)
    entry = reserve(
        read_ledger(context.registry, champion.name),
        policy,
        candidate=print_,
        dataset_version=data.version,
        champion=champion.version,
    )
    write_entry(context.registry, champion.name, entry)
    ledger = read_ledger(context.registry, champion.name)
    return decide(candidate, incumbent, policy, ledger, print_, champion.version)


def promote(context: JobContext, version: ModelVersion, data: DatasetVersion) -> PromoteOutcome:
    """Carry out a decision; one that a kill left half done is finished or undone here.

    Raises:
        PromotionError: If there is no decision, or the alias did not stay where it was put.
    """
    name, registry = version.name, context.registry
    version = _again(context, version)
    record = stored_decision(version, data.version)
    if record is None:
        raise PromotionError(
            f"{name} version {version.version}",
            got="no stored decision",
            wanted="a decision of the gate on these data",
            remedy="Run the nightly flow, which decides first.",
        )
    champion = registry.by_alias(name, CHAMPION)
    if record.state is DecisionState.REFUSED:
        return PromoteOutcome(champion, "the gate refused")
    if record.state is not DecisionState.PENDING:
        return PromoteOutcome(champion, f"the decision was {record.state} before")
    present = champion.version if champion else None
    if present not in (record.champion, version.version):
        superseded = record.model_copy(update={"state": DecisionState.SUPERSEDED})
        store_decision(registry, version, data.version, superseded)
        reason = f"the champion is now version {present}, not {record.champion} as compared"
        return PromoteOutcome(champion, reason)
    if record.champion is not None:
        registry.set_alias(name, PREVIOUS, record.champion)
    registry.set_alias(name, CHAMPION, version.version)
    _confirm(context, version, record, data)
    return PromoteOutcome(registry.by_alias(name, CHAMPION), None)


def _check_unchanged(champion: ModelVersion | None, evaluation: EvaluationOutcome) -> None:
    if evaluation.skipped:
        raise PromotionError(
            "evaluation",
            got="one that an earlier decision was made from",
            wanted="one made for this decision",
            remedy="The policy or the champion changed in between; run the flow again.",
        )
    compared = evaluation.champion
    now = champion.version if champion else None
    then = compared.version if compared else None
    if now != then:
        raise PromotionError(
            "champion",
            got=f"version {now}",
            wanted=f"version {then}, with which the candidate was compared",
            remedy="Run the flow again; it compares with the present champion.",
        )


def _confirm(
    context: JobContext, version: ModelVersion, record: DecisionRecord, data: DatasetVersion
) -> None:
    champion = context.registry.by_alias(version.name, CHAMPION)
    if champion is None or champion.version != version.version:
        raise PromotionError(
            f"alias {CHAMPION} of {version.name}",
            got=f"version {champion.version if champion else None}",
            wanted=f"version {version.version}, just written",
            remedy="Somebody else moved the alias at the same time; run the flow again.",
        )
    applied = record.model_copy(update={"state": DecisionState.APPLIED})
    store_decision(context.registry, version, data.version, applied)


def _again(context: JobContext, version: ModelVersion) -> ModelVersion:
    found = context.registry.version_of_run(version.name, version.run_id)
    assert found is not None, "a version that was just registered"
    return found
