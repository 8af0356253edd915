"""Registered models for people: their histories and lineages as rows and notes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from components.jobs.lineage import Lineage, ModelHistory
from components.jobs.rollback import RollbackOutcome
from components.tracking.base import CHAMPION, ModelRegistry, ModelVersion, Tag
from flows.reports import PartReport


def describe_rollback(report: PartReport, outcome: RollbackOutcome) -> None:
    """Who is champion again, instead of whom, and why."""
    champion, before = outcome.champion, outcome.before
    report.notes.append(
        f"Version {champion.version} is champion again instead of version {before.version}: "
        f"{outcome.move.reason}"
    )
    report.links["MLflow model"] = champion.url


def describe_history(report: PartReport, found: ModelHistory) -> None:
    """Every move of the champion, and where each version is."""
    for move in found.moves:
        before = f" instead of version {move.before}" if move.before else ""
        state = "" if move.done else f" ({move.undone or 'not finished'})"
        report.notes.append(
            f"{move.at:%Y-%m-%d %H:%M} UTC, {move.by}, {move.kind}: version {move.version}"
            f"{before}{state}: {move.reason}"
        )
    for one in found.versions:
        report.links[f"version {one.version.version}"] = one.version.url


def version_rows(found: ModelHistory) -> list[dict[str, Any]]:
    """A row for each version, the newest first."""
    rows = []
    for one in found.versions:
        tags, decision = one.version.tags, one.newest
        rows.append(
            {
                "version": " ".join([str(one.version.version), *one.version.aliases]),
                "model": tags.get(Tag.MODEL, ""),
                "data": tags.get(Tag.DATASET_VERSION, "")[:8],
                "code": tags.get(Tag.GIT_COMMIT, "")[:8],
                "decision": f"{decision.state}\n{decision.decided_at:%Y-%m-%d %H:%M}"
                if decision
                else "none",
                "why": decision.gist if decision else "",
            }
        )
    return rows


def move_rows(found: ModelHistory) -> list[dict[str, Any]]:
    """A row for each move of the champion alias, the oldest first."""
    return [
        {
            "when, who": f"{move.at:%Y-%m-%d %H:%M}\n{move.by}",
            "what": str(move.kind)
            if move.done
            else f"{move.kind}: {move.undone or 'not finished'}",
            "from": str(move.before or ""),
            "to": move.version,
            "why": move.reason,
        }
        for move in found.moves
    ]


def model_rows(registry: ModelRegistry) -> list[dict[str, Any]]:
    """A row for each registered model, with its champion."""
    rows = []
    for name in registry.names():
        champion = registry.by_alias(name, CHAMPION)
        tags = champion.tags if champion else {}
        rows.append(
            {
                "model": name,
                "champion": str(champion.version) if champion else "none",
                "network": tags.get(Tag.MODEL, ""),
                "data": tags.get(Tag.DATASET_VERSION, "")[:8],
            }
        )
    return rows


def trained_rows(versions: Sequence[ModelVersion]) -> list[dict[str, Any]]:
    """A row for each version that came of some data."""
    return [
        {
            "model": version.name,
            "version": version.version,
            "alias": ", ".join(version.aliases),
            "network": version.tags.get(Tag.MODEL, ""),
            "dataset": version.tags.get(Tag.DATASET, ""),
            "data": version.tags.get(Tag.DATASET_VERSION, ""),
            "run": version.run_id,
        }
        for version in versions
    ]


def lineage_rows(found: Lineage) -> list[tuple[str, str]]:
    """What a version was made from, as (what, value)."""
    run, tags, decision = found.run, found.run.tags, found.decision
    settings = {k: v for k, v in sorted(run.params.items()) if k not in ("dataset", "model")}
    rows = [
        ("run", f"{run.name}, {run.run_id}"),
        ("dataset", f"{found.dataset}, version {found.dataset_version}"),
        ("source", tags.get(Tag.SOURCE, "")),
        ("network", tags.get(Tag.MODEL, "")),
        ("configuration", ", ".join(f"{name} {value}" for name, value in settings.items())),
        ("code", tags.get(Tag.GIT_COMMIT, "")),
        ("packages", tags.get(Tag.PACKAGES, "")),
        ("fingerprint", tags.get(Tag.FINGERPRINT, "")),
    ]
    if decision:
        compared = f" against version {decision.champion}" if decision.champion else ""
        when = f"{decision.decided_at:%Y-%m-%d %H:%M} UTC"
        words = "\n".join([f"{decision.state}, {when}{compared}", *decision.reasons])
        rows.append(("decision", words))
    return rows
