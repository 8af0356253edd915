"""A table of learning curves: what trials would do, looked up instead of trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from components.errors import StudyError
from components.tuning.backend import Curve
from components.tuning.searchers import Score
from components.tuning.space import Config, SearchSpace
from components.tuning.study import Mode, Study
from components.tuning.trial import Trial, TrialStatus


class Entry(BaseModel):
    """One configuration that was trained to the end.

    Attributes:
        values: The metric after each epoch.
        seconds: What each epoch took.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    config: Config
    values: tuple[float, ...]
    seconds: tuple[float, ...]


class CurveTable(BaseModel):
    """Recorded curves, with where they were recorded.

    Attributes:
        what: Model, dataset and what all entries have in common.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    what: str
    metric: str
    mode: Mode
    space: SearchSpace
    hardware: str
    versions: Mapping[str, str]
    entries: tuple[Entry, ...]

    @property
    def epochs(self) -> int:
        """The length of the curves."""
        return len(self.entries[0].values)

    @property
    def best(self) -> float:
        """The best value after any epoch of any entry."""
        values = [value for entry in self.entries for value in entry.values]
        return max(values) if self.mode == "max" else min(values)

    def curve(self, config: Mapping[str, object]) -> Curve:
        """The curve of an entry's configuration."""
        entry = next(entry for entry in self.entries if entry.config == config)
        return Curve(entry.values, entry.seconds)


class TableSearcher:
    """Proposes the entries of a table in a random order."""

    def __init__(self, table: CurveTable, seed: int) -> None:
        order = np.random.default_rng(seed).permutation(len(table.entries))
        self._configs: list[Config] = [table.entries[index].config for index in order]
        self.limit: int | None = len(self._configs)

    def propose(self, number: int, trials: Mapping[int, Trial], scores: Sequence[Score]) -> Config:
        """See `Searcher`."""
        return self._configs[number]


def table_of(
    study: Study, trials: Sequence[Trial], hardware: str, versions: Mapping[str, str]
) -> CurveTable:
    """The trials of a study that were trained to the end.

    Raises:
        StudyError: If there are none.
    """
    length = study.resources.max_resource
    entries = tuple(
        Entry(
            config=trial.config,
            values=tuple(round(value, 6) for value in trial.curve),
            seconds=tuple(round(seconds, 3) for seconds in trial.seconds),
        )
        for trial in trials
        if trial.status is TrialStatus.COMPLETED and len(trial.curve) == length
    )
    if not entries:
        raise StudyError(
            f"study {study.name}",
            got=f"no trial with {length} epochs",
            wanted="whole curves",
            remedy="Run it with scheduler=fifo, which trains every trial to the end.",
        )
    base = study.base
    return CurveTable(
        what=f"{base.get('model')} on {base.get('dataset')}, version {base.get('dataset_version')}",
        metric=study.metric,
        mode=study.mode,
        space=study.space,
        hardware=hardware,
        versions=versions,
        entries=entries,
    )


def load_table(path: Path) -> CurveTable:
    """Read a table.

    Raises:
        StudyError: If the file is missing or is no table.
    """
    try:
        return CurveTable.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValidationError) as error:
        raise StudyError(
            f"curves {path}",
            got=" ".join(str(error).split())[:200],
            wanted="a table of learning curves",
            remedy="Restore the file, or record one with `nightforge study export`.",
        ) from None
