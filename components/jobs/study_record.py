"""Shows a study in the tracker while it runs: a parent run, and a child for each trial.

The trial log is the truth; what the tracker shows is made from it, in a thread of its own, so
that no worker waits for the server, and a study taken up again completes what is missing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from queue import SimpleQueue

from components.errors import NightforgeError, TrackingUnavailableError
from components.tracking.base import (
    SWEEPS_EXPERIMENT,
    DatasetInput,
    RunSpec,
    RunStatus,
    Tag,
    TrackedRun,
    Tracker,
)
from components.tuning.space import Config
from components.tuning.study import Study
from components.tuning.trial import (
    Claimed,
    EpochDone,
    Event,
    SegmentDone,
    SegmentFailed,
    TrialStatus,
)
from components.tuning.tuner import Tuner

RETRY_SECONDS = 2.0
GIVE_UP_SECONDS = 180.0
_ENDED = {TrialStatus.FAILED: RunStatus.FAILED}


@dataclass(frozen=True)
class StudySpec:
    """What the runs of a study have in common.

    Attributes:
        fingerprint: Of the study; a trial's is this, a dash and its number.
        params: Of the base, for the parent run.
    """

    study: Study
    fingerprint: str
    params: Mapping[str, object]
    tags: Mapping[str, str]
    dataset: DatasetInput

    def parent(self) -> RunSpec:
        """The study's own run."""
        study = self.study
        searched = study.model_dump(mode="json", exclude={"name", "base", "prior", "points"})
        return RunSpec(
            experiment=SWEEPS_EXPERIMENT,
            name=study.name,
            fingerprint=self.fingerprint,
            params={**self.params, "sweep": searched},
            tags={**self.tags, Tag.STUDY: study.name},
            dataset=self.dataset,
        )

    def child(self, parent: str, number: int, config: Config) -> RunSpec:
        """A trial's run."""
        return RunSpec(
            experiment=SWEEPS_EXPERIMENT,
            name=f"{self.study.name}-{number:04d}",
            fingerprint=f"{self.fingerprint}-{number:04d}",
            params=config,
            tags={
                **self.tags,
                Tag.STUDY: self.study.name,
                Tag.TRIAL: str(number),
                Tag.TRIAL_STATUS: TrialStatus.RUNNING,
            },
            dataset=self.dataset,
            parent=parent,
        )


@dataclass(frozen=True)
class _Ended:
    """A trial's status after its segment."""

    trial: int
    status: TrialStatus
    reason: str | None


@dataclass(frozen=True)
class _Best:
    """A new best value of the study, after so many epochs of all trials."""

    value: float
    epochs: int
    seconds: float


_Item = Event | _Ended | _Best


