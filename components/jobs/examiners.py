"""How each kind of model is examined on the held-out test split, and what is drawn of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import nn

from components.datasets.base import Split, UInt8Array
from components.datasets.device_loader import tensors_to_device, to_device
from components.datasets.prepared import (
    ImageCard,
    PreparedDataset,
    PreparedTensors,
    PreparedTexts,
    load,
)
from components.errors import CorruptDataError
from components.evaluation.classification import Subject, evaluate_classifier
from components.evaluation.generation import evaluate_generator
from components.evaluation.kernel_distance import MEASURED_REAL, GenerationReference
from components.evaluation.regression import evaluate_regressor, evaluate_sequences
from components.evaluation.report import AnyReport, reliability
from components.jobs.context import input_shape
from components.models import MODELS, kind_of_model
from components.models.deployable import Reclassified
from components.models.spec import SEQUENCE_KINDS, ModelKind
from components.tracking import figures
from components.tracking.base import (
    CALIBRATION,
    CONFUSION_MATRIX,
    TEST_SAMPLES,
    WORST_MISTAKES,
)
from components.training.fit import tokenised
from components.training.gan import GRID, to_uint8
from components.training.precision import pick_device
from components.versioning.versions import DatasetVersion


@dataclass(frozen=True)
class Examined:
    """A report, and how to draw what a person should see of it: artifact path to figure."""

    report: AnyReport
    draw: Callable[[], Mapping[str, Figure]] = dict


class Examiner(Protocol):
    """Holds the test split, on which it examines one model after the other."""

    def examine(
        self, model: nn.Module, label: str, tags: Mapping[str, str], card: ImageCard | None
    ) -> Examined:
        """Examine a model.

        Args:
            model: On the CPU.
            label: Its name in the report.
            tags: Of its run or version.
            card: Of the images it was trained on, if they are known.
        """


def examiner_of(kind: ModelKind, data: DatasetVersion) -> Examiner:
    """An examiner for a kind of model over the test split of `data`.

    Raises:
        DataError: If the data are damaged, or of another kind.
    """
    prepared = load(data.directory)
    if kind is ModelKind.CLASSIFIER and isinstance(prepared, PreparedDataset):
        return ClassifierExaminer(data, prepared)
    if kind is ModelKind.TEXT_CLASSIFIER and isinstance(prepared, PreparedTexts):
        return TextExaminer(data, prepared)
    if kind in SEQUENCE_KINDS and isinstance(prepared, PreparedTexts):
        return SequenceExaminer(kind, data, prepared)
    if kind is ModelKind.REGRESSOR and isinstance(prepared, PreparedTensors):
        return RegressorExaminer(data, prepared)
    if kind.gan and not isinstance(prepared, PreparedTexts):
        return GeneratorExaminer(data, prepared)
    raise CorruptDataError(
        f"dataset {data.name}",
        got=type(prepared).__name__,
        wanted=f"data for a {kind}",
        remedy="Choose another dataset or model.",
    )


class ClassifierExaminer:
    """Classifiers of images."""

    def __init__(self, data: DatasetVersion, prepared: PreparedDataset) -> None:
        card = prepared.card
        self._test = to_device(prepared.splits[Split.TEST], card.mean, card.std, pick_device())
        self._data, self._card = data, card

    def examine(
        self, model: nn.Module, label: str, tags: Mapping[str, str], card: ImageCard | None
    ) -> Examined:
        """See `Examiner`; a model of other classes or another picture size is adapted."""
        names = self._card.class_names
        subject = Subject(label, self._data.name, self._data.version, names)
        model = self._adapted(model, card).to(self._test.device)
        report, probabilities = evaluate_classifier(model, self._test, subject)

        def draw() -> Mapping[str, Figure]:
            images = self._test.images.cpu().numpy()
            curve = reliability(probabilities, report.labels)
            return {
                CONFUSION_MATRIX: figures.confusion_figure(report),
                CALIBRATION: figures.reliability_diagram(curve),
                WORST_MISTAKES: figures.worst_mistakes(report, probabilities, images),
            }

        return Examined(report, draw)

    def _adapted(self, model: nn.Module, card: ImageCard | None) -> nn.Module:
        today, height, width = self._card.class_names, *self._card.image_shape[1:]
        if card is None or (card.class_names, card.image_shape[1:]) == (today, (height, width)):
            return model
        size = (card.image_shape[1], card.image_shape[2])
        return Reclassified(model, card.class_names, today, size)


class TextExaminer:
    """Classifiers of texts; each reads them with the tokeniser that it carries."""

    def __init__(self, data: DatasetVersion, prepared: PreparedTexts) -> None:
        self._data, self._prepared = data, prepared

    def examine(
        self, model: nn.Module, label: str, tags: Mapping[str, str], card: ImageCard | None
    ) -> Examined:
        """See `Examiner`.

        Raises:
            CorruptDataError: If the model carries no tokeniser.
        """
        # Only text models need Hugging Face's libraries.
        from components.text.deployable import tokeniser_of

        names, device = self._prepared.card.class_names, pick_device()
        spec = MODELS.get("encoder")  # all classifiers of whole texts read them alike
        test = tokenised(spec, self._prepared, Split.TEST, tokeniser_of(model, label), device)
        subject = Subject(label, self._data.name, self._data.version, names)
        report, probabilities = evaluate_classifier(model.to(device), test, subject)

        def draw() -> Mapping[str, Figure]:
            return {
                CONFUSION_MATRIX: figures.confusion_figure(report),
                CALIBRATION: figures.reliability_diagram(reliability(probabilities, report.labels)),
            }

        return Examined(report, draw)


class SequenceExaminer:
    """Text models that answer several choices at once: tags, spans, words."""

    def __init__(self, kind: ModelKind, data: DatasetVersion, prepared: PreparedTexts) -> None:
        [self._spec] = [MODELS.get(name) for name in MODELS if kind_of_model(name) is kind]
        self._data, self._prepared = data, prepared

    def examine(
        self, model: nn.Module, label: str, tags: Mapping[str, str], card: ImageCard | None
    ) -> Examined:
        """See `Examiner`.

        Raises:
            CorruptDataError: If the model carries no tokeniser.
        """
        from components.text.deployable import tokeniser_of

        device = pick_device()
        tokens = tokeniser_of(model, label)
        test = tokenised(self._spec, self._prepared, Split.TEST, tokens, device)
        subject = Subject(label, self._data.name, self._data.version)
        texts = self._prepared.splits[Split.TEST]
        owners = self._spec.owners(tokens, texts) if self._spec.owners else np.arange(len(texts))
        return Examined(evaluate_sequences(model.to(device), test, owners, subject))


class RegressorExaminer:
    """Regressors on generated problems."""

    def __init__(self, data: DatasetVersion, prepared: PreparedTensors) -> None:
        self._test = tensors_to_device(prepared.splits[Split.TEST], pick_device())
        self._data = data

    def examine(
        self, model: nn.Module, label: str, tags: Mapping[str, str], card: ImageCard | None
    ) -> Examined:
        """See `Examiner`."""
        subject = Subject(label, self._data.name, self._data.version)
        return Examined(evaluate_regressor(model.to(self._test.device), self._test, subject))


class GeneratorExaminer:
    """Generators of images or points."""

    def __init__(self, data: DatasetVersion, prepared: PreparedDataset | PreparedTensors) -> None:
        device = pick_device()
        if isinstance(prepared, PreparedTensors):
            real = torch.from_numpy(prepared.splits[Split.TEST].features[:MEASURED_REAL])
        else:
            held_out: UInt8Array = prepared.splits[Split.TEST].images[:MEASURED_REAL]
            real = torch.from_numpy(np.array(held_out)).float() / 127.5 - 1
        self._data, self._reference = data, GenerationReference(real.to(device))
        self._size = (real.shape[2], real.shape[3]) if real.ndim == 4 else None

    def examine(
        self, model: nn.Module, label: str, tags: Mapping[str, str], card: ImageCard | None
    ) -> Examined:
        """See `Examiner`; the length of a latent vector stands in the tags."""
        subject = Subject(label, self._data.name, self._data.version)
        (latent_dim,) = input_shape(tags, label)
        model = model.to(self._reference.device)
        report, samples = evaluate_generator(
            model, latent_dim, self._reference, subject, self._size
        )

        def draw() -> Mapping[str, Figure]:
            if samples.ndim != 4:
                return {}
            return {TEST_SAMPLES: figures.samples_figure(to_uint8(samples[:GRID]), report)}

        return Examined(report, draw)
