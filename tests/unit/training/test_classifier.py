from __future__ import annotations

import math
import multiprocessing
import random
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import killable_training
import pytest
import torch
from pydantic import ValidationError
from torch import nn

from components.datasets.device_loader import DeviceSplit
from components.errors import CheckpointError, NonFiniteLossError
from components.models.lenet import lenet, lenet_modern
from components.training import classifier, loop
from components.training.checkpoint import BEST, LAST, load_checkpoint, save_checkpoint
from components.training.classifier import TrainResult, train_classifier, validate
from components.training.config import TrainConfig
from components.training.reporting import EpochMetrics, SilentReporter

CONFIG = TrainConfig(epochs=4, batch_size=16, lr=0.05, weight_decay=1e-3, label_smoothing=0.1)
CPU = torch.device("cpu")
# What each killed process would otherwise import anew; the optimiser imports the second itself.
PRELOADED = ["components.training.classifier", "torch._dynamo", "components.models.lenet"]
KILLS = 20
Weights = dict[str, torch.Tensor]


class Stop(Exception):  # noqa: N818
    """Thrown by a reporter to end a run at an epoch."""


class Recorder:
    """Keeps every epoch it is told of; stops the run after epoch `stop`."""

    def __init__(self, stop: int = 0) -> None:
        self.epochs: list[int] = []
        self.stop = stop

    def on_epoch(self, metrics: EpochMetrics, epochs: int) -> None:
        self.epochs.append(metrics.epoch)
        if metrics.epoch == self.stop:
            raise Stop


def model(build: Callable[..., nn.Module] = lenet_modern, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return build((1, 12, 12), 4)


def same(one: Weights, two: Weights) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one)


@pytest.fixture
def data(toy_split) -> tuple[DeviceSplit, DeviceSplit]:
    return toy_split(70, seed=1), toy_split(40, seed=2)


@pytest.fixture
def hard(data) -> tuple[DeviceSplit, DeviceSplit]:
    """Random labels: the best epoch is not simply the last."""
    mix = torch.Generator().manual_seed(3)
    return tuple(
        replace(split, labels=split.labels[torch.randperm(len(split), generator=mix)])
        for split in data
    )


def run(
    splits: tuple[DeviceSplit, DeviceSplit],
    folder: Path | None,
    config: TrainConfig = CONFIG,
    reporter: Recorder | SilentReporter | None = None,
) -> tuple[Weights, TrainResult]:
    net = model(seed=config.seed)
    result = train_classifier(net, *splits, config, folder, reporter or SilentReporter())
    return net.state_dict(), result


# Learning


def test_an_easy_task_is_learned(toy_split) -> None:
    config = TrainConfig(epochs=6, batch_size=16, lr=0.1)
    net = model()
    splits = toy_split(160, seed=1), toy_split(80, seed=2)
    result = train_classifier(net, *splits, config, None, SilentReporter())
    assert validate(net, splits[1])[1] >= 0.95
    assert result.history[-1].train_loss < result.history[0].train_loss / 2


def test_the_books_lenet_learns_with_adam(toy_split) -> None:
    net = model(lenet)
    splits = toy_split(160, seed=1), toy_split(80, seed=2)
    config = TrainConfig(epochs=12, batch_size=16, lr=0.01, optimizer="adam")
    train_classifier(net, *splits, config, None, SilentReporter())
    assert validate(net, splits[1])[1] >= 0.9


def test_the_history_says_what_happened(data) -> None:
    _, result = run(data, None)
    assert [metrics.epoch for metrics in result.history] == [1, 2, 3, 4]
    for metrics in result.history:
        assert 0 <= metrics.train_accuracy <= 1
        assert metrics.seconds > 0
        assert all(math.isfinite(value) for value in metrics.metrics().values())
        assert "epoch" not in metrics.metrics()
    assert result.resumed_from == 0


def test_validation_is_cross_entropy_and_accuracy_in_evaluation_mode(data, monkeypatch) -> None:
    monkeypatch.setattr(classifier, "EVALUATION_BATCH", 7)
    net, split = model().train(), data[1]
    loss, accuracy = validate(net, split)
    net.eval()
    with torch.no_grad():
        scores = net(split.normalised(split.images))
    assert loss == pytest.approx(nn.functional.cross_entropy(scores, split.labels).item(), rel=1e-5)
    assert accuracy == (scores.argmax(1) == split.labels).float().mean().item()


