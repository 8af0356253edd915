"""Torchvision's networks: from scratch, from a file, the head alone."""

from __future__ import annotations

from pathlib import Path
from typing import get_args
from urllib.error import URLError

import pytest
import torch
from torch import nn

from components.errors import ConfigError
from components.models.backbone import backbone
from components.models.network import Architecture, BackboneConfig

SHAPE = (3, 32, 32)


@pytest.mark.parametrize("name", get_args(Architecture))
def test_every_architecture_gets_a_head_for_the_classes(name: Architecture) -> None:
    net = backbone(SHAPE, 7, BackboneConfig(architecture=name)).eval()
    assert net(torch.randn(2, *SHAPE)).shape == (2, 7)
    assert net(torch.randn(2, 1, 32, 32)).shape == (2, 7)  # grey pictures are shown three times


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    from torchvision import models

    torch.manual_seed(5)
    path = tmp_path / "weights.pt"
    torch.save(models.resnet18(num_classes=1000).state_dict(), path)
    return path


def test_weights_of_a_file_are_taken_but_for_the_head(weights: Path) -> None:
    net = backbone(SHAPE, 7, BackboneConfig(weights=str(weights)))
    stored, state = torch.load(weights), net.state_dict()
    assert torch.equal(state["net.conv1.weight"], stored["conv1.weight"])
    assert state["net.fc.weight"].shape == (7, 512)


def test_only_the_head_learns_and_frozen_statistics_stay(weights: Path) -> None:
    net = backbone(SHAPE, 7, BackboneConfig(weights=str(weights), train="head"))
    before = {name: value.clone() for name, value in net.state_dict().items()}
    net.train()
    optimizer = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], lr=0.1)
    nn.functional.cross_entropy(net(torch.randn(8, *SHAPE)), torch.arange(8) % 7).backward()
    optimizer.step()
    changed = {n for n, v in net.state_dict().items() if not torch.equal(v, before[n])}
    assert changed == {"net.fc.weight", "net.fc.bias"}


def test_weights_that_do_not_fit_are_refused(weights: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.pt"
    damaged.write_bytes(weights.read_bytes()[:1000])
    cases = {
        "nothing at": BackboneConfig(weights=str(tmp_path / "none.pt")),
        "an unreadable file": BackboneConfig(weights=str(damaged)),
        "other layers": BackboneConfig(architecture="vgg11_bn", weights=str(weights)),
    }
    for words, config in cases.items():
        with pytest.raises(ConfigError, match=words) as caught:
            backbone(SHAPE, 7, config)
        assert "none" in caught.value.remedy


def test_a_download_that_fails_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*args: object, **kwargs: object) -> None:
        raise URLError("no route")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", away)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", away)
    with pytest.raises(ConfigError, match="reachable download"):
        backbone(SHAPE, 7, BackboneConfig(weights="download"))
