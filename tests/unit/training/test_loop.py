"""What all loops share: budgets, SIGTERM, out of memory, several processes."""

from __future__ import annotations

import contextvars
import multiprocessing
import os
import signal
import threading
from pathlib import Path

import killable_training
import pytest
import torch
from torch import nn

from components.datasets.device_loader import TensorSplit
from components.errors import ConfigError, NonFiniteLossError, OutOfMemoryError
from components.models.lenet import lenet_modern
from components.models.linear import linear
from components.training.augment import PAD, crop, flip
from components.training.checkpoint import LAST, load_checkpoint
from components.training.classifier import TrainResult, train_classifier
from components.training.config import TrainConfig
from components.training.fit import FitRequest
from components.training.launch import fit_together
from components.training.loop import Session
from components.training.memory import explained
from components.training.objective import REGRESSION
from components.training.precision import mixed
from components.training.reporting import EpochMetrics, SilentReporter
from components.training.termination import StepDone, Termination

CPU = torch.device("cpu")
PRELOADED = ["components.training.classifier", "torch._dynamo", "components.models.lenet"]


def run(toy_split, folder: Path | None = None, seed: int = 0, **changes: object) -> TrainResult:
    config = TrainConfig.model_validate({"epochs": 6, "batch_size": 16, "lr": 0.05} | changes)
    torch.manual_seed(seed)
    net = lenet_modern((1, 12, 12), 4)
    splits = toy_split(70, seed=1), toy_split(40, seed=2)
    return train_classifier(net, *splits, config, folder, SilentReporter())


# Budgets


def test_patience_stops_after_so_many_epochs_without_a_better_one(toy_split) -> None:
    result = run(toy_split, epochs=60, patience=3)
    assert len(result.history) == result.best_epoch + 3 < 60


def test_a_budget_of_time_stops_after_the_epoch_that_exceeds_it(toy_split) -> None:
    assert len(run(toy_split, max_minutes=1e-9).history) == 1


def test_a_run_that_its_budget_ended_is_not_trained_on_when_resumed(
    toy_split, tmp_path: Path
) -> None:
    first = run(toy_split, tmp_path, epochs=60, patience=3)
    again = run(toy_split, tmp_path, epochs=60, patience=3)
    assert again.resumed_from == len(first.history) == len(again.history)


# Numbers


def line(n: int, seed: int) -> TensorSplit:
    features = torch.randn(n, 2, generator=torch.Generator().manual_seed(seed))
    return TensorSplit(features, features @ torch.tensor([[2.0], [-3.4]]) + 4.2)


def test_a_regressor_finds_the_line_and_has_no_accuracy() -> None:
    torch.manual_seed(0)
    net = linear(2, 1)
    config = TrainConfig(epochs=8, batch_size=16, lr=0.05, momentum=0, lr_schedule="constant")
    splits = line(500, 1), line(100, 2)
    result = train_classifier(net, *splits, config, None, SilentReporter(), REGRESSION)
    assert torch.allclose(net.weight[0], torch.tensor([2.0, -3.4]), atol=0.01)
    assert "validation_accuracy" not in result.history[-1].metrics()
    assert "accuracy" not in result.history[-1].headline()


def test_clipped_gradients_move_the_weights_no_further_than_the_norm() -> None:
    net = linear(2, 1)
    before = torch.cat([p.detach().flatten().clone() for p in net.parameters()])
    config = TrainConfig(
        epochs=1, batch_size=500, lr=1.0, momentum=0, lr_schedule="constant", clip_norm=0.25
    )
    train_classifier(net, line(500, 1), line(9, 2), config, None, SilentReporter(), REGRESSION)
    after = torch.cat([p.detach().flatten() for p in net.parameters()])
    assert (after - before).norm() == pytest.approx(0.25, rel=1e-4)


def test_bf16_learns_nearly_the_same(toy_split) -> None:
    exact, mixed_ = (run(toy_split, precision=p).history[-1] for p in ("fp32", "bf16"))
    assert mixed_.train_loss == pytest.approx(exact.train_loss, rel=0.2, abs=0.05)
    assert mixed_.train_loss != exact.train_loss


