from __future__ import annotations

import random
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from components.datasets import DATASETS
from components.datasets.base import DataKind, PrepareConfig, RawTexts, ReadRequest, Split, Text
from components.datasets.prepare import prepare
from components.datasets.prepared import load
from components.datasets.wording import Wording, entries_of

TEXTS = [name for name in DATASETS if DATASETS.get(name).kind is DataKind.TEXTS]


def lower_words(texts: Iterable[Text]) -> set[str]:
    pieces = (f"{text.text} {text.second}".lower() for text in texts)
    return {word for piece in pieces for word in re.findall(r"[a-z']+", piece)}


def drawn(name: str, seed: int = 0) -> RawTexts:
    request = ReadRequest(Path(), PrepareConfig(seed=seed), Path())
    data = DATASETS.get(name).read(request)
    assert isinstance(data, RawTexts)
    return data


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("split", [Split.VALIDATION, Split.TEST])
def test_held_out_splits_have_words_that_no_other_split_has(name: str, split: Split) -> None:
    splits = drawn(name).splits
    others = [lower_words(splits[other]) for other in Split if other is not split]
    assert len(lower_words(splits[split]) - set.union(*others)) >= 15


@pytest.mark.parametrize("name", TEXTS)
def test_classes_are_balanced_and_no_text_occurs_twice(name: str) -> None:
    data = drawn(name)
    everything = [text for split in Split for text in data.splits[split]]
    assert len({(text.text, text.second) for text in everything}) == len(everything)
    for split in Split:
        labels = [text.label for text in data.splits[split]]
        counts = [labels.count(label) for label in data.class_names]
        assert max(counts) - min(counts) <= 1


@pytest.mark.parametrize("name", TEXTS)
def test_another_seed_draws_other_texts(name: str) -> None:
    one, other = (drawn(name, seed).splits[Split.TRAIN] for seed in (0, 1))
    assert one != other


def test_lists_are_shared_out() -> None:
    words = list("abcdefghijkl")
    assert entries_of(Split.TRAIN, words) == list("abdeghjk")
    assert entries_of(Split.VALIDATION, words) == ["c", "i"]
    assert entries_of(Split.TEST, words) == ["f", "l"]
    wording = Wording({}, Split.TEST, random.Random(0))
    assert {wording.choose(words) for _ in range(50)} == {"f", "l"}
    assert len({wording.choose_any(words) for _ in range(200)}) == len(words)


def test_slots_articles_and_capitals() -> None:
    wording = Wording({"who": ["actor"] * 4, "more": ["{who}"] * 4}, Split.TRAIN, random.Random(0))
    assert wording.fill("a {who} met a {what}. a {more}!", what="useless unicorn") == (
        "An actor met a useless unicorn. An actor!"
    )
    with pytest.raises(KeyError):
        wording.fill("{nothing}")


def test_a_text_may_hold_any_character(tmp_path: Path) -> None:
    """Python ends lines at some of these, JSON does not."""
    text = Text("one\u2028two\x85three\r\nfour", "a")
    raw = RawTexts(("a",), {split: [text] for split in Split}, {})
    spec = replace(DATASETS.get("reviews"), read=lambda request: raw)
    folder = tmp_path / "prepared"
    folder.mkdir()
    prepare(spec, PrepareConfig(), tmp_path, folder)
    assert load(folder).splits[Split.TEST] == (text,)
