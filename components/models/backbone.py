"""Torchvision's networks with a new head: from scratch, or fine-tuned from trained weights."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import torch
from torch import nn

from components.errors import ConfigError
from components.models.network import DOWNLOAD, SCRATCH, BackboneConfig
from components.models.spec import ModelKind, ModelSpec


class _Backbone(nn.Module):
    """Grey pictures are shown three times; frozen layers keep their statistics, too."""

    def __init__(self, net: nn.Module, head: nn.Module, *, frozen: bool) -> None:
        super().__init__()
        self.net = net
        self._head, self._frozen = [head], frozen  # in a list: registered once, as a part of net

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if images.shape[1] == 1:
            images = images.expand(-1, 3, -1, -1)
        scores: torch.Tensor = self.net(images)
        return scores

    def train(self, mode: bool = True) -> _Backbone:
        """As always, but frozen layers stay in evaluation mode."""
        super().train(mode)
        if self._frozen:
            self.net.eval()
            self._head[0].train(mode)
        return self


def backbone(image_shape: tuple[int, int, int], classes: int, config: BackboneConfig) -> nn.Module:
    """A network of torchvision whose last layer has `classes` outputs.

    Args:
        image_shape: (C, H, W) with C 1 or 3; made for pictures of at least 32 pixels.
        classes: Number of outputs.
        config: Which network, which weights, which layers learn.

    Returns:
        A module from (B, C, H, W) float to (B, classes) unnormalised scores.

    Raises:
        ConfigError: If the weights cannot be had or belong to another network.
    """
    from torchvision import models

    trained = models.get_model_weights(config.architecture).DEFAULT
    download = config.weights == DOWNLOAD
    try:
        net = models.get_model(config.architecture, weights=trained if download else None)
    except OSError as error:  # urllib's errors are among them
        raise _unusable(
            config, f"no answer ({error})", "a reachable download.pytorch.org"
        ) from None
    if config.weights not in (SCRATCH, DOWNLOAD):
        _load(net, config)
    head = _new_head(net, classes)
    if config.train == "head":
        net.requires_grad_(False)
        head.requires_grad_(True)
    return _Backbone(net, head, frozen=config.train == "head")


def _load(net: nn.Module, config: BackboneConfig) -> None:
    path = Path(config.weights).expanduser()
    wanted = f"the state dict of torchvision's {config.architecture}"
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise _unusable(config, f"nothing at {path}", wanted) from None
    except Exception as error:  # torch raises pickle, zip, runtime and EOF errors alike
        raise _unusable(config, f"an unreadable file ({type(error).__name__})", wanted) from None
    own = net.state_dict()
    if not isinstance(state, dict) or own.keys() != state.keys():
        raise _unusable(config, f"other layers in {path}", wanted)
    # The last layer is replaced, whatever it was made for.
    fitting = {name: value for name, value in state.items() if value.shape == own[name].shape}
    if len(own) - len(fitting) > 2:
        raise _unusable(config, f"layers of other sizes in {path}", wanted)
    net.load_state_dict(fitting, strict=False)


def _new_head(net: nn.Module, classes: int) -> nn.Module:
    """Replace the last linear layer by a fresh one, and return it."""
    name, old = [(n, m) for n, m in net.named_modules() if isinstance(m, nn.Linear)][-1]
    parent, _, child = name.rpartition(".")
    head = nn.Linear(old.in_features, classes)
    setattr(net.get_submodule(parent), child, head)
    return cast(nn.Module, head)


def _unusable(config: BackboneConfig, got: str, wanted: str) -> ConfigError:
    return ConfigError(
        f"weights of {config.architecture}",
        got=got,
        wanted=wanted,
        remedy="Correct network.backbone.weights; `none` starts from scratch.",
    )


SPEC = ModelSpec(ModelKind.CLASSIFIER, backbone, section="backbone")
