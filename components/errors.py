"""Every error a person can meet, in one tree.

NightforgeError
├── ConfigError                 settings, params.yaml, --set
│   └── UnknownKeyError         a name that no catalog or section knows
├── DataError
│   ├── DataUnavailableError    no source of a dataset answered
│   ├── ChecksumError           bytes are there, but they are not the expected ones
│   └── CorruptDataError        a file that cannot be what it claims to be
├── VersioningError             the DVC command line failed
│   └── ObjectStoreError        a bucket that cannot be used as asked until a person acts
├── TrainingError
│   ├── NonFiniteLossError      NaN or infinity in a loss
│   ├── CheckpointError         a checkpoint that cannot be read or written
│   ├── OutOfMemoryError        a step that does not fit into memory
│   └── SelfCheckError          a machine that computes wrongly
├── StudyError                  a sweep's study that cannot go on
├── SupersededError             a newer attempt at the same work has taken over
├── TrackingError               MLflow refused or lost something
│   ├── TrackingUnavailableError  MLflow did not answer; it may do so later
│   └── MissingMetricError      a metric that something relies on is absent
├── EvaluationError             a suite in which something is under its floor
├── PromotionError              the registry is not in a state the gate can act on
└── ServiceError                the embedded servers and the worker
    ├── PortInUseError
    ├── StateDirectoryError
    └── FlowRunError            a flow run ended in another state than Completed

Each message has three parts: what was got, what was wanted, and what to do about it.
"""

from __future__ import annotations


class NightforgeError(Exception):
    """Base of all errors that Nightforge raises on purpose.

    Args:
        subject: What the error is about, in a few words ("port 4200").
        got: What was found.
        wanted: What was expected instead.
        remedy: One thing the reader can do now.
    """

    exit_code = 1

    def __init__(self, subject: str, *, got: str, wanted: str, remedy: str) -> None:
        self.subject, self.got, self.wanted, self.remedy = subject, got, wanted, remedy
        super().__init__(f"{subject}: got {got}, wanted {wanted}. {remedy}")

    @property
    def words(self) -> list[str]:
        """Class and parts, from which `rebuilt` makes the same error in another process."""
        return [type(self).__name__, self.subject, self.got, self.wanted, self.remedy]

    def __reduce__(self) -> tuple[object, ...]:
        """Keep the three parts when the error crosses a process boundary."""
        return _rebuild, (type(self), self.subject, self.got, self.wanted, self.remedy)


def _rebuild(
    kind: type[NightforgeError], subject: str, got: str, wanted: str, remedy: str
) -> NightforgeError:
    return kind(subject, got=got, wanted=wanted, remedy=remedy)


class ConfigError(NightforgeError):
    """Settings, params.yaml or a command-line value are unusable."""

    exit_code = 2


class UnknownKeyError(ConfigError):
    """A name that no catalog, section or model field knows."""


class DataError(NightforgeError):
    """A dataset cannot be used as it is."""

    exit_code = 3


class DataUnavailableError(DataError):
    """None of a dataset's sources could be reached."""

    exit_code = 4


class ChecksumError(DataError):
    """Bytes arrived, but not the expected ones."""


class CorruptDataError(DataError):
    """A file is not what its name or header claims."""


class VersioningError(NightforgeError):
    """The DVC command line failed."""


class ObjectStoreError(VersioningError):
    """An object store refused, and will refuse again until a person acts."""


class TrainingError(NightforgeError):
    """Training could not go on."""


class NonFiniteLossError(TrainingError):
    """A loss became NaN or infinite."""


class CheckpointError(TrainingError):
    """A checkpoint could not be written or read back."""


class OutOfMemoryError(TrainingError):
    """A step does not fit into the device's memory."""


class SelfCheckError(TrainingError):
    """A machine does not find answers that are known."""


class StudyError(NightforgeError):
    """A study cannot be started, continued or read."""


class SupersededError(NightforgeError):
    """A newer attempt at the same work has taken over; this one may write no more."""


class TrackingError(NightforgeError):
    """The tracking server or the model registry refused or lost something."""


class TrackingUnavailableError(TrackingError):
    """The tracking server could not be reached or could not answer; it may do so later."""


class MissingMetricError(TrackingError):
    """A metric that a decision relies on is absent."""


class EvaluationError(NightforgeError):
    """An evaluation suite that did not pass."""


class PromotionError(NightforgeError):
    """The registry is not in a state the gate can act on."""


class ServiceError(NightforgeError):
    """An embedded server or the worker could not do its work."""


class PortInUseError(ServiceError):
    """A configured port is taken by another process."""


class StateDirectoryError(ServiceError):
    """The state directory cannot be used."""


class FlowRunError(ServiceError):
    """A flow run ended in another state than Completed."""


def rebuilt(words: list[str]) -> NightforgeError:
    """The error whose `words` another process told."""
    kind = globals()[words[0]]
    assert issubclass(kind, NightforgeError)
    return _rebuild(kind, *words[1:])
