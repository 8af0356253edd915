"""Where pre-trained encoders come from, and what is refused."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch

from components.errors import ConfigError, CorruptDataError
from components.models.encoder import EncoderConfig
from components.text import sources
from components.text.deployable import tokeniser_of
from components.text.encoder import Encoder
from components.text.sources import open_source
from tests.tiny_encoder import save


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    open_source.cache_clear()
    return save(tmp_path / "tiny")


def test_a_pickle_only_model_is_refused_by_name(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ConfigError, match=r"only pytorch_model\.bin .* saved as safetensors"):
        open_source(str(folder))


def test_a_damaged_file_of_weights_is_named(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(ConfigError, match=r"model\.safetensors"):
        Encoder(100, 2, EncoderConfig(source=str(folder)))


def test_weights_of_another_shape_are_refused(folder: Path) -> None:
    config = folder / "config.json"
    text = config.read_text("utf-8")
    config.write_text(text.replace('"hidden_size": 32', '"hidden_size": 64'), "utf-8")
    with pytest.raises(ConfigError, match="other layers or sizes"):
        Encoder(100, 2, EncoderConfig(source=str(folder)))


def test_a_hub_name_without_a_revision_says_what_is_wanted() -> None:
    with pytest.raises(ConfigError, match="name@revision"):
        open_source("bert-base-uncased")


def test_without_the_hub_it_says_how_to_fetch(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ConfigError, match="hf download some/model --revision abc"):
        open_source("some/model@abc")


def test_other_weights_than_the_published_ones_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    package = tmp_path / sources.MINILM_PACKAGE
    (package / "model").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "model" / "model.safetensors").write_bytes(b"something else")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    open_source.cache_clear()
    with pytest.raises(ConfigError, match="SHA-256"):
        open_source("minilm")


def test_the_head_alone_leaves_the_encoder_as_it_is(folder: Path) -> None:
    net = Encoder(100, 2, EncoderConfig(source=str(folder), train="head")).train()
    assert not any(p.requires_grad for p in net.body.parameters())
    assert not net.body.training
    assert all(p.requires_grad for p in net.head.parameters())


def test_gradual_unfreezing_goes_from_the_head_to_everything(folder: Path) -> None:
    net = Encoder(100, 2, EncoderConfig(source=str(folder), train="gradual"))
    counts = []
    for epoch in range(1, 11):
        net.begin_epoch(epoch, 10)
        counts.append(sum(p.numel() for p in net.parameters() if p.requires_grad))
    assert counts == sorted(counts)
    assert counts[0] == sum(p.numel() for p in net.head.parameters())
    assert counts[-1] == sum(p.numel() for p in net.parameters())
    assert len(set(counts)) >= 4


def test_a_model_without_a_tokeniser_is_no_text_model() -> None:
    with pytest.raises(CorruptDataError, match="without a tokeniser"):
        tokeniser_of(torch.nn.Linear(2, 2), "x version 1")
