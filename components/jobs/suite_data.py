"""Examples of an evaluation: a dataset's test split, a file, or a file of the hub."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from components.datasets.base import Split, Text, TextTask
from components.datasets.prepared import PreparedTexts, load, unfit
from components.datasets.rows import TEXT_SUFFIXES, bad_row, classes_of, rows, text_of
from components.errors import ConfigError, DataUnavailableError
from components.jobs.contracts import check_pair
from components.settings import PROJECT_ROOT
from components.versioning.versions import DatasetVersion

if TYPE_CHECKING:
    from components.text.tasks.base import EvaluationTask

HUB = "hub://"


@dataclass(frozen=True)
class SuiteData:
    """What is evaluated on.

    Attributes:
        class_names: In label order; empty where there are none.
        version: Of the dataset, or the digest of the file.
    """

    examples: Sequence[Text]
    class_names: Sequence[str]
    version: str

    def first(self, limit: int) -> SuiteData:
        """Only the first so many; all of them if 0."""
        return replace(self, examples=self.examples[:limit]) if limit else self


def is_dataset(name: str) -> bool:
    """Whether data are named by the catalog rather than by a file."""
    return not name.startswith(HUB) and not name.endswith(TEXT_SUFFIXES)


def open_data(
    task_name: str,
    name: str,
    columns: Mapping[str, str],
    labels: Sequence[str],
    task: EvaluationTask,
    datasets: Mapping[str, DatasetVersion],
) -> SuiteData:
    """Open what an entry of a suite names.

    Args:
        task_name: For messages.
        name: A dataset, a file, or hub://NAME@revision/FILE.
        columns: Our names to the file's, where they differ.
        labels: Names of a file's classes; those that occur, sorted, if empty.
        task: What it is for.
        datasets: Versions of the datasets.

    Raises:
        ConfigError: If the data are for another task.
        DataError: If they cannot be found, or an example is unusable; its line is named.
    """
    if name in datasets:
        return _dataset(task_name, task, datasets[name])
    path = _from_hub(name) if name.startswith(HUB) else _file(name)
    [kind, *_] = task.data
    texts = [(place, text_of(row, columns, labels, place)) for place, row in rows(path)]
    if not texts:
        raise bad_row(str(path), "no examples", "at least one")
    found = tuple(labels) or classes_of([text for _, text in texts], kind)
    for place, text in texts:
        check_pair((text.text, text.second), place)
        if problem := unfit(text, kind, found):
            raise bad_row(place, problem, f"an example for {task_name}")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:32]
    return SuiteData([text for _, text in texts], found, digest)


def _dataset(task_name: str, task: EvaluationTask, data: DatasetVersion) -> SuiteData:
    prepared = load(data.directory)
    kind: TextTask | str = prepared.card.kind
    if isinstance(prepared, PreparedTexts):
        kind = prepared.card.task
        if kind in task.data:
            return SuiteData(prepared.splits[Split.TEST], prepared.card.class_names, data.version)
    raise ConfigError(
        f"dataset {data.name}",
        got=f"data for {kind}",
        wanted=f"data for {', '.join(sorted(task.data))}, as {task_name} needs",
        remedy="Name other data.",
    )


def _file(name: str) -> Path:
    path = Path(name).expanduser()
    path = path if path.is_absolute() else PROJECT_ROOT / path
    if not path.is_file():
        raise DataUnavailableError(
            f"data {name}",
            got=f"no file {path}",
            wanted="a dataset, or a file with one of " + ", ".join(TEXT_SUFFIXES),
            remedy="Correct the path; one that is not absolute begins at the project.",
        )
    return path


def _from_hub(name: str) -> Path:
    from components.text.sources import hub_file

    repository, _, rest = name.removeprefix(HUB).partition("@")
    revision, _, file = rest.partition("/")
    if not revision or not file.endswith(TEXT_SUFFIXES):
        raise ConfigError(
            f"data {name}",
            got="no revision or no file",
            wanted=f"{HUB}NAME@revision/FILE with one of {', '.join(TEXT_SUFFIXES)}",
            remedy="A revision is a commit's hash; it stands on the dataset's page under Files.",
        )
    return hub_file(repository, revision, file)
