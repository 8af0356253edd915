"""What a dataset is: its specification, its parameters and its splits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, model_validator

from components.errors import DataError

UInt8Array = npt.NDArray[np.uint8]
Int64Array = npt.NDArray[np.int64]
Float32Array = npt.NDArray[np.float32]

SOURCE_FILE = "source.json"


class Split(StrEnum):
    """The three disjoint parts of a dataset; the test split is for the gate only."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


Url = Annotated[str, Field(pattern=r"^https?://")]


class FetchConfig(BaseModel):
    """Where the raw files come from (params.yaml: data.<name>.fetch); generated data need none."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DownloadConfig(FetchConfig):
    """Raw files with known sums, taken from the first source that has them."""

    folders: tuple[str, ...] = Field((), description="Folders searched for the raw files, in order")
    urls: tuple[Url, ...] = Field((), description="Base addresses of the raw files, in order")
    timeout: float = Field(20.0, gt=0, description="Seconds without a byte before giving up")


class PrepareConfig(BaseModel):
    """How raw files become splits (params.yaml: data.<name>.prepare)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(0, ge=0, le=2**31 - 1, description="Seed of the split, or of what is drawn")


class HoldOutConfig(PrepareConfig):
    """For data whose source names its own test part."""

    validation_fraction: float = Field(
        0.1, gt=0, lt=1, description="Share of the training examples held out for validation"
    )


class SplitConfig(HoldOutConfig):
    """For examples without an official test part."""

    test_fraction: float = Field(
        0.1, gt=0, lt=1, description="Share of all examples held out for the gate"
    )

    @model_validator(mode="after")
    def _leave_something_to_train_on(self) -> SplitConfig:
        if self.validation_fraction + self.test_fraction >= 1:
            raise ValueError("validation_fraction and test_fraction must add up to less than 1")
        return self


@dataclass(frozen=True)
class DataConfig:
    """One dataset's section of params.yaml (data.<name>)."""

    fetch: FetchConfig
    prepare: PrepareConfig

    def section(self) -> dict[str, Any]:
        """As params.yaml holds it, with the defaults filled in."""
        return {
            "fetch": self.fetch.model_dump(mode="json"),
            "prepare": self.prepare.model_dump(mode="json"),
        }


@dataclass(frozen=True)
class RawFile:
    """One raw file and its known sum.

    Attributes:
        name: File name below each source.
        digest: Hexadecimal.
        algorithm: As `hashlib` calls it; whichever the source publishes.
        payload: The sum is of the decompressed gzip payload, so recompressing changes nothing.
    """

    name: str
    digest: str
    algorithm: Literal["sha256", "sha1", "md5"] = "sha256"
    payload: bool = False


class FoundObject(Protocol):
    """An object of an S3-compatible store; `key` is relative to the prefix that was listed."""

    @property
    def key(self) -> str: ...  # noqa: D102
    @property
    def size(self) -> int: ...  # noqa: D102
    @property
    def etag(self) -> str: ...  # noqa: D102


class ObjectReader(Protocol):
    """The part of an object store that fetching needs; versioning injects the real one."""

    def list(self, prefix: str = "") -> Iterator[FoundObject]:
        """All objects below the prefix."""

    def get_file(self, key: str, path: Path) -> None:
        """Bring one object to `path`, whole or not at all."""


Objects = Callable[[str], AbstractContextManager[ObjectReader]]


def no_object_store(url: str) -> AbstractContextManager[ObjectReader]:
    """Stands where no opener of object stores was injected.

    Raises:
        DataError: Always.
    """
    raise DataError(
        f"source {url}",
        got="an address in an object store, and nothing that opens it",
        wanted="a folder or an archive, or a fetch request with an opener",
        remedy="Let `nightforge data refresh` fetch it.",
    )


F = TypeVar("F", bound=FetchConfig)
P = TypeVar("P", bound=PrepareConfig)


@dataclass(frozen=True)
class FetchRequest(Generic[F]):
    """Where a fetch may look and where it leaves what it found.

    Attributes:
        name: The dataset's name.
        config: The dataset's fetch section of params.yaml.
        data_dir: A folder a person named; looked into first.
        samples: The folder of bundled samples.
        present: What an earlier fetch left; still good if its sums are.
        destination: A fresh, empty folder that receives the verified files.
        partial: Keeps unfinished downloads between attempts.
        quarantine: Keeps files whose sums were wrong.
        objects: Opens an s3:// address.
    """

    name: str
    config: F
    data_dir: Path | None
    samples: Path
    present: Path
    destination: Path
    partial: Path
    quarantine: Path
    objects: Objects = no_object_store


