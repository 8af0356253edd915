"""Register a candidate and decide; the evidence is stored before anything moves."""

from __future__ import annotations

from dataclasses import dataclass

from components.errors import PromotionError
from components.evaluation.report import AnyReport
from components.jobs.context import JobContext, kind_of, registered_model
from components.jobs.evaluate import (
    ANCHOR_REPORT,
    CANDIDATE_REPORT,
    CHAMPION_REPORT,
    EvaluationOutcome,
    incumbents,
    read_report,
)
from components.jobs.lineage import origins
from components.jobs.records import (
    DECISION_ARTIFACT,
    read_ledger,
    record_of,
    standing_decision,
    store_decision,
    write_entry,
)
from components.promotion.decision import PromotionDecision, decide
from components.promotion.ledger import AlphaLedger, reserve
from components.promotion.policy import PromotionPolicy
from components.tracking import model_card
from components.tracking.base import (
    CHAMPION,
    MODEL_CARD,
    ModelVersion,
    Tag,
    TrackedRun,
)
from components.versioning.versions import DatasetVersion

CARRIED = (Tag.FINGERPRINT, Tag.KIND, Tag.MODEL, Tag.INPUT_SHAPE)  # from run to version


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


def register(context: JobContext, run: TrackedRun, data: DatasetVersion) -> RegisterOutcome:
    """Make the run's model a version of its registered model, once, with its card.

    Raises:
        TrackingError: If the run was not evaluated, or the server refuses.
    """
    name = registered_model(data.name, kind_of(run))
    if found := context.registry.version_of_run(name, run.run_id):
        if not found.described:  # a kill came in between
            card = context.tracker.read_text(run.run_id, MODEL_CARD)
            context.registry.describe_version(name, found.version, card)
        return RegisterOutcome(found, f"registered before as version {found.version}")
    tags: dict[str, str] = {
        **context.tags(),
        **{tag: run.tags[tag] for tag in CARRIED if tag in run.tags},
        Tag.DATASET: data.name,
        Tag.DATASET_VERSION: data.version,
        Tag.SAMPLE: str(data.sample).lower(),
    }
    report = read_report(context, run.run_id, CANDIDATE_REPORT)
    card = model_card.markdown(name, run, report, origins(context, run, tags))
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
    compared = incumbents(context, champion, policy.goal) if champion else {}
    decision = _decide(context, run, champion, policy, data)
    context.tracker.log_text(run.run_id, DECISION_ARTIFACT, decision.model_dump_json(indent=2))
    anchor = compared.get(ANCHOR_REPORT)
    record = record_of(decision, champion, policy, anchor.version if anchor else None)
    store_decision(context.registry, version, data.version, record)
    return GateOutcome(_again(context, version), decision, None)


def _decide(
    context: JobContext,
    run: TrackedRun,
    champion: ModelVersion | None,
    policy: PromotionPolicy,
    data: DatasetVersion,
) -> PromotionDecision:
    def report(path: str) -> AnyReport:
        return read_report(context, run.run_id, path)

    print_, candidate = run.tags[Tag.FINGERPRINT], report(CANDIDATE_REPORT)
    if champion is None:
        return decide(candidate, None, policy, AlphaLedger(), print_)
    entry = reserve(
        read_ledger(context.registry, champion.name),
        policy,
        candidate=print_,
        dataset_version=data.version,
        champion=champion.version,
    )
    write_entry(context.registry, champion.name, entry)
    ledger = read_ledger(context.registry, champion.name)
    anchor = report(ANCHOR_REPORT) if policy.goal == "cheaper" else None
    incumbent = report(CHAMPION_REPORT)
    return decide(candidate, incumbent, policy, ledger, print_, champion.version, anchor)


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


def _again(context: JobContext, version: ModelVersion) -> ModelVersion:
    found = context.registry.version_of_run(version.name, version.run_id)
    assert found is not None, "a version that was just registered"
    return found
