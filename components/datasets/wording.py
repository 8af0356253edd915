"""Texts from templates; validation and test have templates and words that training never saw."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from components.datasets.base import (
    DataKind,
    DatasetSpec,
    PrepareConfig,
    RawTexts,
    ReadRequest,
    Span,
    Split,
    Text,
    TextTask,
)
from components.datasets.linear import drawn_here

# Of each list, every third entry is kept from training: in turn for validation and for the test.
KEPT = {2: Split.VALIDATION, 5: Split.TEST}
CYCLE = 6
SLOT = re.compile(r"\{(\w+)\}")
ARTICLE = re.compile(r"\b([Aa]) (?=[aeiou](?!se|ni|ne))")  # a useless one, but an unusual one
MARK = re.compile(r"\[\[(\w+)\|([^\]]+)\]\]")  # a span in a text that is being written
HELD_OUT = (
    "a sixth of the templates and words, which only the validation split has, and another sixth, "
    "which only the test split has"
)
ATTEMPTS = 50  # for each text that is wanted, before it is clear that the templates are too few

T = TypeVar("T")


def entries_of(split: Split, entries: Sequence[T]) -> list[T]:
    """The entries of a list that a split uses and no other: two thirds are for training."""
    return [
        entry
        for place, entry in enumerate(entries)
        if KEPT.get(place % CYCLE, Split.TRAIN) is split
    ]


@dataclass(frozen=True)
class Wording:
    """Fills templates of one split from word lists.

    Attributes:
        words: Slot name to what may stand there; an entry may have slots itself.
        split: Decides which entries are used.
        random: Decides which of those.
        shared: Slots whose entries say nothing about the class and stand in every split.
    """

    words: Mapping[str, Sequence[str]]
    split: Split
    random: random.Random
    shared: frozenset[str] = frozenset()

    def choose(self, entries: Sequence[T]) -> T:
        """One of the entries that this split may use."""
        return self.random.choice(entries_of(self.split, entries))

    def choose_any(self, entries: Sequence[T]) -> T:
        """One of the entries, whichever split it is."""
        return self.random.choice(entries)

    def fill(self, template: str, **given: str) -> str:
        """A sentence: slots filled, "a" before a vowel as "an", a capital at each start.

        Args:
            template: With slots such as {thing}; a slot that occurs twice gets the same word.
            given: What stands in some slots already.

        Raises:
            KeyError: If a slot has no list.
        """
        chosen = dict(given)

        def word(found: re.Match[str]) -> str:
            slot = found.group(1)
            if slot not in chosen:
                choose = self.choose_any if slot in self.shared else self.choose
                chosen[slot] = choose(self.words[slot])
            return chosen[slot]

        text = template
        while SLOT.search(text):
            text = SLOT.sub(word, text)
        text = ARTICLE.sub(r"\1n ", text)
        return re.sub(r"(^|[.!?] )([a-z])", lambda m: m.group(1) + m.group(2).upper(), text)


@dataclass(frozen=True)
class Grammar:
    """How the texts of a dataset are written.

    Attributes:
        class_names: In label order; the classes have equal shares.
        sizes: Examples of each split.
        draw: A text of a class.
        words: Lists for the slots.
        shared: Slots whose entries stand in every split.
        task: What there is to learn; only for a classification `draw` is told a class.
        unseen: What validation and test have that training has not, for a person.
    """

    class_names: Sequence[str]
    sizes: Mapping[Split, int]
    draw: Callable[[Wording, str], Text]
    words: Mapping[str, Sequence[str]]
    shared: frozenset[str] = frozenset()
    task: TextTask = TextTask.CLASSIFICATION
    unseen: str = HELD_OUT

    def read(self, request: ReadRequest[PrepareConfig]) -> RawTexts:
        """Write splits of distinct texts; the configuration holds the seed.

        Raises:
            RuntimeError: If the templates do not give enough different texts.
        """
        seen: set[tuple[str, str]] = set()
        splits: dict[Split, list[Text]] = {}
        for split in Split:
            chance = random.Random(f"{request.config.seed} {split}")  # noqa: S311 - not a secret
            wording = Wording(self.words, split, chance, self.shared)
            splits[split] = self._distinct(wording, self.sizes[split], seen)
            chance.shuffle(splits[split])
        truth = {"unseen in training": self.unseen}
        return RawTexts(tuple(self.class_names), splits, truth, self.task)

    def _distinct(self, wording: Wording, count: int, seen: set[tuple[str, str]]) -> list[Text]:
        found: list[Text] = []
        labels = self.class_names if self.task is TextTask.CLASSIFICATION else ("",)
        for _ in range(ATTEMPTS * count):
            if len(found) == count:
                return found
            text = self.draw(wording, labels[len(found) % len(labels)])
            if (text.text, text.second) not in seen:
                seen.add((text.text, text.second))
                found.append(text)
        raise RuntimeError(f"only {len(found)} different texts for {wording.split}")


def unmarked(text: str) -> tuple[str, tuple[Span, ...]]:
    """Take out the marks: "[[person|Ada]] ran" is "Ada ran", with the person at 0 to 3."""
    plain, spans, place = "", [], 0
    for found in MARK.finditer(text):
        plain += text[place : found.start()]
        spans.append((len(plain), len(plain) + len(found[2]), found[1]))
        plain += found[2]
        place = found.end()
    return plain + text[place:], tuple(spans)


def written_here(name: str, title: str, grammar: Grammar) -> DatasetSpec:
    """The specification of a dataset that its own module writes."""
    return DatasetSpec(
        name=name,
        title=title,
        licence="Apache-2.0",
        homepage="",
        fetch=drawn_here,
        read=grammar.read,
        kind=DataKind.TEXTS,
        task=grammar.task,
    )


def listed(lines: str) -> tuple[str, ...]:
    """The lines of a block of text, stripped, without empty ones."""
    return tuple(line.strip() for line in lines.splitlines() if line.strip())


def words_of(text: str) -> tuple[str, ...]:
    """A word list written with commas."""
    return tuple(word.strip() for word in text.replace("\n", " ").split(",") if word.strip())
