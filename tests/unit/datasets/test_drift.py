from __future__ import annotations

import math

import pytest

from components.datasets.base import Split
from components.datasets.drift import DriftConfig, drift_between
from components.datasets.prepared import ImageCard


def card(
    counts: dict[str, int], mean: float = 0.5, std: float = 0.2, channels: int = 1
) -> ImageCard:
    return ImageCard(
        name="toy",
        title="Toy",
        licence="none",
        homepage="",
        sample=False,
        counts=dict.fromkeys(Split, sum(counts.values())),
        class_names=tuple(counts),
        image_shape=(channels, 8, 8),
        counts_per_class=dict.fromkeys(Split, tuple(counts.values())),
        mean=(mean,) * channels,
        std=(std,) * channels,
        duplicates=0,
        shared_with_test=0,
        unreadable=(),
    )


EVEN = card({"a": 50, "b": 50})


def test_the_same_data_have_not_moved() -> None:
    drift = drift_between(EVEN, EVEN)
    assert (drift.class_balance, drift.pixel_mean, drift.pixel_std) == (0, 0, 0)
    assert drift.exceeded(DriftConfig()) == []


def test_class_balance_is_the_total_variation_distance() -> None:
    assert drift_between(EVEN, card({"a": 80, "b": 20})).class_balance == pytest.approx(0.3)
    assert drift_between(EVEN, card({"a": 50, "b": 25, "c": 25})).class_balance == pytest.approx(
        0.25
    )
    assert drift_between(EVEN, card({"c": 1, "d": 1})).class_balance == pytest.approx(1)


def test_pixels_are_compared_in_units_of_the_older_data() -> None:
    drift = drift_between(EVEN, card({"a": 50, "b": 50}, mean=0.6, std=0.1))
    assert drift.pixel_mean == pytest.approx(0.5)
    assert drift.pixel_std == pytest.approx(math.log(2))


def test_each_exceeded_distance_is_a_sentence_with_both_numbers() -> None:
    sentences = drift_between(EVEN, card({"a": 80, "b": 20}, mean=0.6)).exceeded(DriftConfig())
    assert sentences == [
        "class_balance moved by 0.300, more than 0.1",
        "pixel_mean moved by 0.500, more than 0.25",
    ]


def test_another_number_of_channels_is_as_far_as_can_be() -> None:
    drift = drift_between(EVEN, card({"a": 50, "b": 50}, channels=3))
    assert drift.pixel_mean == drift.pixel_std == math.inf
