"""What a supervised network is trained towards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812

IGNORED = -100  # a target that nothing is asked about


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


def _sequence_loss(scores: torch.Tensor, targets: torch.Tensor, smoothing: float) -> torch.Tensor:
    losses = F.cross_entropy(
        scores.float().transpose(1, 2),
        targets,
        reduction="none",
        label_smoothing=smoothing,
        ignore_index=IGNORED,
    )
    return (losses.sum(1) / _asked(targets)).sum()


def sequence_hits(scores: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """(B,) share of the positions of each example, of those asked about, that are right."""
    right = (scores.argmax(2) == targets) & (targets != IGNORED)
    return right.sum(1) / _asked(targets)


def _asked(targets: torch.Tensor) -> torch.Tensor:
    return (targets != IGNORED).sum(1).clamp(min=1)


def _sequence_hits(scores: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return sequence_hits(scores, targets).sum()


CLASSIFICATION = Objective(_cross_entropy, _correct)  # scores (B, classes), labels (B,)
REGRESSION = Objective(_squared_error, None)  # scores and targets (B, k); without the 1/2
# Scores (B, P, choices), targets (B, P); each example counts once, however long it is.
SEQUENCE = Objective(_sequence_loss, _sequence_hits)
