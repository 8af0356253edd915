"""The kernel distance: zero for equals, larger for what differs more, the same when repeated."""

from __future__ import annotations

import pytest
import torch

from components.evaluation.kernel_distance import (
    GenerationReference,
    RandomFeatures,
    kernel_distance,
    unbiased_mmd,
)


def draw(n: int, seed: int, shift: float = 0.0) -> torch.Tensor:
    return torch.randn(n, 4, generator=torch.Generator().manual_seed(seed)) + shift


def pictures(n: int, seed: int, *, blur: int = 1) -> torch.Tensor:
    noise = torch.rand(n, 3, 32, 32, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return torch.nn.functional.avg_pool2d(noise, blur, 1, blur // 2)[..., :32, :32]


def test_the_estimate_is_that_of_the_definition() -> None:
    one, two = draw(5, 1).double(), draw(6, 2, 0.5).double()

    def kernel(a: torch.Tensor, b: torch.Tensor) -> float:
        return float((a @ b / 4 + 1) ** 3)

    first = sum(kernel(a, b) for i, a in enumerate(one) for j, b in enumerate(one) if i != j) / 20
    second = sum(kernel(a, b) for i, a in enumerate(two) for j, b in enumerate(two) if i != j) / 30
    between = sum(kernel(a, b) for a in one for b in two) / 30
    assert float(unbiased_mmd(one, two)) == pytest.approx(first + second - 2 * between)


def test_equal_distributions_are_near_zero_and_others_are_ordered() -> None:
    real = draw(2000, 1)
    same, near, far = (kernel_distance(real, draw(2000, 2, s), 0) for s in (0.0, 0.3, 1.0))
    assert abs(same.mean) < 3 * same.deviation
    assert 10 * abs(same.mean) < near.mean < far.mean


def test_the_distance_of_the_same_samples_is_always_the_same() -> None:
    real, generated = draw(300, 1), draw(300, 2, 0.2)
    assert kernel_distance(real, generated, 7) == kernel_distance(real, generated, 7)


def test_too_few_samples_are_an_error() -> None:
    with pytest.raises(ValueError, match="at least two"):
        kernel_distance(draw(1, 1), draw(9, 2), 0)


def test_pictures_are_told_apart_in_a_feature_space_that_is_the_same_everywhere() -> None:
    reference = GenerationReference(pictures(200, 1))
    same, blurred = (reference.distance(pictures(200, 2, blur=b)).mean for b in (1, 3))
    assert abs(same) < blurred / 100
    features = RandomFeatures(3)(pictures(2, 3))
    assert features.shape == (2, 448)
    again = RandomFeatures(3)(pictures(2, 3))
    assert torch.equal(features, again)


def test_a_feature_that_real_samples_do_not_have_does_not_drown_the_others() -> None:
    flat = torch.cat([draw(500, 1), torch.zeros(500, 1)], 1)
    other = torch.cat([draw(500, 2), 0.1 * draw(500, 3)[:, :1]], 1)
    assert GenerationReference(flat).distance(other).mean < 1000
