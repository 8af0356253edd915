"""Examples of an evaluation: a dataset's test split, JSON lines, or a file of the hub."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.datasets.base import Split, Text, TextTask
from components.datasets.prepared import PreparedTexts, load, unfit
from components.errors import ConfigError, CorruptDataError, DataUnavailableError
from components.jobs.contracts import check_pair
from components.settings import PROJECT_ROOT
from components.versioning.versions import DatasetVersion

if TYPE_CHECKING:
    from components.text.tasks.base import EvaluationTask

HUB = "hub://"
LINES, TABLE = ".jsonl", ".parquet"
FIELDS = tuple(field.name for field in fields(Text))


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
    return not name.startswith(HUB) and not name.endswith((LINES, TABLE))


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
    texts = [
        (place, _text(row, columns, labels, place))
        for place, row in (_rows(path) if path.suffix == LINES else _table(path))
    ]
    if not texts:
        raise _bad(str(path), "no examples", "at least one")
    found = tuple(labels) or _classes([text for _, text in texts], kind)
    for place, text in texts:
        check_pair((text.text, text.second), place)
        if problem := unfit(text, kind, found):
            raise _bad(place, problem, f"an example for {task_name}")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:32]
    return SuiteData([text for _, text in texts], found, digest)


def _classes(texts: Sequence[Text], kind: TextTask) -> tuple[str, ...]:
    """Those that occur, sorted."""
    if kind is TextTask.TOKENS:
        return tuple(sorted({name for text in texts for _, _, name in text.spans}))
    return tuple(sorted({text.label for text in texts if text.label}))


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
            wanted="a dataset, or a file of JSON lines",
            remedy="Correct the path; one that is not absolute begins at the project.",
        )
    return path


def _from_hub(name: str) -> Path:
    from components.text.sources import hub_file

    repository, _, rest = name.removeprefix(HUB).partition("@")
    revision, _, file = rest.partition("/")
    if not revision or not file.endswith((LINES, TABLE)):
        raise ConfigError(
            f"data {name}",
            got="no revision or no file",
            wanted=f"{HUB}NAME@revision/FILE{LINES} or FILE{TABLE}",
            remedy="A revision is a commit's hash; it stands on the dataset's page under Files.",
        )
    return hub_file(repository, revision, file)


def _rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, line in enumerate(path.read_bytes().split(b"\n"), 1):
        place = f"line {number} of {path.name}"
        if not line.strip():
            continue
        try:
            found = json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8"))
        except UnicodeDecodeError as error:
            raise _bad(place, f"{line[error.start]:#04x} at byte {error.start}", "UTF-8") from None
        except ValueError as error:
            raise _bad(place, " ".join(str(error).split()), "one JSON object") from None
        if not isinstance(found, dict):
            raise _bad(place, type(found).__name__, "a JSON object")
        yield place, found


def _table(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    import pyarrow.parquet as pq

    try:
        rows = pq.read_table(path).to_pylist()
    except (OSError, ValueError) as error:
        raise _bad(str(path), " ".join(str(error).split())[:200], "a Parquet table") from None
    for number, row in enumerate(rows, 1):
        yield f"row {number} of {path.name}", row


def _text(
    row: Mapping[str, Any], columns: Mapping[str, str], labels: Sequence[str], place: str
) -> Text:
    """An example; without `columns` a row may have no other fields than ours."""
    unknown = [] if columns else sorted(set(row) - set(FIELDS))
    values = {name: row.get(columns.get(name, name)) for name in FIELDS}
    label = values["label"]
    if isinstance(label, int) and 0 <= label < len(labels):
        values["label"] = labels[label]
    text = {name: "" if values[name] is None else values[name] for name in FIELDS[:-1]}
    if unknown or any(not isinstance(value, str) for value in text.values()):
        names = ", ".join(map(repr, row)) or "an empty object"
        raise _bad(place, names, f"strings under {', '.join(FIELDS[:-1])}, and perhaps spans")
    try:
        spans = tuple((int(a), int(b), str(name)) for a, b, name in values["spans"] or ())
    except (TypeError, ValueError):
        raise _bad(place, str(values["spans"])[:80], "spans such as [[0, 4, 'PER']]") from None
    kept = {k: str(v) if spans else str(v).strip() for k, v in text.items()}  # spans count spaces
    return Text(kept["text"], kept["label"], kept["second"], spans)


def _bad(place: str, got: str, wanted: str) -> CorruptDataError:
    return CorruptDataError(
        place, got=got, wanted=wanted, remedy="Correct it or leave it out; nothing was evaluated."
    )
