"""A person's own texts: files read line by line, split for good, refused with a place."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from components.datasets.base import RawTexts, ReadRequest, Split, Text, TextTask
from components.datasets.own import own_dataset
from components.datasets.prepare import prepare
from components.datasets.prepared import PreparedTexts, load
from components.datasets.rows import rows, text_of
from components.datasets.text_pool import TextPoolConfig, read_texts
from components.errors import CorruptDataError

EXAMPLES = [
    {"text": f"Order {n} came {'late, and broken' if n % 3 else 'on time'}.", "label": str(n % 3)}
    for n in range(120)
]


def as_lines(folder: Path, examples: list[dict[str, Any]]) -> None:
    lines = [json.dumps(example, ensure_ascii=False) + "\n" for example in examples]
    (folder / "orders.jsonl").write_text("".join(lines), encoding="utf-8")


def as_commas(folder: Path, examples: list[dict[str, Any]]) -> None:
    cells = [[f'"{value}"' for value in example.values()] for example in examples]
    lines = [",".join(row) + "\r\n" for row in [list(examples[0]), *cells]]
    (folder / "orders.csv").write_bytes(b"\xef\xbb\xbf" + "".join(lines).encode())


def as_table(folder: Path, examples: list[dict[str, Any]]) -> None:
    pq.write_table(pa.Table.from_pylist(examples), folder / "orders.parquet")


def read(folder: Path, **config: object) -> RawTexts:
    request = ReadRequest(folder, TextPoolConfig.model_validate(config), folder)
    return read_texts(folder, request, "own texts")


def texts(data: RawTexts) -> dict[Text, Split]:
    return {text: split for split, found in data.splits.items() for text in found}


@pytest.mark.parametrize("write", [as_lines, as_commas, as_table])
def test_every_kind_of_file_holds_the_same_examples(
    tmp_path: Path, write: Callable[[Path, list[dict[str, Any]]], None]
) -> None:
    write(tmp_path, EXAMPLES)
    data = read(tmp_path)
    assert data.class_names == ("0", "1", "2")
    assert data.task is TextTask.CLASSIFICATION
    assert {(text.text, text.label) for text in texts(data)} == {
        (example["text"], example["label"]) for example in EXAMPLES
    }
    sizes = {split: len(found) for split, found in data.splits.items()}
    assert sum(sizes.values()) == len(EXAMPLES)
    assert sizes[Split.TRAIN] > 80


def test_columns_may_have_other_names_and_others_are_passed_over(tmp_path: Path) -> None:
    named = [{"id": n, "body": one["text"], "stars": n % 2} for n, one in enumerate(EXAMPLES)]
    as_lines(tmp_path, named)
    data = read(tmp_path, text="body", label="stars")
    assert data.class_names == ("0", "1")
    assert {text.text for text in texts(data)} == {one["text"] for one in EXAMPLES}


def test_a_text_never_moves_to_another_split_as_data_grow(tmp_path: Path) -> None:
    as_lines(tmp_path, EXAMPLES[:60])
    before = texts(read(tmp_path))
    as_lines(tmp_path, EXAMPLES)
    after = texts(read(tmp_path))
    assert all(after[text] is split for text, split in before.items())
    assert len(after) == 2 * len(before)


def test_copies_of_a_text_stay_together_and_are_counted(tmp_path: Path) -> None:
    as_lines(tmp_path, EXAMPLES + EXAMPLES)
    data = read(tmp_path)
    assert data.truth == {"duplicates": len(EXAMPLES)}
    assert sum(len(set(found)) for found in data.splits.values()) == len(EXAMPLES)


def test_a_cell_may_hold_commas_quotes_and_new_lines(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text('text,label\n"Two, ""so""\nsaid",x\nplain,y\n', encoding="utf-8")
    found = [(place, text_of(row, {"text": "text"}, (), place)) for place, row in rows(file)]
    assert found == [
        ("line 3 of a.csv", Text('Two, "so"\nsaid', "x")),
        ("line 4 of a.csv", Text("plain", "y")),
    ]


@pytest.mark.parametrize(
    ("task", "row", "classes"),
    [
        (TextTask.TOKENS, {"spans": [[0, 5, "THING"]]}, ("THING",)),
        (TextTask.SPANS, {"second": "It was late again.", "spans": [[7, 11, ""]]}, ()),
        (TextTask.GENERATION, {"second": "Es war spät."}, ()),
        (TextTask.LANGUAGE, {}, ()),
    ],
)
def test_the_other_tasks_prepare_and_load(
    tmp_path: Path, task: TextTask, row: dict[str, Any], classes: tuple[str, ...]
) -> None:
    raw = tmp_path / "raw"
    (raw / "texts").mkdir(parents=True)
    as_lines(raw / "texts", [{"text": one["text"], **row} for one in EXAMPLES])
    spec = own_dataset("mine", {"fetch": {"source": "/x.jsonl"}, "prepare": {"task": str(task)}})
    (tmp_path / "prepared").mkdir()
    prepare(spec, TextPoolConfig(task=task), raw, tmp_path / "prepared")
    data = load(tmp_path / "prepared")
    assert isinstance(data, PreparedTexts)
    assert data.card.task is spec.task is task
    assert data.card.class_names == classes
    assert sum(data.card.counts.values()) == len(EXAMPLES)


GOOD = b'{"text": "a", "label": "x"}\n'


@pytest.mark.parametrize(
    ("name", "content", "config", "said"),
    [
        ("a.jsonl", GOOD + b"\n{oops}\n", {}, "line 3 of a.jsonl"),
        ("a.jsonl", GOOD + b'["a"]\n', {}, "line 2 of a.jsonl: got list"),
        ("a.jsonl", GOOD + b'{"text": "\xff"}\n', {}, "line 2 of a.jsonl: got 0xff at byte 10"),
        ("a.jsonl", GOOD + b'{"text": "", "label": "x"}\n', {}, "line 2 of a.jsonl: got an empty"),
        ("a.jsonl", GOOD + b'{"text": "b", "label": ""}\n', {}, "line 2 of a.jsonl: got no label"),
        (
            "a.jsonl",
            GOOD + b'{"text": "b"}\n',
            {},
            "line 2.*wanted one called 'label'. Say.*--label COLUMN",
        ),
        (
            "a.jsonl",
            b'{"txt": "b", "label": "x"}\n',
            {},
            "got the columns 'txt', 'label', wanted one",
        ),
        ("a.jsonl", GOOD, {"text": "body"}, "wanted one called 'body'"),
        (
            "a.jsonl",
            b'{"text": "' + b"a" * 100_000 + b'", "label": "x"}\n',
            {},
            "line 1 of a.jsonl: got 100,000 characters",
        ),
        ("a.jsonl", b'{"text": 7, "label": "x"}\n', {}, "wanted strings"),
        (
            "a.jsonl",
            b'{"text": "ab", "spans": [[0, 3, "X"]]}\n',
            {"task": "token classification"},
            "line 1.*the span 0 to 3",
        ),
        ("a.jsonl", GOOD, {"task": "text to text"}, "wanted one called 'second'"),
        ("a.csv", b"text,label\na,x\nb\n", {}, "line 3 of a.csv: got more or fewer cells"),
        ("a.csv", b'text,label\n"a" b,x\n', {}, "line 2 of a.csv"),
        ("a.parquet", b"PAR1", {}, "wanted a Parquet table"),
        ("a.tsv", b"text\tlabel\n", {}, "a.tsv: got another kind of file"),
        ("a.jsonl", b"", {}, "at least one example in each split"),
    ],
)
def test_what_cannot_be_used_is_named_with_its_place(
    tmp_path: Path, name: str, content: bytes, config: dict[str, object], said: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CorruptDataError, match=said):
        read(tmp_path, **config)


def test_one_class_or_a_class_without_training_examples_is_refused(tmp_path: Path) -> None:
    as_lines(tmp_path, [{**one, "label": "x"} for one in EXAMPLES])
    with pytest.raises(CorruptDataError, match="1 classes, wanted at least 2"):
        read(tmp_path)
    as_lines(tmp_path, EXAMPLES)
    held_out = next(iter(read(tmp_path).splits[Split.TEST]))
    as_lines(tmp_path, [*EXAMPLES, {"text": held_out.text, "label": "seldom"}])
    with pytest.raises(CorruptDataError, match="no training example of 'seldom'"):
        read(tmp_path)


def test_shares_that_leave_nothing_to_train_on_are_refused() -> None:
    with pytest.raises(ValidationError, match="add up to less than 1"):
        TextPoolConfig(validation_fraction=0.5, test_fraction=0.5)
