from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from components.benchmarks import base
from components.benchmarks.base import BenchmarkResult, Contestant, compare
from components.errors import ConfigError


def test_the_ratio_is_the_median_of_the_rounds() -> None:
    result = compare("toy", "nothing", ("theirs", [4.0, 9.0, 2.0]), ("ours", [1.0, 3.0, 2.0]))
    assert result.ratios == (4.0, 3.0, 1.0)
    assert (result.ratio, result.n) == (3.0, 3)
    assert (result.reference.median, result.ours.median) == (4.0, 2.0)
    assert "cores" in result.hardware
    assert BenchmarkResult.model_validate_json(result.model_dump_json()) == result


def test_series_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError):
        compare("toy", "nothing", ("theirs", [1.0]), ("ours", [1.0, 2.0]))


def test_versions_name_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "PACKAGES", ("torch", "no-such-package"))
    found = base.versions()
    assert found["no-such-package"] == "not installed"
    assert found["torch"][0].isdigit()


def test_a_side_that_cannot_run_is_one_clear_error(tmp_path: Path) -> None:
    with closing(Contestant("no_such_module:work", tmp_path)) as side:
        with pytest.raises((ConfigError, BrokenPipeError)) as caught:
            side.seconds()
        assert isinstance(caught.value, ConfigError)
