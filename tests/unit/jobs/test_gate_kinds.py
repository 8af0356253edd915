"""Generators and regressors go through the same gate, by the tests that fit them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from test_learners import TINY, drawn
from torch import nn
from toy_night import sprite_data, toy_context

from components.errors import TrackingError
from components.evaluation.report import ErrorReport, GenerationReport
from components.jobs.context import JobContext
from components.jobs.evaluate import CANDIDATE_REPORT, evaluate, headline, read_report
from components.jobs.gate import gate, register
from components.jobs.promote import promote
from components.jobs.recipe import Recipe
from components.jobs.records import read_ledger
from components.jobs.train import train
from components.tracking.base import (
    CHAMPION,
    TEST_SAMPLES,
    DatasetInput,
    RunSpec,
    RunStatus,
    Tag,
    TrackedRun,
)
from components.training.config import GanConfig, TrainConfig
from components.training.reporting import SilentReporter
from components.versioning.versions import DatasetVersion

POLICY = "promotion: {default: {distance_ceiling: 1.0e+6, latency_budget_ms: 1000}}\n"


@pytest.fixture
def context(tmp_path: Path) -> JobContext:
    context = toy_context(tmp_path / "home")
    context.settings.params_file.write_text(POLICY, encoding="utf-8")
    return context


@pytest.fixture(scope="module")
def sprites(tmp_path_factory: pytest.TempPathFactory) -> DatasetVersion:
    return sprite_data(tmp_path_factory.mktemp("sprites"), size=16)


def night(context: JobContext, run: TrackedRun, data: DatasetVersion):
    evaluation = evaluate(context, run, data)
    version = register(context, run, data).version
    gated = gate(context, version, evaluation, data)
    promote(context, gated.version, data.version)
    return gated.decision


def rules(decision) -> dict[str, bool]:
    return {found.rule: found.passed for found in decision.evidence}


@pytest.mark.slow
def test_a_line_that_fits_better_replaces_one_that_fits_worse(context, tmp_path: Path) -> None:
    data = drawn("linear", tmp_path / "linear")
    constant = {"batch_size": 32, "lr": 0.03, "momentum": 0, "lr_schedule": "constant"}
    decisions = []
    for epochs in (1, 3, 2):
        recipe = Recipe(model="linear", training=TrainConfig(epochs=epochs, **constant))
        run = train(context, data, recipe, SilentReporter()).run
        decisions.append(night(context, run, data))
    assert [decision.promoted for decision in decisions] == [True, True, False]
    assert rules(decisions[1])["bootstrap"]
    assert not rules(decisions[2])["bootstrap"]
    champion = context.registry.by_alias("linear-regressor", CHAMPION)
    assert champion.version == 2
    report = read_report(context, champion.run_id, CANDIDATE_REPORT)
    assert isinstance(report, ErrorReport)
    run = context.tracker.get(champion.run_id)
    assert headline(run)["test_error"] == pytest.approx(report.error)
    assert len(read_ledger(context.registry, "linear-regressor").entries) == 2
    assert "mean squared error" in context.registry.descriptions["linear-regressor", 2]


class Drawer(nn.Module):
    """A generator of points whose distribution is off by `shift`."""

    def __init__(self, shift: float) -> None:
        super().__init__()
        self.matrix = nn.Parameter(torch.tensor([[1, 2], [-0.1, 0.5]]))
        self.offset = nn.Parameter(torch.tensor([1.0 + shift, 2.0]))

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        return latents @ self.matrix + self.offset


def finished(context: JobContext, model: nn.Module, name: str, **more: str) -> TrackedRun:
    tags = {
        Tag.KIND: "point GAN",
        Tag.DATASET: "gaussian_2d",
        Tag.DATASET_VERSION: "d" * 32,
        Tag.INPUT_SHAPE: "2",
        Tag.MODEL: "gaussian_gan",
        Tag.SEED: "0",
        Tag.DEVICE: "cpu",
        Tag.SOURCE: "nowhere",
        Tag.SAMPLE: "false",
    }
    given = {str(key): value for key, value in tags.items()} | more
    spec = RunSpec("points", name, name, {}, given, DatasetInput("points", "d", "drawn", {}))
    run = context.tracker.start(spec)
    context.tracker.log_model(run.run_id, model, np.zeros((2, 2), np.float32))
    context.tracker.finish(run.run_id, RunStatus.FINISHED)
    return context.tracker.get(run.run_id)


def test_a_nearer_generator_is_promoted_and_an_equal_one_is_not(context, tmp_path: Path) -> None:
    data = drawn("gaussian_2d", tmp_path / "points")
    shifts = {"far": 1.5, "near": 0.2, "as near": -0.2, "true": 0.0}
    decisions = {
        name: night(context, finished(context, Drawer(shift), name), data)
        for name, shift in shifts.items()
    }
    assert decisions["far"].promoted
    assert decisions["near"].promoted
    assert rules(decisions["near"])["relative_distance"]
    assert not rules(decisions["as near"])["relative_distance"]
    assert "reduction" in str(decisions["near"].evidence)
    champion = context.registry.by_alias("gaussian_2d-generator", CHAMPION)
    report = read_report(context, champion.run_id, CANDIDATE_REPORT)
    assert isinstance(report, GenerationReport)
    assert (len(report.within), report.n) == (2000, 1000)


def test_a_generator_beyond_the_ceiling_is_not_the_first_champion(context, tmp_path: Path) -> None:
    data = drawn("gaussian_2d", tmp_path / "points")
    context.settings.params_file.write_text("promotion: {default: {distance_ceiling: 10}}\n")
    decision = night(context, finished(context, Drawer(1.5), "far"), data)
    assert [reason.split(":")[0] for reason in decision.reasons] == ["ceiling"]
    assert context.registry.by_alias("gaussian_2d-generator", CHAMPION) is None


def test_a_generator_whose_latents_are_unknown_is_an_error(context, tmp_path: Path) -> None:
    data = drawn("gaussian_2d", tmp_path / "points")
    run = finished(context, Drawer(0.0), "old", **{str(Tag.INPUT_SHAPE): ""})
    with pytest.raises(TrackingError, match="force=true"):
        evaluate(context, run, data)


@pytest.mark.slow
def test_a_dcgan_goes_all_the_way_with_its_pictures(context, sprites: DatasetVersion) -> None:
    decisions = []
    for epochs in (1, 2):
        config = GanConfig(epochs=epochs, batch_size=16)
        recipe = Recipe(model="dcgan", gan=config, network=TINY)
        run = train(context, sprites, recipe, SilentReporter()).run
        decisions.append(night(context, run, sprites))
        assert (run.run_id, TEST_SAMPLES) in context.tracker.artifacts
    assert decisions[0].promoted
    assert {"relative_distance", "minimum_reduction"} <= set(rules(decisions[1]))
    metrics = headline(context.tracker.get(run.run_id))
    assert {"test_kernel_distance", "best_kernel_distance"} <= set(metrics)


@pytest.mark.slow
def test_a_champion_of_another_picture_size_is_still_compared(
    context, sprites: DatasetVersion, tmp_path: Path
) -> None:
    larger = sprite_data(tmp_path / "larger", size=32, version="f" * 32)
    for data in (sprites, larger):
        recipe = Recipe(model="dcgan", gan=GanConfig(epochs=1, batch_size=16), network=TINY)
        run = train(context, data, recipe, SilentReporter()).run
        decision = night(context, run, data)
    assert rules(decision)["same_test"]


def test_generators_have_no_goal_cheaper_and_the_rule_says_so(context, tmp_path: Path) -> None:
    data = drawn("gaussian_2d", tmp_path / "points")
    text = "promotion: {default: {goal: cheaper, distance_ceiling: 1.0e+6}}\n"
    context.settings.params_file.write_text(text, encoding="utf-8")
    night(context, finished(context, Drawer(1.5), "far"), data)
    decision = night(context, finished(context, Drawer(0.0), "near"), data)
    assert not rules(decision)["non_inferiority"]
    assert "needs a classifier" in " ".join(decision.reasons)
