from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from components.datasets import DATASETS
from components.datasets.base import PrepareConfig, RawTensors, ReadRequest, Split


def drawn(name: str, folder: Path, seed: int = 0) -> RawTensors:
    data = DATASETS.get(name).read(ReadRequest(folder, PrepareConfig(seed=seed), folder))
    assert isinstance(data, RawTensors)
    return data


def test_least_squares_finds_the_true_line(tmp_path: Path) -> None:
    data = drawn("linear", tmp_path)
    train = data.splits[Split.TRAIN]
    assert train.features.dtype == train.targets.dtype == np.float32
    design = np.c_[train.features, np.ones(len(train.features))]
    solution = np.linalg.lstsq(design, train.targets[:, 0], rcond=None)[0]
    assert solution == pytest.approx([*data.truth["w"], data.truth["b"]], abs=0.005)
    assert data.truth["w"] == [2, -3.4]
    assert data.truth["b"] == 4.2


def test_the_high_dimensional_problem_has_fewer_rows_than_weights(tmp_path: Path) -> None:
    data = drawn("high_dimensional", tmp_path)
    assert data.splits[Split.TRAIN].features.shape == (20, 200)
    assert data.splits[Split.VALIDATION].targets.shape == (100, 1)
    assert data.truth["w"] == [0.01] * 200


def test_the_gaussian_has_its_mean_and_covariance(tmp_path: Path) -> None:
    data = drawn("gaussian_2d", tmp_path)
    points = np.concatenate([data.splits[split].features for split in Split])
    assert points.mean(0) == pytest.approx(data.truth["b"], abs=0.15)
    covariance = np.array(data.truth["covariance"])
    error = np.linalg.norm(np.cov(points.T) - covariance) / np.linalg.norm(covariance)
    assert error < 0.1
    assert data.splits[Split.TRAIN].targets.shape == (1000, 0)


@pytest.mark.parametrize("name", ["linear", "high_dimensional", "gaussian_2d"])
def test_the_seed_decides(name: str, tmp_path: Path) -> None:
    one, same, other = (drawn(name, tmp_path, seed) for seed in (3, 3, 4))
    for split in Split:
        assert np.array_equal(one.splits[split].features, same.splits[split].features)
        assert not np.array_equal(one.splits[split].features, other.splits[split].features)