def test_the_model_ends_with_the_weights_of_the_best_validation_epoch(hard) -> None:
    net = model()
    result = train_classifier(net, *hard, CONFIG, None, SilentReporter())
    accuracies = [metrics.validation_accuracy for metrics in result.history]
    assert accuracies[result.best_epoch - 1] == max(accuracies)
    assert accuracies.index(max(accuracies)) == result.best_epoch - 1
    assert validate(net, hard[1])[1] == max(accuracies)


def test_the_reported_rate_is_that_of_the_last_step(data) -> None:
    config = CONFIG.model_copy(update={"epochs": 1, "warmup": 0.0, "lr": 0.5})
    _, result = run(data, None, config)
    steps = math.ceil(len(data[0]) / config.batch_size)
    assert result.history[0].lr == pytest.approx(0.5 / steps)


# Repeating


def test_the_same_seed_gives_the_same_weights_bit_for_bit(hard) -> None:
    assert same(run(hard, None)[0], run(hard, None)[0])


def test_the_random_state_outside_does_not_matter(hard) -> None:
    first, _ = run(hard, None)
    nets = []
    for state in (11, 12):
        net = model()
        torch.manual_seed(state)
        train_classifier(net, *hard, CONFIG, None, SilentReporter())
        nets.append(net.state_dict())
    assert same(nets[0], nets[1])
    assert same(nets[0], first)


def test_another_seed_gives_other_weights(hard) -> None:
    other = CONFIG.model_copy(update={"seed": 1})
    assert not same(run(hard, None)[0], run(hard, None, other)[0])


def test_keeping_checkpoints_changes_nothing(hard, tmp_path: Path) -> None:
    assert same(run(hard, None)[0], run(hard, tmp_path)[0])


# Resuming


@pytest.mark.parametrize("stop", range(1, CONFIG.epochs + 1))
def test_a_run_stopped_at_any_epoch_ends_with_the_same_weights(hard, tmp_path, stop: int) -> None:
    whole, expected = run(hard, None)
    with pytest.raises(Stop):
        run(hard, tmp_path, reporter=Recorder(stop))
    told = Recorder()
    resumed, result = run(hard, tmp_path, reporter=told)
    assert same(resumed, whole)
    assert result.resumed_from == stop
    assert result.best_epoch == expected.best_epoch
    assert told.epochs == [1, 2, 3, 4]
    without_clocks = [
        [
            replace(metrics, seconds=0, images_per_second=0, step_milliseconds=0, peak_memory_mib=0)
            for metrics in history
        ]
        for history in (result.history, expected.history)
    ]
    assert without_clocks[0] == without_clocks[1]


