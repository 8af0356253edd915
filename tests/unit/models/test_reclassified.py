"""A champion over other classes or another picture size than today's."""

from __future__ import annotations

import torch
from torch import nn

from components.models.deployable import Reclassified


class Known(nn.Module):
    """Scores 1, 2, 3, ... for its classes, and remembers the pictures' size."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes, self.size = classes, (0, 0)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.size = tuple(images.shape[2:])
        return torch.arange(1.0, self.classes + 1).repeat(len(images), 1)


PICTURES = torch.zeros(2, 3, 8, 8)


def test_scores_follow_the_names_and_not_the_places() -> None:
    model = Reclassified(Known(3), ["ant", "bee", "cat"], ["cat", "ant", "bee"], (8, 8))
    assert model(PICTURES).tolist() == [[3.0, 1.0, 2.0]] * 2


def test_a_new_class_is_never_said_and_an_old_one_takes_no_part() -> None:
    model = Reclassified(Known(3), ["ant", "bee", "cat"], ["ant", "auk", "bee"], (8, 8))
    scores = model(PICTURES)
    assert scores.argmax(1).tolist() == [2, 2]
    assert scores.softmax(1)[:, 1].max() < 1e-8
    assert scores.isfinite().all()


def test_pictures_get_the_size_the_model_was_made_for() -> None:
    known = Known(2)
    Reclassified(known, ["a", "b"], ["a", "b"], (4, 6))(PICTURES)
    assert known.size == (4, 6)
