"""Bring a dataset up to date, publish its card, and compare it with the champion's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass

from components.datasets.drift import DriftConfig, drift_between
from components.datasets.prepared import ImageCard, PreparedDataset, load
from components.errors import DataError, DataUnavailableError, VersioningError
from components.jobs.context import JobContext, registered_model
from components.models.spec import ModelKind
from components.params import check, load_params
from components.settings import Settings
from components.tracking import data_card
from components.tracking.base import (
    CHAMPION,
    CONTACT_SHEET,
    DATA_CARD,
    DATASETS_EXPERIMENT,
    DatasetInput,
    RunSpec,
    RunStatus,
    Tag,
)
from components.versioning.command import OnLine
from components.versioning.dvc import DvcWorkspace
from components.versioning.remote import Remote
from components.versioning.versions import DatasetVersion

Reached = tuple[DatasetVersion, list[str]]  # with warnings


@dataclass(frozen=True)
class DataOutcome:
    """The dataset a night works with.

    Attributes:
        dataset: Its version.
        skipped: Why nothing had to be done, if so.
        warnings: What a person must not overlook, such as a stand-in or a shift.
        card_url: Where its card is shown.
    """

    dataset: DatasetVersion
    skipped: str | None
    warnings: tuple[str, ...]
    card_url: str


@dataclass(frozen=True)
class DataOutcomes:
    """Several datasets, by their names."""

    found: Mapping[str, DataOutcome]

    @property
    def skipped(self) -> str | None:
        """Why nothing had to be done, if so."""
        nothing = all(outcome.skipped for outcome in self.found.values())
        return "all versions are up to date" if nothing else None

    @property
    def warnings(self) -> tuple[str, ...]:
        """Of all of them."""
        return tuple(line for outcome in self.found.values() for line in outcome.warnings)


def refresh(
    settings: Settings, names: Sequence[str], on_line: OnLine, connect: Callable[[], JobContext]
) -> DataOutcomes:
    """Reproduce the stages of datasets and publish their cards.

    When no source of one answers, the newest version that is here or at the remote is used, and
    failing that the dataset's bundled stand-in; both with a warning. A dataset that only another
    machine knows comes from the remote, where the settings name one.

    Args:
        settings: Decide where the workspace is.
        names: Datasets of the catalog or a person's own.
        on_line: Receives DVC's output.
        connect: Connects with the tracking server. Its client takes seconds to import, as DVC
            does in a process of its own: they do so side by side.

    Raises:
        DataError: If the data are bad, or unreachable and without a stand-in.
        TrackingError: If the card cannot be published.
    """
    with ThreadPoolExecutor(1) as pool:
        connecting = pool.submit(copy_context().run, connect)
        reached = _reach_all(DvcWorkspace(settings), names, on_line)
    context = connecting.result()
    found = {name: _published(context, name, *reached[name]) for name in names}
    return DataOutcomes(found)


def _published(
    context: JobContext, name: str, dataset: DatasetVersion, warnings: list[str]
) -> DataOutcome:
    if dataset.sample:
        count = sum(dataset.counts.values())
        sample = f"THIS IS THE BUNDLED SAMPLE ({dataset.name}, {count:,} examples), not {name}."
        if dataset.name == name:
            sample = f"THIS IS A BUNDLED SAMPLE ({count:,} examples), as asked for."
        warnings = [" ".join([sample, *warnings])]
    warnings += _drift_warnings(context, dataset)
    skipped = None if dataset.ran else f"version {dataset.version[:8]} is up to date"
    return DataOutcome(dataset, skipped, tuple(warnings), publish_card(context, dataset))


def _reach_all(
    workspace: DvcWorkspace, names: Sequence[str], on_line: OnLine
) -> dict[str, Reached]:
    if workspace.settings.remote:
        for name in set(names) - set(workspace.datasets()):
            Remote(workspace).pull(name, on_line)
    if len(names) > 1:
        try:
            versions = workspace.reproduce_all(names, on_line)
            return {name: (version, []) for name, version in versions.items()}
        except DataError:
            pass  # one by one it shows whose fault it is, and the others need not suffer
    return {name: _reach(workspace, name, on_line) for name in names}


def _reach(workspace: DvcWorkspace, name: str, on_line: OnLine) -> Reached:
    try:
        return workspace.reproduce(name, on_line), []
    except DataUnavailableError as error:
        warnings = [str(error), *_pulled(workspace, name, on_line)]
        if present := workspace.current(name):
            version = f"using version {present.version[:8]} from before"
            return present, [f"The source is away; {version}. {warnings[0]}", *warnings[1:]]
        fallback = workspace.datasets().spec(name).fallback
        if fallback is None:
            raise
        return workspace.reproduce(fallback, on_line), warnings


def _pulled(workspace: DvcWorkspace, name: str, on_line: OnLine) -> list[str]:
    """Bring what another machine has pushed since, if there is a remote; warnings otherwise."""
    if not workspace.settings.remote:
        return []
    try:
        Remote(workspace).pull(name, on_line)
    except (DataUnavailableError, VersioningError) as error:
        return [str(error)]
    return []


def _drift_warnings(context: JobContext, dataset: DatasetVersion) -> list[str]:
    """Whether the data have moved away from those the champion was trained on."""
    models = sorted(
        {registered_model(dataset.name, kind) for kind in ModelKind if kind.data == "images"}
    )
    return [line for model in models for line in _drift_of(context, dataset, model)]


def _drift_of(context: JobContext, dataset: DatasetVersion, model: str) -> list[str]:
    champion = context.registry.by_alias(model, CHAMPION)
    trained_on = champion.tags.get(Tag.DATASET_VERSION) if champion else None
    if champion is None or trained_on in (None, dataset.version):
        return []
    known = {r.version: r.card for r in context.workspace.ledger.records(dataset.name)}
    old, new = known.get(str(trained_on)), known.get(dataset.version)
    if not isinstance(old, ImageCard) or not isinstance(new, ImageCard):
        return []
    section = load_params(context.settings.params_file).get("drift") or {}
    limits = check(DriftConfig, section, "params.yaml: drift")
    moved = drift_between(old, new).exceeded(limits)
    since = f"the data that champion version {champion.version} of {model} was trained on"
    return [f"Data drift against {since}: {'; '.join(moved)}."] if moved else []


def publish_card(context: JobContext, dataset: DatasetVersion) -> str:
    """Show a version's card in the tracking server, once, and return its address.

    Raises:
        TrackingError: If the server refuses.
    """
    tracker, print_ = context.tracker, f"{dataset.name}-{dataset.version}"
    found = tracker.find(DATASETS_EXPERIMENT, print_)
    if found and found.status is RunStatus.FINISHED:
        return found.url
    counts = {str(split): count for split, count in dataset.counts.items()}
    tags = {
        **context.tags(),
        Tag.DATASET: dataset.name,
        Tag.DATASET_VERSION: dataset.version,
        Tag.SOURCE: dataset.source,
        Tag.SAMPLE: str(dataset.sample).lower(),
    }
    if dataset.change:
        tags[Tag.CHANGE] = str(dataset.change)
    spec = RunSpec(
        experiment=DATASETS_EXPERIMENT,
        name=f"{dataset.name}-{dataset.version[:8]}",
        fingerprint=print_,
        params={"dataset": dataset.name, "version": dataset.version},
        tags={str(key): value for key, value in tags.items()},
        dataset=DatasetInput(dataset.name, dataset.version, dataset.source, counts),
    )
    run = tracker.start(spec)
    prepared = load(dataset.directory)
    if isinstance(prepared, PreparedDataset):
        from components.tracking import figures

        tracker.log_figure(run.run_id, CONTACT_SHEET, figures.contact_sheet(prepared))
    change = str(dataset.change) if dataset.change else None
    text = data_card.markdown(prepared.card, dataset.version, dataset.source, change)
    tracker.log_text(run.run_id, DATA_CARD, text)
    tracker.log_text(run.run_id, "dataset.json", prepared.card.model_dump_json(indent=2))
    tracker.log_metrics(run.run_id, {f"{split}_examples": n for split, n in counts.items()}, step=0)
    tracker.finish(run.run_id, RunStatus.FINISHED)
    return run.url
