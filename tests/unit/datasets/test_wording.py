from __future__ import annotations

import itertools
import random
import re
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from components.datasets import DATASETS
from components.datasets.base import (
    DataKind,
    PrepareConfig,
    RawTexts,
    ReadRequest,
    Split,
    Text,
    TextTask,
)
from components.datasets.prepare import prepare
from components.datasets.prepared import load, unfit
from components.datasets.wording import Wording, entries_of, unmarked

COMBINED = ("phrases",)  # whose words all occur in training; their combinations do not
EVALUATED = ("subjects",)  # made for evaluation alone: its topics are unseen by `topics`
TEXTS = [name for name in DATASETS if DATASETS.get(name).kind is DataKind.TEXTS]
CLASSIFIED = [name for name in TEXTS if DATASETS.get(name).task is TextTask.CLASSIFICATION]


def lower_words(texts: Iterable[Text]) -> set[str]:
    pieces = (f"{text.text} {text.second}".lower() for text in texts)
    return {word for piece in pieces for word in re.findall(r"[a-z']+", piece)}


@cache
def drawn(name: str, seed: int = 0) -> RawTexts:
    request = ReadRequest(Path(), PrepareConfig(seed=seed), Path())
    data = DATASETS.get(name).read(request)
    assert isinstance(data, RawTexts)
    return data


@pytest.mark.parametrize("name", [name for name in TEXTS if name not in COMBINED + EVALUATED])
@pytest.mark.parametrize("split", [Split.VALIDATION, Split.TEST])
def test_held_out_splits_have_words_that_no_other_split_has(name: str, split: Split) -> None:
    splits = drawn(name).splits
    others = [lower_words(splits[other]) for other in Split if other is not split]
    assert len(lower_words(splits[split]) - set.union(*others)) >= 15


@pytest.mark.parametrize("name", TEXTS)
def test_no_text_occurs_twice(name: str) -> None:
    data = drawn(name)
    everything = [text for split in Split for text in data.splits[split]]
    assert len({(text.text, text.second) for text in everything}) == len(everything)


@pytest.mark.parametrize("name", CLASSIFIED)
def test_classes_are_balanced(name: str) -> None:
    data = drawn(name)
    for split in Split:
        labels = [text.label for text in data.splits[split]]
        counts = [labels.count(label) for label in data.class_names]
        assert max(counts) - min(counts) <= 1


@pytest.mark.parametrize("name", TEXTS)
def test_examples_have_what_their_task_needs(name: str) -> None:
    data = drawn(name)
    assert data.task is DATASETS.get(name).task
    for split in Split:
        for text in data.splits[split]:
            assert not unfit(text, data.task, data.class_names), text
            within = text.second if data.task is TextTask.SPANS else text.text
            marked = [within[start:end] for start, end, _ in text.spans]
            assert all(word == word.strip() and "[" not in word for word in marked), text


@pytest.mark.parametrize("split", [Split.VALIDATION, Split.TEST])
@pytest.mark.parametrize("name", COMBINED)
def test_words_are_known_and_their_combinations_are_not(name: str, split: Split) -> None:
    splits = drawn(name).splits
    train, later = splits[Split.TRAIN], splits[split]
    assert lower_words(later) <= lower_words(train)
    assert len(bigrams(later) - bigrams(train)) >= 100


def bigrams(texts: Iterable[Text]) -> set[tuple[str, str]]:
    found = set()
    for text in texts:
        words = re.findall(r"\w+", text.text.lower())
        found |= set(itertools.pairwise(words))
    return found


@pytest.mark.parametrize("split", list(Split))
def test_a_quarter_of_the_passages_do_not_say(split: Split) -> None:
    texts = drawn("passages").splits[split]
    assert 0.18 <= sum(not text.spans for text in texts) / len(texts) <= 0.32


def test_entities_of_the_test_are_unknown_in_training() -> None:
    splits = drawn("entities").splits
    names = {
        split: {text.text[start:end] for text in splits[split] for start, end, _ in text.spans}
        for split in Split
    }
    assert len(names[Split.TEST] & names[Split.TRAIN]) < 0.05 * len(names[Split.TEST])


@pytest.mark.slow
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


def test_subjects_are_topics_that_training_never_saw() -> None:
    seen = {text.second for text in drawn("topics").splits[Split.TRAIN]}
    assert not [name for name in drawn("subjects").class_names if any(name in s for s in seen)]


def test_marks_become_spans() -> None:
    text, spans = unmarked("[[PER|Ada]] met [[PER|Bo]] in [[LOC|Ulm]].")
    assert text == "Ada met Bo in Ulm."
    assert [(text[start:end], name) for start, end, name in spans] == [
        ("Ada", "PER"),
        ("Bo", "PER"),
        ("Ulm", "LOC"),
    ]


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
