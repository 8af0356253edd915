"""What people are told of a run that ended: a line for a phone, and a short text in plain words."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:  # reports sends what is written here
    from flows.reports import PartReport, RunReport

Event = Literal["success", "failure", "promotion", "refusal"]

SUBJECT_LENGTH = 120  # characters
LINKS = ("Prefect", "MLflow")  # how the links begin that are worth a tap


def events_of(report: RunReport) -> set[Event]:
    """What happened; nothing for a run that a person cancelled or that still goes on.

    A run that skipped everything is a success without promotion or refusal.
    """
    if report.state in ("Cancelled", "Running"):
        return set()
    ended: Event = "success" if report.state == "Completed" else "failure"
    return {ended} | {verdict for part in report.parts if (verdict := _verdict(part))}


def subject_of(report: RunReport) -> str:
    """The verdict first, since phones cut lines off."""
    what = report.name or report.flow
    if report.state != "Completed":
        line = f"{report.state}: {what}: {report.error or 'no message'}"
    elif verdicts := [_headline(part) for part in report.parts if _verdict(part)]:
        line = f"{'; '.join(verdicts)} ({what})"
    else:
        nothing = report.steps and all(step.skipped for step in report.steps)
        line = f"Completed: {what}" + (", nothing changed" if nothing else "")
    return textwrap.shorten(line, SUBJECT_LENGTH, placeholder="...")


def body_of(report: RunReport) -> str:
    """Error, warnings, each model with its verdict, reasons and numbers, and where to see more."""
    parts = [f"Error: {report.error}"] if report.error else []
    parts += [f"Warning: {warning}" for warning in report.warnings]
    parts += ["\n".join(report.notes)] if report.notes else []
    parts += [text for part in report.parts if (text := _part_text(part))]
    links = [f"{name}: {url}" for name, url in report.links.items() if name.startswith(LINKS)]
    return "\n\n".join([*parts, "\n".join(links)]).strip() + "\n"


def _verdict(part: PartReport) -> Event | None:
    """What this run decided; not what an earlier run had decided."""
    if part.decision is None or not part.decision.new:
        return None
    return "promotion" if part.model and part.model.alias else "refusal"


def _headline(part: PartReport) -> str:
    words = "Promoted" if _verdict(part) == "promotion" else "Refused"
    return f"{words}: {part.model.name} version {part.model.version}" if part.model else words


def _part_text(part: PartReport) -> str:
    lines = []
    if part.decision and _verdict(part):
        lines += [_headline(part), *(f"- {reason}" for reason in part.decision.reasons)]
        champion = part.model and part.model.champion
        lines.append(f"Champion: version {champion}" if champion else "There is no champion.")
    lines += [f"{name.replace('_', ' ')}: {value:.4g}" for name, value in part.metrics.items()]
    return "\n".join(lines)
