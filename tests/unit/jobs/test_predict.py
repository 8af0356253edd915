"""Classifying image files with models whose answers are known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from toy_night import Skilled, trained

from components.datasets.prepared import load_prepared
from components.errors import ConfigError, CorruptDataError, PromotionError, TrackingError
from components.jobs.context import JobContext
from components.jobs.contracts import ImageContract, contract_of, unit_images
from components.jobs.evaluate import CANDIDATE_REPORT
from components.jobs.predict import (
    BATCH,
    IMAGE_SUFFIXES,
    find_files,
    predict,
    probabilities,
    read_images,
)
from components.tracking.base import ModelVersion, Tag
from components.versioning.versions import DatasetVersion, VersionRecord

MODEL = "toy-classifier"
RED = (255, 0, 0)


@pytest.fixture
def version(
    context: JobContext, data: DatasetVersion, make_report: Callable[..., object]
) -> ModelVersion:
    """A registered version that is always right, and data that this machine knows."""
    record = VersionRecord(
        name=data.name,
        version=data.version,
        raw="b" * 32,
        first_seen="2026-01-01",
        source="nowhere",
        own=True,
        card=load_prepared(data.directory).card,
        section={"prepare": {"background": list(RED)}},
        lock={},
    )
    context.workspace.ledger.add([record])
    return registered(context, data, make_report(range(10), range(10), classes=10))


def registered(context: JobContext, data: DatasetVersion, report: object) -> ModelVersion:
    run = trained(context, 1.01, "perfect")
    context.tracker.log_text(run.run_id, CANDIDATE_REPORT, report.model_dump_json())
    shape = run.tags[Tag.INPUT_SHAPE]
    tags = {str(Tag.DATASET_VERSION): data.version, str(Tag.INPUT_SHAPE): shape}
    return context.registry.register(MODEL, run.run_id, tags)


def picture(path: Path, label: int) -> Path:
    """A picture that the toy models know: its first pixel is its class."""
    pixels = np.full((28, 28), 100, np.uint8)
    pixels[0, 0] = label
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, format="PNG")
    return path


def test_files_and_folders_are_classified_in_order(
    context: JobContext, version: ModelVersion, tmp_path: Path
) -> None:
    folder = tmp_path / "pictures"
    for name, label in (("b/2.png", 2), ("a/1.PNG", 1), ("9.bmp", 9)):
        picture(folder / name, label)
    (folder / "notes.txt").write_text("not a picture")
    (folder / "more.zip").write_bytes(b"PK")
    single = picture(tmp_path / "single", 4)  # named, so it is taken whatever its name
    found = predict(context, version, [single, folder])
    assert [(Path(one.path).name, one.class_name) for one in found.predictions] == [
        ("single", "e"),
        ("9.bmp", "j"),
        ("1.PNG", "b"),
        ("2.png", "c"),
    ]
    assert (found.model, found.version, found.run_id) == (MODEL, 1, version.run_id)
    assert found.skipped == 2
    for one in found.predictions:
        assert list(one.probabilities) == list("abcdefghij")
        assert sum(one.probabilities.values()) == pytest.approx(1)
        assert one.top(1) == [(one.class_name, one.probability)]
        assert one.probability > 0.9
    assert '"class": "e"' in found.model_dump_json(by_alias=True, indent=1)


def test_unreadable_files_are_named_before_anything_is_predicted(
    context: JobContext, version: ModelVersion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture(tmp_path / "in" / "good.png", 1)
    (tmp_path / "in" / "bad.png").write_bytes(b"not a picture")
    (tmp_path / "in" / "empty.jpg").write_bytes(b"")
    monkeypatch.setattr(context.registry, "load", lambda version: pytest.fail("it predicted"))
    with pytest.raises(CorruptDataError, match="2 unreadable of 3 files") as caught:
        predict(context, version, [tmp_path / "in"])
    assert f"{tmp_path / 'in' / 'bad.png'} (no image of a known format)" in str(caught.value)
    assert f"{tmp_path / 'in' / 'empty.jpg'} (an empty file)" in str(caught.value)


def test_a_file_that_goes_away_is_named(
    context: JobContext, version: ModelVersion, tmp_path: Path
) -> None:
    contract = contract_of(context, version)
    assert isinstance(contract, ImageContract)
    gone = tmp_path / "folder.png"
    gone.mkdir()  # cannot be read as a file, whoever runs this
    with pytest.raises(CorruptDataError, match=r"folder\.png"):
        read_images([gone], contract)


@pytest.mark.parametrize(
    ("name", "words"), [("missing.png", "got nothing there"), ("empty", "got nothing to classify")]
)
def test_inputs_without_images_are_refused(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("no picture")
    with pytest.raises(ConfigError, match=words):
        find_files([tmp_path / name], IMAGE_SUFFIXES)


def test_files_are_prepared_like_the_training_data(
    context: JobContext, version: ModelVersion, tmp_path: Path
) -> None:
    """Scaled to fit, centred, on the background that the dataset names; red is 76 in grey."""
    contract = contract_of(context, version)
    assert isinstance(contract, ImageContract)
    assert contract.image_shape == (1, 28, 28)
    assert contract.background == RED
    Image.new("RGB", (14, 28), (0, 0, 255)).save(tmp_path / "narrow.png")
    [image] = read_images([tmp_path / "narrow.png"], contract)
    assert image.shape == (1, 28, 28)
    assert image[0, 0, 0] == image[0, 27, 27] == 76
    assert image[0, 14, 14] == 29


def test_more_files_than_a_batch(version: ModelVersion, context: JobContext) -> None:
    pixels = np.zeros((2 * BATCH + 3, 1, 28, 28), np.uint8)
    pixels[:, 0, 0, 0] = np.arange(len(pixels)) % 10
    found = probabilities(context.registry.load(version), unit_images(pixels))
    np.testing.assert_array_equal(found.argmax(1), np.arange(len(pixels)) % 10)
    assert isinstance(context.registry.load(version), Skilled)


def test_only_classifiers_predict(context: JobContext) -> None:
    other = ModelVersion("sprites-generator", 1, "run1", "memory://", {})
    with pytest.raises(PromotionError, match="not a classifier"):
        contract_of(context, other)


def test_a_version_that_does_not_state_its_input_is_refused(
    context: JobContext, version: ModelVersion
) -> None:
    with pytest.raises(TrackingError, match=f"tag {Tag.INPUT_SHAPE} of model {MODEL} version 1"):
        contract_of(context, replace(version, tags={}))


def test_a_model_with_other_classes_than_its_report_is_refused(
    context: JobContext,
    data: DatasetVersion,
    version: ModelVersion,
    make_report: Callable[..., object],
    tmp_path: Path,
) -> None:
    odd = registered(context, data, make_report([0, 1, 2], [0, 1, 2]))
    with pytest.raises(PromotionError, match="got 10 scores for one input, wanted one for each of"):
        predict(context, odd, [picture(tmp_path / "1.png", 1)])