class StudyRecorder:
    """Keeps the tracker up with a study.

    Args:
        tracker: Where to.
        spec: What the runs are.
        tuner: As its log left it.

    Attributes:
        parent: The study's run.
        before: What it was when the study was taken up; None if it is new.
    """

    def __init__(self, tracker: Tracker, spec: StudySpec, tuner: Tuner) -> None:
        self._tracker, self._spec = tracker, spec
        self.before = tracker.find(SWEEPS_EXPERIMENT, spec.fingerprint)
        wanted = spec.parent()
        self.parent: TrackedRun = (
            tracker.resume(self.before.run_id, wanted) if self.before else tracker.start(wanted)
        )
        children = tracker.children(self.parent.run_id, SWEEPS_EXPERIMENT)
        self._runs = {int(child.tags[Tag.TRIAL]): child.run_id for child in children}
        self._logged = {
            number: tracker.last_step(run_id, spec.study.metric)
            for number, run_id in self._runs.items()
        }
        self._best_logged = tracker.last_step(self.parent.run_id, self._best_name)
        # A run that a kill left open, or that was closed for it, is closed anew.
        closed = (RunStatus.FINISHED, RunStatus.FAILED)
        self._known_status = {
            int(child.tags[Tag.TRIAL]): child.tags.get(Tag.TRIAL_STATUS)
            for child in children
            if child.status in closed
        }
        self._seen, self._best = 0, float("-inf")
        self._waiting: SimpleQueue[_Item | None] = SimpleQueue()
        self._stop = threading.Event()
        self.failure: NightforgeError | None = None
        self._thread = threading.Thread(target=self._work, name="recorder", daemon=True)
        self._epochs = 0
        self.changed(tuner)
        self._thread.start()

    @property
    def _best_name(self) -> str:
        return f"best_{self._spec.study.metric}"

    def changed(self, tuner: Tuner) -> None:
        """Take over what is new; called under the lock of the study, so it only queues."""
        events = list(tuner.events)[self._seen :]
        self._seen += len(events)
        for event in events:
            self._waiting.put(event)
            if isinstance(event, EpochDone):
                self._epochs += 1
                score = tuner.study.sign * event.value
                if score > self._best:
                    self._best = score
                    self._waiting.put(_Best(event.value, self._epochs, event.at))
        for number in _concerned(events):
            trial = tuner.trials[number]
            if trial.status is not TrialStatus.RUNNING:
                self._waiting.put(_Ended(number, trial.status, trial.reason))

    def finish(self, publish: Callable[[Tracker, str], None] | None, status: RunStatus) -> None:
        """Wait until everything is shown, publish the pictures, close the parent.

        Raises:
            TrackingError: If the server refused something.
        """
        self._waiting.put(None)
        self._thread.join(timeout=GIVE_UP_SECONDS)
        if self._thread.is_alive():
            self._stop.set()
            raise TrackingUnavailableError(
                f"MLflow, study {self._spec.study.name}",
                got=f"no answer for {GIVE_UP_SECONDS:g} s after the last trial",
                wanted="a server that takes the results",
                remedy="Start it, then run the study again: only what is missing is sent.",
            )
        if self.failure:
            raise self.failure
        if publish:
            publish(self._tracker, self.parent.run_id)
        self._tracker.finish(self.parent.run_id, status)

    def abandon(self, reason: str, status: RunStatus) -> None:
        """Close the runs of a study that stops early; running it again opens them again."""
        self._stop.set()
        self._waiting.put(None)
        self._thread.join(timeout=10)
        open_ = [self.parent.run_id]
        open_ += [
            child.run_id
            for child in self._tracker.children(self.parent.run_id, SWEEPS_EXPERIMENT)
            if child.status is RunStatus.RUNNING
        ]
        for run_id in open_:
            self._tracker.set_tags(run_id, {Tag.CLOSED: reason[:500]})
            self._tracker.finish(run_id, status)

    def _work(self) -> None:
        while (item := self._waiting.get()) is not None:
            while not self._stop.is_set() and self.failure is None:
                try:
                    self._show(item)
                    break
                except TrackingUnavailableError:
                    self._stop.wait(RETRY_SECONDS)  # a restarting server; the study goes on
                except NightforgeError as error:
                    self.failure = error

    def _show(self, item: _Item) -> None:
        match item:
            case Claimed():
                self._open(item.segment.trial, item.segment.config, item.segment.first)
            case EpochDone() if item.epoch > self._logged[item.trial]:
                run_id = self._runs[item.trial]
                self._tracker.log_metrics(run_id, item.metrics, item.epoch)
                self._logged[item.trial] = item.epoch
            case _Best() if item.epochs > self._best_logged:
                values = {self._best_name: item.value, "study_seconds": item.seconds}
                self._tracker.log_metrics(self.parent.run_id, values, item.epochs)
            case _Ended() if self._known_status.get(item.trial) != item.status:
                run_id = self._runs[item.trial]
                tags: dict[str, str] = {Tag.TRIAL_STATUS: item.status}
                if item.reason:
                    tags[Tag.CLOSED] = item.reason
                self._tracker.finish(run_id, _ENDED.get(item.status, RunStatus.FINISHED))
                self._tracker.set_tags(run_id, tags)
                self._known_status[item.trial] = item.status

    def _open(self, number: int, config: Config, first: int) -> None:
        if number in self._runs:
            if self._logged[number] < first or self._known_status.get(number) is None:
                spec = self._spec.child(self.parent.run_id, number, config)
                self._tracker.resume(self._runs[number], spec)
                self._known_status.pop(number, None)
            return
        spec = self._spec.child(self.parent.run_id, number, config)
        self._runs[number] = self._tracker.start(spec).run_id
        self._logged[number] = 0


def _concerned(events: Iterable[Event]) -> set[int]:
    """Trials of which the events tell something that shows."""
    claimed = {event.segment.trial for event in events if isinstance(event, Claimed)}
    others = (EpochDone, SegmentDone, SegmentFailed)
    return claimed | {event.trial for event in events if isinstance(event, others)}
