"""A few examples for each thing there is to learn from texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from components.datasets.base import Text, TextTask
from components.datasets.wording import unmarked

CLASS_NAMES: Mapping[TextTask, Sequence[str]] = {
    TextTask.CLASSIFICATION: ("bad", "good"),
    TextTask.TOKENS: ("PER", "LOC"),
}


def marked(text: str) -> Text:
    """An example from "[[PER|Ada]] ran"."""
    plain, spans = unmarked(text)
    return Text(plain, spans=spans)


def asked(question: str, passage: str) -> Text:
    """A question whose answer is marked in the passage."""
    plain, spans = unmarked(passage)
    return Text(question, second=plain, spans=spans)


EXAMPLES: Mapping[TextTask, Sequence[Text]] = {
    TextTask.CLASSIFICATION: (
        Text("a good film", "good"),
        Text("a bad film, all in all much too long", "bad"),
        Text("good", "good"),
        Text("Ünïcödé, 漢字 and 🙂", "bad"),
    ),
    TextTask.TOKENS: (
        marked("[[PER|Ada Byron]] met [[PER|Bo]] in [[LOC|York]]."),
        marked("nobody came"),
        marked("[[LOC|Ulm]]"),
        marked("Ünï met [[PER|漢 Li]] at six o'clock in the evening"),
    ),
    TextTask.SPANS: (
        asked("who sang?", "In May [[answer|Ada B.]] sang."),
        asked("who sang?", "Nothing is known about it."),
        asked("when?", "It rained in [[answer|June]], and then came a dry and hot summer."),
        asked("wo?", "ein ü, dann [[answer|zwölf]]"),
    ),
    TextTask.GENERATION: (
        Text("one two", second="eins zwei"),
        Text("two one", second="zwei eins"),
        Text("one one", second="eins eins"),
        Text("two two two two", second="zwei zwei zwei zwei"),
    ),
    TextTask.LANGUAGE: (
        marked("the cat says [[word|meow]]"),
        marked("the dog says [[word|woof]]"),
        marked("a [[word|cow]]"),
        marked("of all the animals here the [[word|cat]] is the smallest"),
    ),
}
