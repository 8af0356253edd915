from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from components.training.optim import make_optimizer, make_schedule, parameter_groups


def model() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 3))


def rates(name: str, steps: int, warmup: float, lr: float = 1.0) -> list[float]:
    """The learning rate of each step, and of one step after the last."""
    optimizer = make_optimizer(model(), "sgd", lr=lr, momentum=0, weight_decay=0)
    schedule = make_schedule(optimizer, name, total_steps=steps, warmup=warmup)
    found = []
    for _ in range(steps + 1):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found


def test_only_weights_decay() -> None:
    net = model()
    decayed, others = parameter_groups(net, 0.01)
    assert {id(p) for p in decayed["params"]} == {id(net[0].weight), id(net[3].weight)}
    assert {id(p) for p in others["params"]} == {
        id(p) for p in (net[0].bias, net[1].weight, net[1].bias, net[3].bias)
    }
    assert (decayed["weight_decay"], others["weight_decay"]) == (0.01, 0.0)


def test_frozen_parameters_and_empty_groups_are_left_out() -> None:
    net = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    net[0].weight.requires_grad_(False)
    groups = parameter_groups(net, 0.1)
    assert [len(group["params"]) for group in groups] == [1]


def test_decay_shrinks_weights_and_no_biases() -> None:
    net = nn.Linear(3, 2)
    before = [p.detach().clone() for p in net.parameters()]
    optimizer = make_optimizer(net, "sgd", lr=0.5, momentum=0, weight_decay=0.1)
    for parameter in net.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    assert torch.allclose(net.weight, before[0] * 0.95)
    assert torch.equal(net.bias, before[1])


@pytest.mark.parametrize(
    ("name", "kind"),
    [("sgd", torch.optim.SGD), ("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)],
)
def test_the_name_decides_the_optimiser(name, kind) -> None:
    assert type(make_optimizer(model(), name, lr=0.1, momentum=0.8, weight_decay=0)) is kind


def test_momentum_is_adams_first_beta_unless_zero() -> None:
    for momentum, beta in ((0.8, 0.8), (0.0, 0.9)):
        optimizer = make_optimizer(model(), "adam", lr=0.1, momentum=momentum, weight_decay=0)
        assert optimizer.param_groups[0]["betas"] == (beta, 0.999)


def test_one_sgd_step_with_momentum_is_the_textbooks() -> None:
    net = nn.Linear(1, 1, bias=False)
    start = net.weight.item()
    optimizer = make_optimizer(net, "sgd", lr=0.1, momentum=0.5, weight_decay=0)
    for _ in range(2):
        net.weight.grad = torch.ones(1, 1)
        optimizer.step()
    assert net.weight.item() == pytest.approx(start - 0.1 * (1 + 1.5), abs=1e-6)


def test_a_constant_rate_stays() -> None:
    assert rates("constant", 5, 0.2, lr=0.3) == [0.3] * 6


def test_one_cycle_rises_and_falls_in_straight_lines() -> None:
    assert rates("one_cycle", 10, 0.2) == pytest.approx(
        [0.5, 1, 1, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125, 0]
    )


def test_cosine_is_half_a_wave_after_its_warm_up() -> None:
    fall = [0.5 * (1 + math.cos(math.pi * k / 8)) for k in range(9)]
    assert rates("cosine", 10, 0.2) == pytest.approx([0.5, 1, *fall])


@pytest.mark.parametrize("name", ["one_cycle", "cosine"])
@pytest.mark.parametrize("warmup", [0, 0.01, 0.5, 0.99])
@pytest.mark.parametrize("steps", [1, 2, 37])
def test_a_schedule_peaks_at_the_rate_and_never_leaves_its_range(name, warmup, steps) -> None:
    found = rates(name, steps, warmup)
    assert max(found) == pytest.approx(1.0)
    assert all(0 <= rate <= 1 for rate in found)
    assert all(rate > 0 for rate in found[:-1])
