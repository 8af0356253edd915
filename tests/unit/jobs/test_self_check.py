"""The canary: right machines pass once, wrong ones are refused with the numbers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from components.errors import SelfCheckError
from components.jobs import known_problems
from components.jobs import self_check as module
from components.jobs.self_check import Finding, self_check
from components.settings import Settings


@pytest.mark.slow
def test_a_machine_that_computes_correctly_passes_once(tmp_path: Path) -> None:
    settings, threads = Settings(home=tmp_path), torch.get_num_threads()
    first = self_check(settings)
    assert first.skipped is None
    assert all(finding.passed for finding in first.findings)
    assert {finding.what.partition(":")[0] for finding in first.findings} == {
        "linear",
        "high_dimensional",
        "gaussian_2d",
    }
    assert torch.get_num_threads() == threads
    again = self_check(settings)
    assert again.skipped
    assert again.findings == first.findings


def test_the_fits_of_the_gan_end_once_most_are_good(monkeypatch: pytest.MonkeyPatch) -> None:
    """As soon as three of five are, the median is; a machine with two wrong ones needs all."""
    monkeypatch.setattr(known_problems, "train_gan", lambda *arguments: None)
    for errors, fits, passed in (
        ([0.1, 0.1, 0.1], 3, True),
        ([0.5, 0.1, 0.5, 0.1, 0.1], 5, True),
        ([0.1, 0.5, 0.5, 0.1, 0.5], 5, False),
    ):
        told = iter(errors)
        monkeypatch.setattr(
            known_problems, "gaussian_errors", lambda *_, told=told: (0.0, next(told))
        )
        mean, covariance = known_problems._gaussian()
        assert mean.passed
        assert (covariance.passed, len(errors) - len(list(told))) == (passed, fits)


@pytest.fixture
def only_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_few_rows", "_gaussian"):
        monkeypatch.setattr(known_problems, name, list)


@pytest.mark.usefixtures("only_the_line")
def test_a_wrong_gradient_is_found_and_nothing_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.optim.SGD, "step", lambda self, closure=None: None)
    with pytest.raises(SelfCheckError, match="linear: error of w") as caught:
        self_check(Settings(home=tmp_path))
    assert "at most 0.02" in caught.value.wanted
    assert not list(tmp_path.rglob("*.json"))


@pytest.mark.usefixtures("only_the_line")
def test_another_gpu_or_force_is_checked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, driver = Settings(home=tmp_path / "home"), tmp_path / "nvidia"
    monkeypatch.setattr(module, "NVIDIA", driver)
    self_check(settings)
    assert self_check(settings).skipped
    assert self_check(settings, force=True).skipped is None

    card = driver / "gpus" / "0000:01:00.0"
    card.mkdir(parents=True)
    (driver / "version").write_text("NVRM version: NVIDIA UNIX x86_64  570.86\nGCC version: 12\n")
    (card / "information").write_text("Model: \t\t NVIDIA H200\nIRQ:   \t\t 41\n")
    assert self_check(settings).skipped is None
    (card / "information").write_text("Model: \t\t NVIDIA H200\nIRQ:   \t\t 42\n")
    assert self_check(settings).skipped
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert self_check(settings).skipped is None
    assert module.describe_gpus() == [
        "NVRM version: NVIDIA UNIX x86_64 570.86",
        "Model: NVIDIA H200",
        "visible: ",
    ]


@pytest.mark.parametrize("contained", [True, False])
def test_a_new_container_is_the_same_machine_and_another_host_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, contained: bool
) -> None:
    mark = tmp_path / ".dockerenv"
    monkeypatch.setattr(module, "IN_CONTAINER", (mark,))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    if contained:
        mark.touch()
    workers = []
    for name in ("0123456789ab", "cdef01234567"):
        monkeypatch.setattr(module.socket, "gethostname", lambda name=name: name)
        workers.append(module.describe_worker())
    assert (workers[0] == workers[1]) is contained


@pytest.mark.usefixtures("only_the_line")
def test_a_worker_that_passed_before_does_not_load_pytorch(tmp_path: Path) -> None:
    self_check(Settings(home=tmp_path))
    code = (
        "import sys; from pathlib import Path; from components.settings import Settings; "
        "from components.jobs.self_check import self_check; "
        f"assert self_check(Settings(home=Path({str(tmp_path)!r}))).skipped; "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_value_that_is_not_a_number_does_not_pass() -> None:
    assert not Finding(what="x", value=float("nan"), limit=1.0).passed
