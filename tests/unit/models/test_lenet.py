from __future__ import annotations

import pytest
import torch
from torch import nn

from components.models.deployable import Deployable
from components.models.lenet import HalvingAveragePool, lenet


@pytest.mark.parametrize("shape", [(1, 1, 2, 2), (3, 6, 28, 28), (2, 16, 10, 14)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_halving_is_average_pooling(shape, layout) -> None:
    images = torch.randn(*shape).contiguous(memory_format=layout).requires_grad_()
    expected = nn.AvgPool2d(2)(images)
    (expected**2).sum().backward()
    wanted_gradient, images.grad = images.grad, None
    got = HalvingAveragePool()(images)
    (got**2).sum().backward()
    assert torch.allclose(got, expected, atol=1e-6)
    assert torch.allclose(images.grad, wanted_gradient, atol=1e-6)


def test_lenet_has_the_books_parameters() -> None:
    counts = [p.numel() for p in lenet((1, 28, 28), 10).parameters()]
    assert counts == [6 * 25, 6, 16 * 6 * 25, 16, 400 * 120, 120, 120 * 84, 84, 84 * 10, 10]


def test_a_deployable_model_normalises_its_input() -> None:
    model = Deployable(nn.Identity(), mean=(0.25,), std=(0.5,))
    assert model(torch.tensor([[[[0.25, 0.75]]]])).tolist() == [[[[0.0, 1.0]]]]


def test_a_deployable_model_keeps_its_normalisation_in_its_state() -> None:
    state = Deployable(nn.Identity(), mean=(0.25,), std=(0.5,)).state_dict()
    other = Deployable(nn.Identity(), mean=(0.0,), std=(1.0,))
    other.load_state_dict(state)
    assert other(torch.tensor([0.75])).item() == 1.0