def test_checkpoints_hold_the_names_of_the_networks_own_parameters(
    toy_split, tmp_path: Path
) -> None:
    run(toy_split, tmp_path, epochs=1)
    state = load_checkpoint(tmp_path / LAST, CPU)
    assert state is not None
    assert state["model"].keys() == lenet_modern((1, 12, 12), 4).state_dict().keys()


def test_a_gpu_without_bf16_refuses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: False)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "an old card")
    with pytest.raises(ConfigError, match="an old card has no bf16"):
        mixed("bf16", torch.device("cuda"))


def test_a_step_that_is_not_finite_is_named_with_its_rate() -> None:
    bad = line(64, 1)
    bad.targets[40] = float("nan")
    config = TrainConfig(epochs=1, batch_size=16, lr=0.01, lr_schedule="constant")
    with pytest.raises(NonFiniteLossError, match=r"epoch 1, step [1-4]") as caught:
        train_classifier(linear(2, 1), bad, bad, config, None, SilentReporter(), REGRESSION)
    assert "0.01" in caught.value.remedy


# Augmentation


def test_flips_mirror_about_half_of_the_images_whole() -> None:
    torch.manual_seed(0)
    images = torch.rand(200, 3, 8, 8)
    flipped = flip(images)
    kept = (flipped == images).flatten(1).all(1)
    mirrored = (flipped == images.flip(3)).flatten(1).all(1)
    assert (kept ^ mirrored).all()
    assert 60 < int(kept.sum()) < 140


def test_crops_are_windows_of_the_padded_image() -> None:
    torch.manual_seed(0)
    images = torch.rand(20, 2, 6, 6)
    padded = nn.functional.pad(images, (PAD,) * 4)
    for cut, whole in zip(crop(images), padded, strict=True):
        windows = whole.unfold(1, 6, 1).unfold(2, 6, 1).permute(1, 2, 0, 3, 4).flatten(0, 1)
        assert (windows == cut).flatten(1).all(1).any()


def test_augmented_training_repeats_bit_for_bit(toy_split) -> None:
    one, two = (run(toy_split, augment="crop_flip", epochs=2).history[-1] for _ in range(2))
    assert one.train_loss == two.train_loss
    assert one.train_loss != run(toy_split, epochs=2).history[-1].train_loss


# Memory


class Hungry(nn.Module):
    """Asks for more than any machine has once it is given more than four examples."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        torch.empty((2**50 if len(features) > 4 else 1,), dtype=torch.uint8)
        scores: torch.Tensor = self.layer(features)
        return scores


@pytest.mark.slow
def test_out_of_memory_names_the_batch_size_that_fits() -> None:
    config = TrainConfig(epochs=1, batch_size=32, lr=0.1)
    with pytest.raises(OutOfMemoryError, match="batch of 32") as caught:
        train_classifier(
            Hungry(), line(64, 1), line(9, 2), config, None, SilentReporter(), REGRESSION
        )
    assert "batch_size=4, which fits" in caught.value.remedy


def test_other_errors_are_not_taken_for_a_lack_of_memory() -> None:
    with pytest.raises(RuntimeError, match="shapes"), explained(4, lambda size: None):
        raise RuntimeError("shapes differ")


def test_nothing_fits_is_said() -> None:
    def never(size: int) -> None:
        raise MemoryError

    with pytest.raises(OutOfMemoryError, match="Not even one"), explained(4, never):
        raise MemoryError


# SIGTERM


def test_an_interrupted_step_that_is_not_finite_does_not_replace_the_checkpoint(
    tmp_path: Path,
) -> None:
    net = linear(2, 1)
    session = Session(tmp_path, {"model": net}, EpochMetrics, CPU)
    session._termination.requested = True

    def epoch(value: float) -> None:
        progress = session.begin(1, 0, 4, 3)
        for _ in session.batches(progress, range(4)):
            progress.table[progress.step] = value

    with pytest.raises(StepDone):
        epoch(float("nan"))
    assert not (tmp_path / LAST).exists()
    with pytest.raises(StepDone):
        epoch(1.0)
    assert (tmp_path / LAST).exists()


class Asked(BaseException):
    """Raised by a handler, as Prefect's does."""


