"""Short reviews of content and discontented people, written by a grammar (sentiment)."""

from __future__ import annotations

from components.datasets.base import Split, Text
from components.datasets.wording import Grammar, Wording, listed, words_of, written_here

CLASSES = ("negative", "positive")
SIZES = {Split.TRAIN: 2000, Split.VALIDATION: 400, Split.TEST: 1000}

WORDS = {
    "good": words_of(
        """good, great, excellent, superb, lovely, wonderful, pleasant, marvellous, fantastic,
        charming, brilliant, splendid, delightful, impressive, beautiful, terrific, perfect,
        amazing, enjoyable, gorgeous, nice, first-class, fabulous, outstanding"""
    ),
    "bad": words_of(
        """bad, terrible, awful, appalling, poor, horrible, dreadful, atrocious, disappointing,
        unpleasant, nasty, lousy, disgusting, ugly, useless, dismal, worthless, annoying, pathetic,
        ghastly, unacceptable, depressing, third-rate, miserable"""
    ),
    "thing": words_of(
        """hotel, phone, film, restaurant, book, camera, concert, bakery, laptop, game, train ride,
        museum, coffee machine, show, holiday flat, bicycle, headset, play, garden chair,
        festival, pizza, album, backpack, guided tour"""
    ),
    "aspect": words_of(
        """service, quality, price, location, design, staff, sound, atmosphere, delivery, packaging,
        presentation, finish, organisation, ending, first impression, customer support"""
    ),
    "people": words_of(
        """my sister, our neighbour, my colleague, a friend, my father, our teacher, my flatmate,
        everybody at work"""
    ),
    "intensity": words_of("really, truly, very, utterly, so, quite simply, just, honestly"),
    "glad": listed(
        """
        I would recommend it to anyone
        we will certainly come back
        it was worth every penny
        I could not be happier
        I enjoyed every minute
        five stars from me
        it made my day
        you should try it, too
        I have already told all my friends about it
        we were smiling all the way home
        I would buy it again at once
        it is the best we have had in years
        """
    ),
    "sorry": listed(
        """
        I would not recommend it to anyone
        we will never come back
        it was a waste of money
        save yourself the trouble
        I regretted every minute
        one star is too much
        it ruined my day
        keep away from it
        I have already asked for my money back
        we complained all the way home
        I would never buy it again
        it is the worst we have had in years
        """
    ),
}

# {adj} and {adj2} agree with the label, {opposite} is its contrary, {verdict} is a sentence that
# fits.
TEMPLATES = listed(
    """
    The {thing} was {adj}.
    What a {adj} {thing}!
    I found the {thing} {intensity} {adj}.
    This {thing} is {adj} from beginning to end.
    The {aspect} was {adj}, and {verdict}.
    We had heard that the {thing} was {opposite}, but it turned out to be {adj}.
    The {thing} was not {opposite} at all.
    To sum it up, a {adj} {thing} with a {adj2} {aspect}.
    About this {thing} I can only say one thing: {verdict}.
    The {aspect} of the {thing} was {intensity} {adj}; {verdict}.
    {people} and I agree that the {aspect} was {adj}.
    If somebody asks me about the {thing}, I will answer that {verdict}.
    In spite of the {opposite} {aspect}, the {thing} itself was {adj}, and {verdict}.
    The {thing} has a {adj} {aspect}.
    {verdict}. The {thing} was {intensity} {adj}.
    Rarely have I seen such a {adj} {thing}; the {aspect} is {adj2}, too.
    Nobody could call the {aspect} {opposite}; {verdict}.
    {people} gave me this {thing}, which is {intensity} {adj}.
    The first {thing} we tried was {opposite}. This one is {adj}.
    {people} warned me that it would be {opposite}, yet the {aspect} was {adj} and {verdict}.
    A {adj} {aspect} and a {adj2} {thing}: {verdict}.
    Not a {opposite} {thing} by any means. The {aspect} alone was {adj}.
    Last week we were given a {adj} {thing}.
    After ten days with this {thing} my opinion is clear: {adj}, because of the {aspect}.
    Others may call it {opposite}, but for me the {aspect} was {adj}.
    Once more a {adj} {thing} by the same people, with a {adj2} {aspect}.
    With such a {adj} {aspect} no wonder that {verdict}.
    The {aspect}? {adj}. The {thing}? {adj2}. In short, {verdict}.
    """
)


def _draw(wording: Wording, label: str) -> Text:
    positive = label == "positive"
    fitting, contrary = ("good", "bad") if positive else ("bad", "good")
    slots = {
        "adj": wording.choose(WORDS[fitting]),
        "adj2": wording.choose(WORDS[fitting]),
        "opposite": wording.choose(WORDS[contrary]),
        "verdict": wording.choose(WORDS["glad" if positive else "sorry"]),
    }
    return Text(wording.fill(wording.choose(TEMPLATES), **slots), label)


SPEC = written_here(
    "reviews",
    "Reviews, good and bad",
    Grammar(CLASSES, SIZES, _draw, WORDS, frozenset({"aspect", "people", "intensity"})),
)
