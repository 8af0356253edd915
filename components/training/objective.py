"""What a supervised network is trained towards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812


@dataclass(frozen=True)
class Objective:
    """A loss, and what counts as a hit.

    Attributes:
        loss: Scores, targets and label smoothing to the sum of the losses over the batch.
        hits: Scores and targets to the number of correct answers; None where there are none.
    """

    loss: Callable[[torch.Tensor, torch.Tensor, float], torch.Tensor]
    hits: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None


def _cross_entropy(scores: torch.Tensor, labels: torch.Tensor, smoothing: float) -> torch.Tensor:
    return F.cross_entropy(scores.float(), labels, reduction="sum", label_smoothing=smoothing)


def _squared_error(scores: torch.Tensor, targets: torch.Tensor, _: float) -> torch.Tensor:
    return F.mse_loss(scores.float(), targets, reduction="sum")


def _correct(scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return (scores.argmax(1) == labels).sum()


CLASSIFICATION = Objective(_cross_entropy, _correct)  # scores (B, classes), labels (B,)
REGRESSION = Objective(_squared_error, None)  # scores and targets (B, k); without the 1/2