@pytest.mark.parametrize("at", range(1, 2 * CONFIG.epochs))
def test_a_kill_around_any_write_ends_with_the_same_weights(
    hard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    whole, _ = run(hard, None)
    writes = iter(range(1, 99))

    def save(path: Path, state: dict) -> None:
        if next(writes) == at:
            raise Stop
        save_checkpoint(path, state)

    monkeypatch.setattr(loop, "save_checkpoint", save)
    try:
        run(hard, tmp_path)
    except Stop:
        monkeypatch.undo()
    assert same(run(hard, tmp_path)[0], whole)


def test_a_kill_between_best_and_last_repeats_the_epoch(hard, tmp_path: Path) -> None:
    whole, expected = run(hard, None)
    with pytest.raises(Stop):
        run(hard, tmp_path, reporter=Recorder(stop=1))
    early = (tmp_path / LAST).read_bytes()
    run(hard, tmp_path)
    (tmp_path / LAST).write_bytes(early)
    resumed, result = run(hard, tmp_path)
    assert result.resumed_from == 1
    assert result.best_epoch == expected.best_epoch
    assert same(resumed, whole)


def test_a_finished_run_is_not_trained_again(hard, tmp_path: Path, monkeypatch) -> None:
    whole, _ = run(hard, tmp_path)
    monkeypatch.setattr(DeviceSplit, "shuffled", lambda *_: pytest.fail("trained again"))
    again, result = run(hard, tmp_path)
    assert result.resumed_from == CONFIG.epochs
    assert same(again, whole)


@pytest.mark.parametrize("lost", [LAST, BEST])
def test_half_a_pair_of_checkpoints_starts_over(hard, tmp_path: Path, lost: str) -> None:
    whole, _ = run(hard, tmp_path)
    (tmp_path / lost).unlink()
    again, result = run(hard, tmp_path)
    assert result.resumed_from == 0
    assert same(again, whole)


@pytest.mark.slow
def test_a_process_killed_at_random_moments_ends_with_the_same_weights(tmp_path: Path) -> None:
    """Real processes, SIGKILLed before random batches, flushes and renames."""
    moments = random.Random(20)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    kills = 0
    for _ in range(KILLS + 1):
        ours, theirs = context.Pipe()
        paths = tmp_path / "run", tmp_path / "killed.pt"
        process = context.Process(target=killable_training.train, args=(*paths, theirs))
        process.start()
        theirs.close()
        left = moments.randint(1, 10) if kills < KILLS else 10_000
        while ours.recv() != "done":
            if left == 0:
                process.kill()
                break
            left -= 1
            ours.send("go on")
        process.join()
        ours.close()
        if process.exitcode == 0:
            break
        assert process.exitcode == -signal.SIGKILL
        kills += 1
    assert kills == KILLS
    whole = context.Process(
        target=killable_training.train, args=(tmp_path / "whole", tmp_path / "whole.pt", None)
    )
    whole.start()
    whole.join()
    assert whole.exitcode == 0
    assert same(torch.load(tmp_path / "killed.pt"), torch.load(tmp_path / "whole.pt"))


# Trouble


def test_a_loss_that_is_not_finite_keeps_the_last_good_checkpoint(
    hard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Stop):
        run(hard, tmp_path, reporter=Recorder(stop=2))
    before = {name: (tmp_path / name).read_bytes() for name in (LAST, BEST)}
    poisoned = replace(hard[0], std=float("nan")), hard[1]
    with pytest.raises(NonFiniteLossError, match="training loss of epoch 3, step 1") as caught:
        run(poisoned, tmp_path)
    assert "learning rate" in caught.value.remedy
    assert {name: (tmp_path / name).read_bytes() for name in (LAST, BEST)} == before


def test_a_rate_that_diverges_is_reported_as_such(hard) -> None:
    config = CONFIG.model_copy(update={"lr": 1e30, "warmup": 0.0})
    with pytest.raises(NonFiniteLossError, match="wanted a finite number"):
        train_classifier(model(lenet), *hard, config, None, SilentReporter())


def test_an_infinite_validation_loss_is_named(hard) -> None:
    poisoned = hard[0], replace(hard[1], mean=float("inf"))
    with pytest.raises(NonFiniteLossError, match="validation loss of epoch 1"):
        run(poisoned, None)


@pytest.mark.parametrize("name", [LAST, BEST])
def test_a_broken_checkpoint_is_refused_and_named(hard, tmp_path: Path, name: str) -> None:
    run(hard, tmp_path)
    (tmp_path / name).write_bytes(b"not a checkpoint")
    with pytest.raises(CheckpointError, match=name):
        run(hard, tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        lambda state: {"unexpected": 1},
        lambda state: {**state, "model": {}},
        lambda state: {**state, "history": [{"epoch": 1}]},
        lambda state: [1, 2],
    ],
)
def test_a_checkpoint_of_something_else_is_refused(hard, tmp_path: Path, change) -> None:
    run(hard, tmp_path)
    state = load_checkpoint(tmp_path / LAST, CPU)
    save_checkpoint(tmp_path / LAST, change(state))
    with pytest.raises(CheckpointError):
        run(hard, tmp_path)


@pytest.mark.parametrize(
    "values",
    [{"epochs": 0}, {"lr": 0}, {"momentum": 1}, {"optimizer": "lion"}, {"warmup": 1}, {"x": 1}],
)
def test_a_configuration_out_of_range_is_refused(values: dict) -> None:
    with pytest.raises(ValidationError):
        TrainConfig.model_validate(values)


def test_every_field_of_the_configuration_has_a_sentence() -> None:
    fields = TrainConfig.model_json_schema()["properties"]
    assert [name for name, field in fields.items() if not field.get("description")] == []
