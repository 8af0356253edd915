"""Which training run a person means as a candidate: a version's number, or the id of a run."""

from __future__ import annotations

from components.errors import (
    ConfigError,
    DataUnavailableError,
    PromotionError,
    TrackingError,
    TrackingUnavailableError,
)
from components.jobs.context import JobContext, kind_of, registered_model
from components.jobs.records import stored_decision
from components.jobs.references import Reference, find
from components.jobs.train import TrainOutcome
from components.tracking.base import CHAMPION, ModelVersion, RunStatus, Tag, TrackedRun
from components.versioning.versions import DatasetVersion

RUN_ID_DIGITS = 32  # so many hexadecimal ones; a version's number is shorter
TRAINED = (Tag.KIND, Tag.DATASET, Tag.DATASET_VERSION, Tag.FINGERPRINT)  # what training notes


def find_candidate(context: JobContext, name: str, text: str = "") -> TrainOutcome:
    """The finished training run behind a version's number, a run's id, or the newest version.

    Args:
        context: Tracker and registry.
        name: The registered model for which it is a candidate; need not have versions.
        text: Number or id; empty for the newest version.

    Raises:
        ConfigError: If there is no such run or version, or it is no candidate for this model.
        PromotionError: If nothing is registered from which a version could be taken.
        TrackingError: If the server does not answer.
    """
    text = text.strip()
    if text.isascii() and text.isdigit() and len(text) < RUN_ID_DIGITS:
        run = _run_of(context, find(context.registry, Reference(name, None, int(text))))
    elif text:
        run = _run(context, text, f"candidate of {name}")
    else:
        run = _run_of(context, _newest(context, name))
    _refuse_unfit(run, name)
    return TrainOutcome(run, run.tags[Tag.FINGERPRINT], None)


def _newest(context: JobContext, name: str) -> ModelVersion:
    versions = context.registry.versions(name)
    if not versions:
        raise PromotionError(
            f"candidate of {name}",
            got="a registered model without versions",
            wanted="a version, or the id of a finished training run",
            remedy="Train one with `nightforge run train` and name its run: --set candidate=ID.",
        )
    return versions[-1]


def _run_of(context: JobContext, version: ModelVersion) -> TrackedRun:
    return _run(context, version.run_id, f"{version.name} version {version.version}")


def _run(context: JobContext, run_id: str, subject: str) -> TrackedRun:
    try:
        return context.tracker.get(run_id)
    except TrackingUnavailableError:
        raise
    except TrackingError as error:
        raise ConfigError(
            subject,
            got=f"the run {run_id!r}, for which the server says: {error.got}",
            wanted="a version's number or the id of a training run in MLflow",
            remedy="Each training run's page in MLflow shows its id.",
        ) from error


def _refuse_unfit(run: TrackedRun, name: str) -> None:
    subject = f"candidate of {name}, run {run.name}"
    if Tag.STUDY in run.tags or any(tag not in run.tags for tag in TRAINED):
        what = "a study's" if Tag.STUDY in run.tags else "another"
        raise ConfigError(
            subject,
            got=f"{what} run",
            wanted="one in which `train` or a night trained a model",
            remedy="A study's best trial goes to the gate by `nightforge run sweep`.",
        )
    belongs = registered_model(run.tags[Tag.DATASET], kind_of(run))
    if belongs != name:
        raise ConfigError(
            subject,
            got=f"a {run.tags[Tag.KIND]} trained on {run.tags[Tag.DATASET]}",
            wanted=f"a run for {name}",
            remedy=f"Choose {belongs}, or another run.",
        )
    if run.status is not RunStatus.FINISHED:
        raise ConfigError(
            subject,
            got=f"one that is {run.status.lower()}",
            wanted="a finished one",
            remedy="Training it again with the same parameters goes on where it stopped.",
        )


def refuse_other_data(run: TrackedRun, data: DatasetVersion) -> None:
    """See that the data are a version of those that the candidate was trained on.

    Raises:
        DataUnavailableError: If they are a stand-in under another name.
    """
    if data.name != run.tags[Tag.DATASET]:
        raise DataUnavailableError(
            f"dataset {run.tags[Tag.DATASET]}",
            got=f"its stand-in {data.name}",
            wanted="the dataset itself, to whose models the candidate belongs",
            remedy="The warning says why no source answered.",
        )


def refuse_hopeless(context: JobContext, run: TrackedRun, data: DatasetVersion) -> None:
    """Refuse what the gate need not spend a test on.

    Raises:
        PromotionError: If the candidate is champion, or was trained on earlier data and is not
            registered: then the classes it knows are nowhere on record.
    """
    name = registered_model(data.name, kind_of(run))
    version = context.registry.version_of_run(name, run.run_id)
    if version is None and run.tags[Tag.DATASET_VERSION] != data.version:
        raise PromotionError(
            f"candidate of {name}, run {run.name}",
            got=f"one trained on version {run.tags[Tag.DATASET_VERSION][:8]} of the data",
            wanted=f"one trained on the present version {data.version[:8]}",
            remedy="Train it again with the same parameters.",
        )
    # A promotion that a kill cut short goes on: its decision stands on these data.
    if version and CHAMPION in version.aliases and not stored_decision(version, data.version):
        raise PromotionError(
            f"candidate of {name}",
            got=f"version {version.version}, which is champion now",
            wanted="another version or run",
            remedy=f"`nightforge registry {name}` lists the versions.",
        )
