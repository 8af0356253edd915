"""The tuner: hands out segments, takes results, and keeps everything in the trial log."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Mapping
from typing import assert_never

from components.errors import StudyError
from components.tuning import SCHEDULERS, SEARCHERS
from components.tuning.log import TrialLog
from components.tuning.scheduler import Scheduler
from components.tuning.searchers import Score, Searcher
from components.tuning.space import Config
from components.tuning.study import EPOCHS, Study
from components.tuning.trial import (
    Claimed,
    Decision,
    EpochDone,
    Event,
    Resume,
    Retired,
    Segment,
    SegmentDone,
    SegmentFailed,
    Start,
    Trial,
    TrialStatus,
)

SECONDS = "seconds"
_STATUS = {
    Decision.CONTINUE: TrialStatus.PAUSED,
    Decision.PAUSE: TrialStatus.PAUSED,
    Decision.STOP: TrialStatus.STOPPED,
}


class Tuner:
    """One study while it runs. Not thread-safe: the coordinator calls it under a lock.

    Args:
        study: What is searched.
        log: Its events; those in it are told to the scheduler again.
        searcher: Instead of the one that the study names.
        clock: Seconds.

    Attributes:
        trials: By number.
        study: With the prior that its log began with.
        retired: Trials whose checkpoints nobody needs any more.
        trained_twice: Epochs that a worker trained although the log had them already: it told
            other seconds than the first time. A resumed worker only repeats what it once told.

    Raises:
        StudyError: If the log is that of another study.
        ConfigError: If the study cannot run.
    """

    def __init__(
        self,
        study: Study,
        log: TrialLog,
        searcher: Searcher | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        study.check()
        self.study = study.continuing(log.header)
        self.trials: dict[int, Trial] = {}
        self._log, self._clock = log, clock
        self._points = self.study.first_points
        self._searcher = searcher or SEARCHERS.get(study.searcher)(study.space, study.seed)
        known = self._searcher.limit
        self._most = study.limits.trials
        if known is not None:
            self._most = min(self._most, known + len(self._points))
        self._scheduler: Scheduler = SCHEDULERS.get(study.scheduler)(  # type: ignore[call-arg]
            study.resources, self._most
        )
        self.trained_twice = 0
        self.retired: set[int] = set()
        self._open: dict[int, Segment] = {}
        self._held: set[int] = set()
        self._claimed_epochs = 0
        for event in log.events:
            self._apply(event)
        self._elapsed = log.events[-1].at if log.events else 0.0
        self._since = clock()

    @property
    def now(self) -> float:
        """Seconds for which the study has run, those of earlier attempts included."""
        return self._elapsed + self._clock() - self._since

    @property
    def events(self) -> Collection[Event]:
        """The trial log."""
        return self._log.events

    @property
    def over(self) -> bool:
        """Whether no segment runs and none will."""
        return not self._open and self._next() is None

    @property
    def running(self) -> int:
        """Segments that workers hold now."""
        return len(self._held)

    @property
    def best(self) -> Trial | None:
        """See `Study.best_of`."""
        return self.study.best_of(self.trials.values())

    def retire(self) -> None:
        """Write down whose checkpoints nobody needs any more."""
        best = self.best
        gone = set(self._scheduler.retired()) - self.retired
        failed = (t.number for t in self.trials.values() if t.status is TrialStatus.FAILED)
        gone |= set(failed) - self.retired
        gone -= {best.number if best else -1} | self._open.keys()
        if gone:
            self._tell(Retired(at=self.now, trials=tuple(sorted(gone))))

    def claim(self) -> Segment | None:
        """A segment for a worker that has none; None if there is nothing to do just now.

        Raises:
            StudyError: If it cannot be written down.
        """
        for trial, segment in self._open.items():
            if trial not in self._held:  # its worker was lost, or the study was
                self._held.add(trial)
                return segment
        self.retire()  # here, so that a study taken up again writes the same log
        next_ = self._next()
        if next_ is None:
            return None
        segment = self._segment(next_)
        self._tell(Claimed(at=self.now, segment=segment))
        self._held.add(segment.trial)
        return segment

    def release(self, trial: int) -> None:
        """The worker that held a trial's segment is gone: another one gets it."""
        self._held.discard(trial)

    def epoch(self, trial: int, epoch: int, metrics: Mapping[str, float]) -> bool:
        """An epoch was trained; one that is known already (a resumed worker's) is ignored.

        Returns:
            Whether the trial goes on: a metric that is not finite ends it as failed.

        Raises:
            StudyError: If the metric is missing or an epoch was left out.
        """
        known = self.trials[trial]
        if epoch <= len(known.curve):
            self.trained_twice += metrics.get(SECONDS, 0.0) != known.seconds[epoch - 1]
            return True
        if epoch != len(known.curve) + 1 or self.study.metric not in metrics:
            raise StudyError(
                f"study {self.study.name}, trial {trial}",
                got=f"epoch {epoch} with the metrics {', '.join(sorted(metrics))}",
                wanted=f"epoch {len(known.curve) + 1} with {self.study.metric}",
                remedy="Choose a metric that the model reports.",
            )
        value = metrics[self.study.metric]
        if not math.isfinite(value):
            self.fail(trial, f"{self.study.metric} of epoch {epoch} is {value}")
            return False
        finite = {name: number for name, number in metrics.items() if math.isfinite(number)}
        self._tell(EpochDone(at=self.now, trial=trial, epoch=epoch, value=value, metrics=finite))
        return True

    def done(self, trial: int) -> None:
        """The worker finished the segment of a trial."""
        segment = self._open[trial]
        if not self.trials[trial].curve:
            self.fail(trial, "no epoch was reported")
            return
        self._tell(SegmentDone(at=self.now, trial=trial, resource=segment.resource))

    def fail(self, trial: int, reason: str) -> None:
        """A trial cannot go on; the study does."""
        self._tell(SegmentFailed(at=self.now, trial=trial, reason=reason))

    def _next(self) -> Start | Resume | None:
        limits = self.study.limits
        if limits.minutes and self.now >= 60 * limits.minutes:
            return None
        suggested = self._scheduler.suggest(len(self.trials))
        if (
            suggested
            and limits.epochs
            and self._claimed_epochs + self._cost(suggested) > (limits.epochs)
        ):
            return None
        return suggested

    def _cost(self, next_: Start | Resume) -> int:
        if isinstance(next_, Start):
            return next_.resource
        return next_.resource - self.trials[next_.trial].resource

    def _segment(self, next_: Start | Resume) -> Segment:
        if isinstance(next_, Resume):
            trial = self.trials[next_.trial]
            return Segment(
                trial=trial.number,
                config=trial.config,
                first=trial.resource + 1,
                resource=next_.resource,
                bracket=trial.bracket,
            )
        config = self._propose(len(self.trials))
        # Under fifo a trial may have a length of its own.
        resource = min(next_.resource, int(config.get(EPOCHS, next_.resource)))
        return Segment(
            trial=len(self.trials),
            config=config,
            first=1,
            resource=resource,
            bracket=next_.bracket,
        )

    def _propose(self, number: int) -> Config:
        if number < len(self._points):
            return self._points[number]
        scores = self.study.prior_scores + [
            Score(trial.config, self.study.best_score(trial), len(trial.curve))
            for trial in self.trials.values()
            if trial.curve
        ]
        return self._searcher.propose(number - len(self._points), self.trials, scores)

    def _tell(self, event: Event) -> None:
        self._log.append(event)
        self._apply(event)

    def _apply(self, event: Event) -> None:
        match event:
            case Claimed():
                self._apply_claim(event.segment, event.at)
            case EpochDone():
                trial = self.trials[event.trial]
                trial.curve.append(event.value)
                trial.times.append(event.at)
                trial.seconds.append(event.metrics.get(SECONDS, 0.0))
                trial.metrics = event.metrics
            case SegmentDone():
                self._close(event.trial)
                trial = self.trials[event.trial]
                score = self.study.sign * trial.curve[-1]
                decision = self._scheduler.on_result(trial.number, event.resource, score)
                trial.status = _STATUS[decision]
                if event.resource >= self._length(trial):
                    trial.status = TrialStatus.COMPLETED
            case SegmentFailed():
                self._close(event.trial)
                trial = self.trials[event.trial]
                trial.status, trial.reason = TrialStatus.FAILED, event.reason
                self._scheduler.on_failure(event.trial)
            case Retired():
                self.retired.update(event.trials)
                for number in event.trials:
                    self._scheduler.on_retired(number)
            case _:
                assert_never(event)

    def _apply_claim(self, segment: Segment, at: float) -> None:
        trial = self.trials.get(segment.trial)
        if trial is None:
            self.trials[segment.trial] = Trial(
                segment.trial, segment.config, segment.bracket, at, segment.resource
            )
        else:
            trial.status, trial.resource = TrialStatus.RUNNING, segment.resource
            trial.segments += 1
        self._open[segment.trial] = segment
        self._claimed_epochs += segment.epochs
        self._scheduler.on_claim(segment.trial, segment.resource, segment.bracket)

    def _close(self, trial: int) -> None:
        self._open.pop(trial, None)
        self._held.discard(trial)

    def _length(self, trial: Trial) -> int:
        most = self.study.resources.max_resource
        return min(most, int(trial.config.get(EPOCHS, most)))
