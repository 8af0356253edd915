"""Sentences that follow from others or do not, written by a grammar (inference)."""

from __future__ import annotations

from typing import NamedTuple

from components.datasets.base import Split, Text
from components.datasets.wording import Grammar, Wording, listed, words_of, written_here

CLASSES = ("entailment", "neutral", "contradiction")
SIZES = {Split.TRAIN: 2000, Split.VALIDATION: 600, Split.TEST: 900}


class Activity(NamedTuple):
    """What somebody does, what that implies, and what nobody does at the same time."""

    doing: str
    implied: str
    excluded: str


ACTIVITIES = (
    Activity("playing the guitar", "making music", "sleeping"),
    Activity("riding a bicycle", "moving along on two wheels", "sitting at a desk"),
    Activity("baking bread", "preparing food", "repairing a car"),
    Activity("singing a song", "using a voice", "keeping silent"),
    Activity("swimming in the lake", "in the water", "standing on a ladder"),
    Activity("painting a portrait", "making a picture", "lifting weights"),
    Activity("running to the bus", "in a hurry", "lying on the grass"),
    Activity("reading a newspaper", "looking at a text", "running a race"),
    Activity("frying an egg", "cooking something", "taking a shower"),
    Activity("throwing a ball", "moving an arm", "fast asleep"),
    Activity("climbing a tree", "going up", "swimming under water"),
    Activity("writing a letter", "putting words on paper", "playing football"),
    Activity("cutting the hedge", "working in the garden", "lying in bed"),
    Activity("driving a lorry", "in a vehicle", "dancing on a stage"),
    Activity("drinking a cup of tea", "having a hot drink", "diving for pearls"),
    Activity("playing the piano", "at a musical instrument", "mowing the lawn"),
    Activity("feeding the ducks", "giving food to animals", "flying an aeroplane"),
    Activity("washing the dishes", "cleaning something", "skiing down a hill"),
    Activity("building a wall", "doing construction work", "taking a nap"),
    Activity("eating soup", "having a meal", "brushing the teeth"),
    Activity("skating on the ice", "on a frozen surface", "lying on the sofa"),
    Activity("telephoning a client", "speaking to somebody", "not saying a word"),
    Activity("carrying a heavy box", "holding something", "walking with empty hands"),
    Activity("devouring a sandwich", "eating something", "fasting all day"),
    Activity("planting roses", "putting flowers into the ground", "watching television"),
    Activity("taking photographs", "using a camera", "riding a horse"),
    Activity("knitting a scarf", "making something to wear", "playing tennis"),
    Activity("jogging along the river", "getting some exercise", "sitting in an armchair"),
    Activity("sewing a button on", "using a needle and thread", "rowing a boat"),
    Activity("laughing about a joke", "amused", "crying bitterly"),
    Activity("ironing a shirt", "taking care of clothes", "hiking in the mountains"),
    Activity("napping under a blanket", "resting", "jumping up and down"),
)
PEOPLE = (
    ("woman", "man"),
    ("man", "woman"),
    ("girl", "boy"),
    ("lady", "gentleman"),
    ("boy", "girl"),
    ("mother", "father"),
    ("grandfather", "grandmother"),
    ("gentleman", "lady"),
    ("waitress", "waiter"),
    ("father", "mother"),
    ("actress", "actor"),
    ("grandmother", "grandfather"),
    ("schoolgirl", "schoolboy"),
    ("postman", "postwoman"),
    ("salesman", "saleswoman"),
    ("policewoman", "policeman"),
)
PLACES = (
    ("in the park", "outdoors"),
    ("in the kitchen", "indoors"),
    ("on the beach", "outdoors"),
    ("in a field", "outdoors"),
    ("in the living room", "indoors"),
    ("in a meadow", "outdoors"),
    ("in the classroom", "indoors"),
    ("in the basement", "indoors"),
)
WORDS = {
    "look": words_of("tall, young, old, elderly, cheerful, thin, friendly, bearded, tired, rich"),
    "guess": listed(
        """
        for a friend
        for the first time
        to earn some money
        because of a bet
        as on every Sunday
        with great skill
        in order to forget the day
        before going to work
        """
    ),
    "feeling": words_of("happy, sad, proud, lonely, hungry, bored, nervous, angry"),
    "when": words_of("this morning, right now, at noon, this afternoon, today, at the moment"),
}
PREMISES = listed(
    """
    A {who} is {doing} {where}.
    {when} a {who} is {doing} {where}.
    A {who} in a blue coat is {doing} {where}.
    Somebody has noticed a {who} who is {doing} {where}.
    A {who} {where} is {doing}.
    A {who} is {doing} {where}, and two children look on.
    There is a {who} {doing} {where}.
    You can see how a {who} is {doing} {where} while a dog barks.
    A {who} with a red cap is {doing} {where}.
    {where} there is a {who} who is {doing}.
    The picture shows a {who} {doing} {where}.
    A {who} is busy: the {who} is {doing} {where}.
    """
)
HYPOTHESES = {
    "entailment": listed(
        """
        Somebody is {implied}.
        A person is {implied}.
        The {who} is {implied}.
        There is someone who is {implied}.
        The {who} is {place}.
        A {who} is {doing}.
        Somebody is {doing}.
        A person is {place} and {implied}.
        Somebody {place} is {implied}.
        It is a {who} who is {implied}.
        At least one person is {doing}.
        A {who} can be seen {place}.
        """
    ),
    "neutral": listed(
        """
        The {who} is {doing} {guess}.
        A {look} person is {implied}.
        The {who} is {implied} {guess}.
        Someone {look} is {doing}.
        The {look} {who} is {implied}.
        Somebody is {doing} {guess}.
        A {look} {who} is {place}.
        A person is {implied} {guess}.
        A {who} is {doing} {guess}.
        Somebody {look} can be seen {place}.
        The {who} is {doing} and feels {feeling}.
        It is a {look} {who} who is {implied}.
        """
    ),
    "contradiction": listed(
        """
        The {who} is {excluded}.
        Nobody is {doing}.
        The {who} is not {implied}.
        There is nobody who is {implied}.
        It is a {other} who is {doing}, not a {who}.
        The {who} is {elsewhere}.
        A {who} is {excluded} {elsewhere}.
        The only person there is {excluded}.
        Not a single person is {implied}.
        The {who} is {excluded}, not {doing}.
        There is no {who}.
        The {who} prefers to be {excluded} instead.
        """
    ),
}


def _draw(wording: Wording, label: str) -> Text:
    activity = wording.choose(ACTIVITIES)
    who, other = wording.choose_any(PEOPLE)
    where, place = wording.choose_any(PLACES)
    slots = activity._asdict() | {"who": who, "other": other, "where": where, "place": place}
    slots["elsewhere"] = "indoors" if place == "outdoors" else "outdoors"
    slots |= {key: wording.choose(words) for key, words in WORDS.items()}
    premise, hypothesis = wording.choose(PREMISES), wording.choose(HYPOTHESES[label])
    return Text(wording.fill(premise, **slots), label, wording.fill(hypothesis, **slots))


SPEC = written_here(
    "inference",
    "Sentences that follow, may be true, or contradict",
    Grammar(CLASSES, SIZES, _draw, WORDS),
)