@dataclass(frozen=True)
class ReadRequest(Generic[P]):
    """What a reader turns into arrays.

    Attributes:
        raw: The folder the fetch stage filled.
        config: The dataset's prepare section of params.yaml.
        scratch: An empty folder for arrays too large for memory; removed afterwards.
    """

    raw: Path
    config: P
    scratch: Path


@dataclass(frozen=True)
class Arrays:
    """One split in memory or memory-mapped.

    Attributes:
        images: (N, C, H, W) uint8 in [0, 255].
        labels: (N,) int64 in [0, classes).
    """

    images: UInt8Array
    labels: Int64Array


@dataclass(frozen=True)
class Unreadable:
    """A file that was left out, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class RawImages:
    """Images as read, before they are split.

    Attributes:
        class_names: One per label, in label order.
        train: What training and validation are taken from; without `test`, the test split too.
        test: The part that the source itself holds out.
        unreadable: Files that were left out.
    """

    class_names: tuple[str, ...]
    train: Arrays
    test: Arrays | None
    unreadable: tuple[Unreadable, ...] = ()


@dataclass(frozen=True)
class Tensors:
    """One split of a generated problem.

    Attributes:
        features: (N, d) float32.
        targets: (N, k) float32; k is 0 where there is nothing to predict.
    """

    features: Float32Array
    targets: Float32Array


@dataclass(frozen=True)
class RawTensors:
    """A generated problem with the parameters it was generated from."""

    splits: Mapping[Split, Tensors]
    truth: Mapping[str, Any]


class TextTask(StrEnum):
    """What there is to learn from texts; decides which fields an example has.

    - CLASSIFICATION: `label` is the class of `text`, or of how `second` is related to it.
    - TOKENS: `spans` are the entities in `text`, each with its class.
    - SPANS: `text` asks, and the one span is the answer in `second`; none if it does not say.
    - GENERATION: `second` is what is to be written for `text`.
    - LANGUAGE: `text` alone; `spans` are words that its context decides, to be guessed in a test.
    """

    CLASSIFICATION = "classification"
    TOKENS = "token classification"
    SPANS = "span extraction"
    GENERATION = "text to text"
    LANGUAGE = "language modelling"


Span = tuple[int, int, str]  # first character, the one after the last, class


@dataclass(frozen=True)
class Text:
    """One example; `TextTask` says what its fields hold. Spans are in order."""

    text: str
    label: str = ""
    second: str = ""
    spans: tuple[Span, ...] = ()


@dataclass(frozen=True)
class RawTexts:
    """Texts in their splits, and how they were made.

    Classes are in label order; for TOKENS there is one for each kind of entity.
    """

    class_names: tuple[str, ...]
    splits: Mapping[Split, Sequence[Text]]
    truth: Mapping[str, Any]
    task: TextTask = TextTask.CLASSIFICATION


class DataKind(StrEnum):
    """What the examples of a dataset are; decides which models can learn from it."""

    IMAGES = "images"
    TENSORS = "tensors"
    TEXTS = "texts"


@dataclass(frozen=True)
class DatasetSpec:
    """All that is fixed about a dataset.

    Attributes:
        name: Its key in the catalog, in params.yaml and in dvc.yaml, and its module's name.
        fetch: Fills `FetchRequest.destination` and returns the name of the source.
        read: Raw folder to arrays, a function of the request alone.
        fetch_config: Class of its fetch section.
        prepare_config: Class of its prepare section.
        sample: True for a small stand-in; reports and tags then say so loudly.
        fallback: Dataset to use when no source of this one can be reached.
        kind: What its examples are.
        task: Of texts, what there is to learn from them.
        optional: True if it needs a download; such data are outside the default `dvc repro`.
    """

    name: str
    title: str
    licence: str
    homepage: str
    fetch: Callable[[FetchRequest[Any]], str]
    read: Callable[[ReadRequest[Any]], RawImages | RawTensors | RawTexts]
    fetch_config: type[FetchConfig] = FetchConfig
    prepare_config: type[PrepareConfig] = PrepareConfig
    sample: bool = False
    fallback: str | None = None
    kind: DataKind = DataKind.IMAGES
    task: TextTask | None = None
    optional: bool = False
