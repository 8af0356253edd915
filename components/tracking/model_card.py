"""The page that describes a registered model, in markdown (Mitchell et al., 2019)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from components.evaluation.report import (
    AnyReport,
    ErrorReport,
    EvaluationReport,
    GenerationReport,
)
from components.models.spec import SEQUENCE_KINDS, ModelKind
from components.promotion.statistics import wilson_interval
from components.tracking.base import PACKAGE, Tag, TrackedRun

WEAKEST = 10  # classes that are listed
CONFIG_PREFIXES = ("training.", "gan.", "network.")


def markdown(name: str, run: TrackedRun, report: AnyReport, links: Mapping[str, str]) -> str:
    """Data, configuration, metrics with intervals, limits, lineage, and how to load a model.

    Args:
        name: Of the registered model.
        run: The training run that owns it.
        report: Its evaluation on the held-out test split.
        links: Where it comes from: name to address.
    """
    texts = run.tags[Tag.KIND] == ModelKind.TEXT_CLASSIFIER
    sequences = ModelKind(run.tags[Tag.KIND]) in SEQUENCE_KINDS
    about = {
        "classification": _text_classifier if texts else _classifier,
        "generation": _generator,
        "error": _sequence_model if sequences else _regressor,
    }[report.kind]
    lines = [
        f"# {name}: {run.tags[Tag.MODEL]}",
        "",
        f"Trained by [run {run.name}]({run.url}), seed {run.tags[Tag.SEED]}, on "
        f"{run.tags[Tag.DEVICE]}.",
        *_data(run, report),
        *about(name, report),  # type: ignore[operator]
        *_config(run.params),
        *_lineage(run, links),
    ]
    return "\n".join(lines) + "\n"


def _classifier(name: str, report: EvaluationReport) -> Iterator[str]:
    yield from _metrics(report, "image")
    yield from _limits(report, "picture")
    yield from _loading(name, "scores = model(images)  # (B, C, H, W) float32 in [0, 1]")
    yield f"`nightforge predict {name} IMAGE...` names classes."
    yield from _order(report)


def _text_classifier(name: str, report: EvaluationReport) -> Iterator[str]:
    yield from _metrics(report, "text")
    yield from _limits(report, "text")
    yield from _loading(
        name,
        "tokeniser = tokeniser_of(model)  # stored in it; from components.text.deployable",
        'ids = torch.from_numpy(tokeniser.encode([("a text", "")]))  # or a pair of texts',
        "scores = model(ids)",
    )
    yield f"`nightforge predict {name} TEXTS.txt` names classes, of one text a line."
    yield from _order(report)


def _order(report: EvaluationReport) -> Iterator[str]:
    if len(report.class_names) <= WEAKEST:
        yield from ("", "Scores in this order: " + ", ".join(report.class_names) + ".")


def _generator(name: str, report: GenerationReport) -> Iterator[str]:
    yield from ("", "## Metrics", "")
    yield (
        f"- kernel distance x 1000 from {report.n:,} held-out examples: "
        f"{_number(report.kernel_distance)} (standard deviation {_number(report.kernel_deviation)} "
        f"over subsets of {report.subset})"
    )
    yield f"- milliseconds for one sample: {_number(report.latency_ms)}"
    yield from ("", "## Limits", "")
    yield "- Distances are measured in a fixed random feature space: compare them with one another,"
    yield "  not with distances in Inception's."
    yield "- It draws what resembles its training data, and may repeat them."
    yield from _loading(name, "samples = model(latents)  # (B, latent_dim) standard normal")


def _regressor(name: str, report: ErrorReport) -> Iterator[str]:
    yield from ("", "## Metrics", "")
    yield f"- mean {report.metric} on the test split: {_number(report.error)}"
    yield f"- milliseconds for one example: {_number(report.latency_ms)}"
    yield from ("", "## Limits", "", "- It is a line, fitted to a generated problem.")
    yield from _loading(name, "targets = model(features)  # (B, features) float32")


def _sequence_model(name: str, report: ErrorReport) -> Iterator[str]:
    yield from ("", "## Metrics", "")
    yield f"- mean {report.metric} on the test split: {_number(report.error)}"
    yield f"- milliseconds for one example: {_number(report.latency_ms)}"
    yield from ("", "## Limits", "")
    yield "- It knows the wording of its training texts; suites measure what people ask of it."
    yield from _loading(
        name,
        "tokeniser = tokeniser_of(model)  # stored in it; from components.text.deployable",
        "scores = model(ids)  # (B, P, choices)",
    )
    yield f"Its training run has it as a folder `{PACKAGE}`, too, for transformers' pipelines."


def _data(run: TrackedRun, report: AnyReport) -> Iterator[str]:
    yield from ("", "## Data", "")
    yield f"- dataset `{report.dataset}`, version `{report.dataset_version}`"
    yield f"- source: {run.tags[Tag.SOURCE]}"
    if run.tags[Tag.SAMPLE] == "true":
        yield "- **a small bundled sample, not the whole dataset**"
    classes = f"{len(report.class_names)} classes, " if report.kind == "classification" else ""
    yield f"- {classes}{report.n:,} test examples, never trained on"


def _metrics(report: EvaluationReport, what: str) -> Iterator[str]:
    hits = int(report.correct().sum())
    low, high = wilson_interval(hits, report.n)
    yield from ("", "## Metrics", "", "| metric | value | 95 % interval |", "|---|---:|---|")
    yield f"| test accuracy | {hits / report.n:.4f} | {low:.4f} to {high:.4f} |"
    yield f"| test loss | {_number(report.loss)} | |"
    yield f"| expected calibration error | {_number(report.calibration_error)} | |"
    yield f"| milliseconds for one {what} | {_number(report.latency_ms)} | |"
    most = len(report.class_names) > WEAKEST
    which = f"The {WEAKEST} weakest classes:" if most else "Classes, the weakest first:"
    yield from ("", which, "", "| class | recall | 95 % interval | precision |")
    yield "|---|---:|---|---:|"
    for index in sorted(range(len(report.class_names)), key=report.recall.__getitem__)[:WEAKEST]:
        count = report.labels.count(index)
        found = round(report.recall[index] * count)
        between = (
            f"no test {what}"
            if not count
            else "{:.3f} to {:.3f}".format(*wilson_interval(found, count))
        )
        yield (
            f"| {report.class_names[index]} | {report.recall[index]:.3f} | {between} "
            f"| {report.precision[index]:.3f} |"
        )


def _limits(report: EvaluationReport, what: str) -> Iterator[str]:
    yield from ("", "## Limits", "")
    yield f"- It knows these classes only and names one of them for any {what} whatsoever."
    yield f"- The intervals hold for {what}s like those of the test split, not for others."
    yield (
        "- Its probabilities are as wrong, on average, as the calibration error says "
        f"({_number(report.calibration_error)})."
    )


def _loading(name: str, *calls: str) -> Iterator[str]:
    yield from ("", "## Use", "", "```python", "import mlflow", "")
    yield f'model = mlflow.pytorch.load_model("models:/{name}@champion")'
    yield from (*calls, "```", "")


def _lineage(run: TrackedRun, links: Mapping[str, str]) -> Iterator[str]:
    yield from ("", "## Where it comes from", "")
    yield f"- code: commit `{run.tags.get(Tag.GIT_COMMIT, 'unknown')}`"
    yield f"- fingerprint: `{run.tags[Tag.FINGERPRINT]}`"
    for what, url in links.items():
        yield f"- [{what}]({url})"


def _config(params: Mapping[str, str]) -> Iterator[str]:
    shown = sorted(key for key in params if key.startswith(CONFIG_PREFIXES))
    yield from ("", "## Configuration", "")
    yield ", ".join(f"{key.partition('.')[2]} {params[key]}" for key in shown) + "."


def _number(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.4g}"
