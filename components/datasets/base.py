"""What a dataset is: its specification, its splits and its prepared form on disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from components.errors import CorruptDataError

UInt8Array = npt.NDArray[np.uint8]
Int64Array = npt.NDArray[np.int64]

CARD = "dataset.json"
SOURCE_FILE = "source.json"


class Split(StrEnum):
    """The three disjoint parts of a dataset; the test split is for the gate only."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


Url = Annotated[str, Field(pattern=r"^https?://")]


class DataConfig(BaseModel):
    """The tunable numbers of one dataset (params.yaml: data.<name>)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    validation_fraction: float = Field(
        0.1, gt=0, lt=1, description="Share of the training images held out for validation"
    )
    seed: int = Field(0, ge=0, le=2**31 - 1, description="Seed of the validation split")
    folders: tuple[str, ...] = Field((), description="Folders searched for the raw files, in order")
    urls: tuple[Url, ...] = Field((), description="Base addresses of the raw files, in order")
    timeout: float = Field(20.0, gt=0, description="Seconds without a byte before giving up")


@dataclass(frozen=True)
class RawFile:
    """One raw file; `sha256` is of its decompressed payload, so recompressing changes nothing."""

    name: str
    sha256: str


@dataclass(frozen=True)
class FetchRequest:
    """Where a fetch may look and where it leaves what it found.

    Attributes:
        config: The dataset's section of params.yaml.
        data_dir: A folder a person named; looked into first.
        samples: The folder of bundled samples.
        present: What an earlier fetch left; still good if its sums are.
        destination: A fresh, empty folder that receives the verified files.
        partial: Keeps unfinished downloads between attempts.
        quarantine: Keeps files whose sums were wrong.
    """

    config: DataConfig
    data_dir: Path | None
    samples: Path
    present: Path
    destination: Path
    partial: Path
    quarantine: Path


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
class DatasetSpec:
    """All that is fixed about a dataset.

    Attributes:
        name: Its key in the catalog, in params.yaml and in dvc.yaml.
        class_names: One per label, in label order.
        image_shape: (C, H, W).
        sample: True for a small stand-in; reports and tags then say so loudly.
        fallback: Dataset to use when no source of this one can be reached.
        fetch: Fills `FetchRequest.destination` and returns the name of the source.
        read: Raw folder to the official train and test parts.
    """

    name: str
    title: str
    licence: str
    homepage: str
    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]
    fetch: Callable[[FetchRequest], str]
    read: Callable[[Path], tuple[Arrays, Arrays]]
    sample: bool = False
    fallback: str | None = None


class DatasetCard(BaseModel):
    """What dataset.json states about a prepared dataset.

    Mean and standard deviation are of the training pixels, scaled to [0, 1].
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    title: str
    licence: str
    homepage: str
    sample: bool
    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]
    counts: dict[Split, int]
    counts_per_class: dict[Split, tuple[int, ...]]
    mean: float = Field(allow_inf_nan=False)
    std: float = Field(gt=0, allow_inf_nan=False)


@dataclass(frozen=True)
class PreparedDataset:
    """A prepared dataset, memory-mapped; see `components.datasets.prepare`."""

    name: str
    class_names: tuple[str, ...]
    mean: float
    std: float
    splits: Mapping[Split, Arrays]

    def count(self, split: Split) -> int:
        """Number of images in `split`."""
        return len(self.splits[split].labels)


def load_prepared(directory: Path) -> PreparedDataset:
    """Open a prepared dataset without reading its images.

    Args:
        directory: A folder written by `components.datasets.prepare.prepare`.

    Raises:
        CorruptDataError: If a file is missing or contradicts the card.
    """
    try:
        card = DatasetCard.model_validate_json((directory / CARD).read_text(encoding="utf-8"))
        splits = {split: _load_split(directory, split, card) for split in Split}
    except (OSError, ValueError, EOFError) as error:
        raise CorruptDataError(
            f"prepared dataset {directory}",
            got=" ".join(str(error).split()) or type(error).__name__,
            wanted="the arrays and the card that the prepare stage wrote",
            remedy="Delete the folder and run the data flow again.",
        ) from None
    return PreparedDataset(card.name, card.class_names, card.mean, card.std, splits)


def _load_split(directory: Path, split: Split, card: DatasetCard) -> Arrays:
    images = _load_array(directory / f"{split}_images.npy", np.uint8, mapped=True)
    labels = _load_array(directory / f"{split}_labels.npy", np.int64, mapped=False)
    n = card.counts.get(split)
    if images.shape != (n, *card.image_shape) or labels.shape != (n,):
        raise ValueError(f"{split} images {images.shape} and labels {labels.shape}, card says {n}")
    if n and not (labels.min() >= 0 and labels.max() < len(card.class_names)):
        raise ValueError(f"{split} labels outside 0..{len(card.class_names) - 1}")
    return Arrays(images, labels)


def _load_array(path: Path, dtype: type[np.generic], *, mapped: bool) -> np.ndarray:
    # Not np.load, which would also open archives.
    if mapped:
        array: np.ndarray = np.lib.format.open_memmap(path, mode="r")
    else:
        with path.open("rb") as stream:
            array = np.lib.format.read_array(stream, allow_pickle=False)
    if array.dtype != dtype:
        raise ValueError(f"{path.name} is not an array of {dtype.__name__}")
    return array
