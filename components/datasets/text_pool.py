"""A person's own texts: read from files, checked line by line, split by their own hashes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from pydantic import Field

from components.datasets.base import (
    RawTexts,
    ReadRequest,
    Split,
    SplitConfig,
    Text,
    TextTask,
)
from components.datasets.prepare import split_by_threshold
from components.datasets.prepared import unfit
from components.datasets.rows import bad_row, classes_of, rows, text_of, unusable
from components.errors import CorruptDataError

Placed = tuple[str, Text]


class TextPoolConfig(SplitConfig):
    """For files of labelled texts; names of columns are the file's."""

    task: TextTask = Field(TextTask.CLASSIFICATION, description="What there is to learn")
    text: str = Field("text", min_length=1, description="Column of the text, or of the question")
    label: str = Field("label", min_length=1, description="Column of the class")
    second: str = Field(
        "second", min_length=1, description="Column of a second text, or of what is to be written"
    )


def read_texts(folder: Path, request: ReadRequest[TextPoolConfig], title: str) -> RawTexts:
    """Read every file of a folder.

    Args:
        folder: Holds files that `rows` reads; of an example that is there twice, the copies are in
            the same split.
        request: Names the columns and the task.
        title: For error messages.

    Raises:
        CorruptDataError: If an example cannot be used (its line is named), or there are too few.
    """
    config = request.config
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    placed = [found for path in files for found in _read(path, config)]
    texts = [text for _, text in placed]
    names = classes_of(texts, config.task)
    for place, text in placed:
        _check(place, text, config.task, names)
    splits = _split(texts, config)
    _refuse_unusable(splits, names, config.task, title)
    truth = {"duplicates": len(texts) - len(set(texts))}
    return RawTexts(names, splits, truth, config.task)


def _read(path: Path, config: TextPoolConfig) -> list[Placed]:
    columns = {"text": config.text, "label": config.label, "second": config.second}
    found = []
    for place, row in rows(path):
        missing = [name for name in _needed(config.task) if columns[name] not in row]
        if missing:
            raise CorruptDataError(
                place,
                got=f"the columns {', '.join(map(repr, row)) or 'of nothing'}",
                wanted=f"one called {columns[missing[0]]!r}",
                remedy=f"Say which it is: nightforge data add ... --{missing[0]} COLUMN.",
            )
        found.append((place, text_of(row, columns, (), place)))
    return found


def _needed(task: TextTask) -> Sequence[str]:
    """Fields without which no row is an example; spans may be empty."""
    return {
        TextTask.CLASSIFICATION: ("text", "label"),
        TextTask.SPANS: ("text", "second"),
        TextTask.GENERATION: ("text", "second"),
    }.get(task, ("text",))


def _check(place: str, text: Text, task: TextTask, names: Sequence[str]) -> None:
    got, wanted = unusable(text.text, text.second)
    if not got and task is TextTask.CLASSIFICATION and not text.label:
        got = "no label"
    if got := got or unfit(text, task, names):
        raise bad_row(place, got, wanted or f"an example for {task}")


def _split(texts: Sequence[Text], config: TextPoolConfig) -> Mapping[Split, Sequence[Text]]:
    """By hashes of the texts alone, so that growing data never move one to another split."""
    key = config.seed.to_bytes(8, "little")
    digests = b"".join(
        hashlib.blake2b(f"{text.text}\0{text.second}".encode(), digest_size=8, key=key).digest()
        for text in texts
    )
    masks = split_by_threshold(np.frombuffer(digests, np.uint64), config)
    return {
        split: [text for text, chosen in zip(texts, mask, strict=True) if chosen]
        for split, mask in masks.items()
    }


def _refuse_unusable(
    splits: Mapping[Split, Sequence[Text]], names: Sequence[str], task: TextTask, title: str
) -> None:
    counts = {str(split): len(texts) for split, texts in splits.items()}
    fewest = {TextTask.CLASSIFICATION: 2, TextTask.TOKENS: 1}.get(task, 0)
    unseen = sorted(set(names) - set(classes_of(splits[Split.TRAIN], task)))
    problem = None
    if not all(counts.values()):
        problem = f"splits of {counts} examples", "at least one example in each split"
    elif len(names) < fewest:
        problem = f"{len(names)} classes", f"at least {fewest}"
    elif unseen:
        problem = f"no training example of {unseen[0]!r}", "some of each class"
    if problem:
        raise CorruptDataError(
            title, got=problem[0], wanted=problem[1], remedy="Add examples to the file."
        )
