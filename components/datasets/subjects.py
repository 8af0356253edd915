"""Sentences about topics that an entailment model has not met, to be classified (subjects)."""

from __future__ import annotations

from components.datasets.base import Split, Text
from components.datasets.topics import TOPICS, sentence
from components.datasets.wording import Grammar, Wording, entries_of, written_here

SIZES = {Split.TRAIN: 300, Split.VALIDATION: 120, Split.TEST: 300}
# What `topics` keeps for its test: whoever has trained there sees these classes for the first time.
SUBJECTS = {topic.name: topic for topic in entries_of(Split.TEST, TOPICS)}


def _draw(wording: Wording, label: str) -> Text:
    return Text(sentence(wording, SUBJECTS[label]), label)


SPEC = written_here(
    "subjects",
    "Sentences by topic",
    Grammar(
        tuple(SUBJECTS),
        SIZES,
        _draw,
        {},
        unseen="a sixth of the templates, which only the validation split has, and another sixth, "
        "which only the test split has; the nouns are the same in every split",
    ),
)