def test_what_a_handler_raises_waits_for_the_step_and_then_goes_on() -> None:
    termination, order = Termination(), []

    def raise_asked(number: int, frame: object) -> None:
        order.append("signal")
        raise Asked

    def work() -> None:
        signal.pthread_kill(threading.main_thread().ident, signal.SIGTERM)
        while not termination.requested:
            pass
        order.append("step")
        raise StepDone

    before = signal.signal(signal.SIGTERM, raise_asked)
    try:
        with pytest.raises(Asked):
            termination.run(work)
        assert signal.getsignal(signal.SIGTERM) is raise_asked
    finally:
        signal.signal(signal.SIGTERM, before)
    assert order == ["signal", "step"]


def test_work_sees_the_context_and_hands_back_results_and_errors() -> None:
    variable = contextvars.ContextVar("variable", default="outside")
    variable.set("inside")
    assert Termination().run(variable.get) == "inside"
    with pytest.raises(ZeroDivisionError):
        Termination().run(lambda: 1 // 0)


@pytest.mark.slow
def test_sigterm_finishes_the_step_saves_and_ends_and_nothing_is_lost(tmp_path: Path) -> None:
    """A real process, terminated in the middle of its second epoch."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    ours, theirs = context.Pipe()
    arguments = tmp_path / "run", tmp_path / "ended.pt", theirs
    process = context.Process(target=killable_training.train, args=arguments)
    process.start()
    theirs.close()
    asked = 0
    while True:
        what = ours.recv()
        asked += what == "batch?"
        if asked == 6:  # the second batch of the second epoch is about to begin
            assert process.pid
            signal_process(process.pid)
            ours.send("go on")
            break
        ours.send("go on")
    answer_until_the_end(ours)
    process.join()
    assert process.exitcode == -signal.SIGTERM
    state = load_checkpoint(tmp_path / "run" / LAST, CPU)
    assert state is not None
    assert (state["interrupted"]["epoch"], state["interrupted"]["step"]) == (2, 2)
    for name, folder in (("ended.pt", "run"), ("whole.pt", "whole")):
        again = context.Process(
            target=killable_training.train, args=(tmp_path / folder, tmp_path / name, None)
        )
        again.start()
        again.join()
        assert again.exitcode == 0
    ended, whole = torch.load(tmp_path / "ended.pt"), torch.load(tmp_path / "whole.pt")
    assert all(torch.equal(ended[name], whole[name]) for name in whole)


def signal_process(pid: int) -> None:
    os.kill(pid, signal.SIGTERM)


def answer_until_the_end(connection: object) -> None:
    try:
        while True:
            connection.recv()
            connection.send("go on")
    except (EOFError, ConnectionError):
        pass


# Several processes


@pytest.mark.slow
def test_two_processes_learn_what_one_learns(sample_version, tmp_path: Path) -> None:
    """Half of every batch each: the same losses as one process with the whole, but for rounding."""
    histories = []
    for processes in (1, 2):
        training = TrainConfig(epochs=2, batch_size=128, lr=0.1, processes=processes)
        request = FitRequest(
            directory=sample_version.directory,
            model="softmax",
            training=training,
            folder=tmp_path / str(processes),
        )
        histories.append(fit_together(request, SilentReporter()).result.history)
    for one, two in zip(*histories, strict=True):
        assert two.train_loss == pytest.approx(one.train_loss, rel=1e-4)
        assert two.validation_loss == pytest.approx(one.validation_loss, rel=1e-4)
        assert two.train_accuracy == pytest.approx(one.train_accuracy, abs=0.005)


@pytest.mark.slow
def test_a_process_that_fails_ends_the_others_with_its_message(
    sample_version, tmp_path: Path
) -> None:
    training = TrainConfig(epochs=1, processes=2)
    request = FitRequest(
        directory=sample_version.directory, model="linear", training=training, folder=tmp_path
    )
    with pytest.raises(ConfigError, match="features and targets"):
        fit_together(request, SilentReporter())
