"""A run's report as the Prefect UI shows it, in markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flows.reports import DatasetReport, DecisionReport, PartReport, RunReport


def markdown(report: RunReport) -> str:
    """The report for people; a section for each model where there are several."""
    texts = [f"# {report.flow}: {_headline(report)}", *_section(report)]
    for part in report.also:
        texts += [f"# {part.title}: {_headline(part)}", *_section(part)]
    return "\n\n".join(texts) + "\n"


def _section(report: PartReport) -> list[str]:
    parts = [" · ".join(f"[{name}]({url})" for name, url in report.links.items())]
    parts += [f"> **{warning}**" for warning in report.warnings]
    if report.error:
        parts.append(f"**Error.** {report.error}")
    if report.notes:
        parts.append("\n".join(f"- {note}" for note in report.notes))
    if report.dataset:
        parts.append(_dataset_lines(report.dataset))
    if report.metrics:
        rows = [f"| {name} | {value:.4g} |" for name, value in report.metrics.items()]
        parts.append("\n".join(["| metric | value |", "|---|---|", *rows]))
    parts += [f"### {title}\n\n{_table(rows)}" for title, rows in report.tables.items()]
    if report.decision:
        parts.append(_decision_lines(report.decision))
    parts += [f"![{name}]({url})" for name, url in report.pictures.items()]
    rows = [f"| {step.name} | {step.seconds:.1f} | {step.note} |" for step in report.steps]
    parts.append("\n".join(["| step | seconds | note |", "|---|---|---|", *rows]))
    return parts


def _table(rows: list[dict[str, str]]) -> str:
    lines = [list(rows[0]), ["---"] * len(rows[0]), *(list(row.values()) for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _headline(report: PartReport) -> str:
    if report.state != "Completed":
        return report.state
    if all(step.skipped for step in report.steps):
        return "nothing changed, everything skipped"
    if report.decision and report.model:
        verdict = "promoted" if report.decision.promoted else "refused"
        return f"{report.model.name} version {report.model.version} {verdict}"
    return report.state


def _dataset_lines(dataset: DatasetReport) -> str:
    return (
        f"**Dataset** {dataset.name}, version `{dataset.version}`, from {dataset.source}: "
        f"{dataset.train:,} training, {dataset.validation:,} validation and "
        f"{dataset.test:,} test examples." + (f" {dataset.change}." if dataset.change else "")
    )


def _decision_lines(decision: DecisionReport) -> str:
    verdict = "Promoted" if decision.promoted else "Refused"
    rows = [
        f"| {rule.rule} | {'pass' if rule.passed else '**fail**'} | {rule.reason} |"
        for rule in decision.evidence
    ]
    reasons = "\n".join(f"- {reason}" for reason in decision.reasons)
    table = "\n".join(["| rule | verdict | evidence |", "|---|---|---|", *rows])
    return f"## {verdict}\n\n{reasons}\n\n{table}"
