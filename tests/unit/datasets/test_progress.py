from __future__ import annotations

import io
import sys

import pytest

from components.datasets.progress import Progress

MEGABYTE = 1_000_000


class Watched(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True


def test_a_log_gets_a_line_for_each_tenth(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress("large.zip", 0, 100 * MEGABYTE)
    for _ in range(400):
        progress.advance(MEGABYTE // 4)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "large.zip: 0 of 100 MB"
    assert lines[-1] == "large.zip: 100 of 100 MB"
    assert len(lines) == 11


def test_a_person_gets_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Watched()
    monkeypatch.setattr(sys, "stderr", terminal)
    progress = Progress("large.zip", 50 * MEGABYTE, 50 * MEGABYTE)
    progress.advance(25 * MEGABYTE)
    progress.advance(25 * MEGABYTE)
    bars = terminal.getvalue().split("\r")[1:]
    assert bars[0].endswith("75 %")
    assert bars[1].endswith("100 %\n")
    assert bars[1].count("=") == 30


@pytest.mark.parametrize("size", [None, MEGABYTE])
def test_small_files_and_unknown_sizes_say_nothing(
    capsys: pytest.CaptureFixture[str], size: int | None
) -> None:
    Progress("small", 0, size).advance(MEGABYTE)
    assert capsys.readouterr() == ("", "")
