"""Text models of several answers go through the same jobs: trained, packed, examined, gated."""

from __future__ import annotations

from pathlib import Path

import pytest
from toy_night import night, toy_context

from components.datasets import DATASETS
from components.datasets.base import PrepareConfig, Split
from components.datasets.prepare import prepare
from components.datasets.prepared import load
from components.errors import ConfigError
from components.evaluation.report import ErrorReport
from components.jobs.context import JobContext
from components.jobs.examiners import examiner_of
from components.jobs.recipe import Recipe
from components.jobs.train import train
from components.models import MODELS
from components.models.encoder import EncoderConfig
from components.models.network import NetworkConfig
from components.models.spec import SEQUENCE_KINDS
from components.models.transformer import TransformerConfig
from components.tracking.base import PACKAGE, Tag
from components.training.config import TrainConfig
from components.training.reporting import SilentReporter
from components.versioning.versions import DatasetVersion
from tests.tiny_encoder import save

DATA = {
    "token_classifier": "entities",
    "span_extractor": "passages",
    "masked_lm": "stories",
    "causal_lm": "phrases",
    "seq2seq": "phrases",
}
NAMES = [name for name in MODELS if MODELS.get(name).kind in SEQUENCE_KINDS]


@pytest.fixture
def context(tmp_path: Path) -> JobContext:
    return toy_context(tmp_path / "home")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Datasets cut short."""
    folder = tmp_path_factory.mktemp("data")
    for name in sorted({*DATA.values()}):
        (folder / name).mkdir()
        prepare(DATASETS.get(name), PrepareConfig(), folder, folder / name)
    return folder


def version(folder: Path, name: str) -> DatasetVersion:
    counts = load(folder / name).card.counts
    return DatasetVersion(name, "d" * 32, "drawn", False, counts, folder / name)


def recipe(name: str, source: Path) -> Recipe:
    small = TransformerConfig(width=16, heads=2, layers=1, length=48, vocabulary=300)
    encoder = EncoderConfig(source=str(source), length=48)
    network = NetworkConfig(encoder=encoder, causal_lm=small, seq2seq=small)
    config = TrainConfig(epochs=1, batch_size=16, optimizer="adamw", lr=1e-3, examples=32)
    return Recipe(model=name, training=config, network=network)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_it_is_trained_packed_and_examined(
    name: str, context: JobContext, folder: Path, tmp_path: Path
) -> None:
    data, given = version(folder, DATA[name]), recipe(name, save(tmp_path / "tiny"))
    run = train(context, data, given, SilentReporter()).run
    assert run.tags[Tag.KIND] == MODELS.get(name).kind
    assert 0 <= run.metrics["best_validation_accuracy"] <= 1
    assert train(context, data, given, SilentReporter()).skipped
    packed = context.tracker.fetch_folder(run.run_id, PACKAGE, tmp_path / "fetched")
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {
        file.name for file in packed.iterdir()
    }
    model = context.registry.load_run(run.run_id)
    report = examiner_of(MODELS.get(name).kind, data).examine(model, "it", run.tags, None).report
    assert isinstance(report, ErrorReport)
    assert report.n == data.counts[Split.TEST]
    assert report.error is not None
    assert 0 < report.error <= 1


def test_the_gate_takes_it_by_its_error(context: JobContext, folder: Path, tmp_path: Path) -> None:
    data = version(folder, "phrases")
    run = train(context, data, recipe("causal_lm", tmp_path), SilentReporter()).run
    gated, _ = night(context, run, data)
    assert gated.version.name == "phrases-causal-lm"
    assert any("share of wrong positions" in str(rule) for rule in gated.decision.evidence)


def test_data_for_something_else_are_refused(
    context: JobContext, folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"token_classifier on dataset phrases.*text to text"):
        train(
            context,
            version(folder, "phrases"),
            recipe("token_classifier", save(tmp_path / "tiny")),
            SilentReporter(),
        )
