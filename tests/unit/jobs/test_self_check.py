"""The canary: right machines pass once, wrong ones are refused with the numbers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from components.errors import SelfCheckError
from components.jobs import self_check as module
from components.jobs.self_check import Finding, self_check
from components.settings import Settings


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


@pytest.fixture
def only_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_few_rows", "_gaussian"):
        monkeypatch.setattr(module, name, list)


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
def test_another_device_or_force_is_checked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(home=tmp_path)
    self_check(settings)
    assert self_check(settings, force=True).skipped is None
    monkeypatch.setattr(module, "describe_device", lambda _: "another device")
    assert self_check(settings).skipped is None


def test_a_value_that_is_not_a_number_does_not_pass() -> None:
    assert not Finding(what="x", value=float("nan"), limit=1.0).passed
