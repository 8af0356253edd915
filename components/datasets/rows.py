"""Examples of texts in a file: JSON lines, CSV with a header, or a Parquet table."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from components.datasets.base import Text, TextTask
from components.errors import CorruptDataError

LINES, COMMAS, TABLE = ".jsonl", ".csv", ".parquet"
TEXT_SUFFIXES = (LINES, COMMAS, TABLE)
FIELDS = tuple(field.name for field in fields(Text))
MAX_CHARACTERS = 20_000  # of an example; what is longer was not meant for these models
CELL_CHARACTERS = 1 << 24  # the csv module refuses cells above 131,072 by itself

Row = tuple[str, dict[str, Any]]


def rows(path: Path) -> Iterator[Row]:
    """Each row of a file with the place a person finds it at; empty lines are passed over.

    Raises:
        CorruptDataError: At the first line that is not one; its number is named.
    """
    if path.suffix.lower() == TABLE:
        yield from _table(path)
    elif path.suffix.lower() == COMMAS:
        yield from _commas(path)
    elif path.suffix.lower() == LINES:
        yield from _lines(path)
    else:
        raise bad_row(path.name, "another kind of file", f"one of {', '.join(TEXT_SUFFIXES)}")


def _lines(path: Path) -> Iterator[Row]:
    for number, line in _decoded(path):
        place = f"line {number} of {path.name}"
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except ValueError as error:
            raise bad_row(place, " ".join(str(error).split()), "one JSON object") from None
        if not isinstance(found, dict):
            raise bad_row(place, type(found).__name__, "a JSON object")
        yield place, found


def _commas(path: Path) -> Iterator[Row]:
    """RFC 4180: a header, cells in double quotes where they hold commas, quotes or new lines."""
    text = "\n".join(line for _, line in _decoded(path))
    csv.field_size_limit(CELL_CHARACTERS)
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    header = ", ".join(reader.fieldnames or ())
    while True:
        begin = reader.line_num + 1
        try:
            row = next(reader, None)
        except csv.Error as error:
            place = f"line {begin} of {path.name}"
            raise bad_row(place, str(error), "cells separated by commas") from None
        if row is None:
            return
        place = f"line {reader.line_num} of {path.name}"
        cells = row.pop(None, None) is None and None not in row.values()
        if not cells:
            raise bad_row(place, "more or fewer cells than the header", f"one for each of {header}")
        yield place, row


def _decoded(path: Path) -> Iterator[tuple[int, str]]:
    """Lines with their numbers, without ends; only a line feed ends one, as JSON lines have it."""
    for number, line in enumerate(path.read_bytes().split(b"\n"), 1):
        try:
            yield number, line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            got = f"{line[error.start]:#04x} at byte {error.start}"
            raise bad_row(f"line {number} of {path.name}", got, "UTF-8") from None


def _table(path: Path) -> Iterator[Row]:
    import pyarrow.parquet as pq

    try:
        found = pq.read_table(path).to_pylist()
    except (OSError, ValueError) as error:
        raise bad_row(str(path), " ".join(str(error).split())[:200], "a Parquet table") from None
    for number, row in enumerate(found, 1):
        yield f"row {number} of {path.name}", row


def text_of(
    row: Mapping[str, Any], columns: Mapping[str, str], labels: Sequence[str], place: str
) -> Text:
    """The example in a row.

    Args:
        row: Without `columns` it may have no other fields than `Text`.
        columns: Our names to the file's, where they differ.
        labels: What a label that is a number stands for; itself if there are none.
        place: For messages.

    Raises:
        CorruptDataError: If a field is no string, or spans are no list of begin, end and name.
    """
    unknown = [] if columns else sorted(set(row) - set(FIELDS))
    values = {name: row.get(columns.get(name, name)) for name in FIELDS}
    label = values["label"]
    if isinstance(label, int) and not labels:
        values["label"] = str(label)
    elif isinstance(label, int) and 0 <= label < len(labels):
        values["label"] = labels[label]
    text = {name: "" if values[name] is None else values[name] for name in FIELDS[:-1]}
    if unknown or any(not isinstance(value, str) for value in text.values()):
        names = ", ".join(map(repr, row)) or "an empty object"
        raise bad_row(place, names, f"strings under {', '.join(FIELDS[:-1])}, and perhaps spans")
    try:
        spans = tuple((int(a), int(b), str(name)) for a, b, name in values["spans"] or ())
    except (TypeError, ValueError):
        got = str(values["spans"])[:80]
        raise bad_row(place, got, "spans such as [[0, 4, 'PER']]") from None
    kept = {k: str(v) if spans else str(v).strip() for k, v in text.items()}  # spans count spaces
    return Text(kept["text"], kept["label"], kept["second"], spans)


def unusable(text: str, second: str = "") -> tuple[str, str]:
    """What is wrong with a text of any task, and what was wanted; empty if nothing."""
    characters = len(text) + len(second)
    if not text:
        return "an empty text", "at least one character"
    if characters > MAX_CHARACTERS:
        return f"{characters:,} characters", f"at most {MAX_CHARACTERS:,}"
    return "", ""


def classes_of(texts: Sequence[Text], task: TextTask) -> tuple[str, ...]:
    """The classes that occur, sorted; of entities where the task is to find them."""
    if task is TextTask.TOKENS:
        return tuple(sorted({name for text in texts for _, _, name in text.spans}))
    return tuple(sorted({text.label for text in texts if text.label}))


def bad_row(place: str, got: str, wanted: str) -> CorruptDataError:
    """The error about a row that cannot be used."""
    return CorruptDataError(place, got=got, wanted=wanted, remedy="Correct it or leave it out.")
