"""Little texts in which knowledge of the world decides a word (masked and causal language models).

Facts, such as that a baker has an oven, stand in every split; the sentences that state them are of
one split only. What decides a word stands before it, so that a causal model can guess it, too.
"""

from __future__ import annotations

from typing import NamedTuple

from components.datasets.base import Split, Text, TextTask
from components.datasets.wording import Grammar, Wording, listed, unmarked, words_of, written_here

SIZES = {Split.TRAIN: 6000, Split.VALIDATION: 300, Split.TEST: 600}

WORDS = {
    "name": words_of(
        """Anna, Tom, Maria, Paul, Lena, Chris, Eva, Sam, Peter, Lucy, Ben, Nora, Mark, Julia, Adam,
        Clara, Oscar, Ruth, Simon, Helen, Felix, Alice, Martin, Grace"""
    ),
    "day": words_of("Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday"),
    "place": words_of(
        """in the village, in our street, at the fair, by the river, on the farm, in town,
        in the valley, at the market, on the hill, on the island, near the station,
        round the corner"""
    ),
}
BEFORE = listed(
    """
    It was an ordinary {day} {place}.
    {name} likes to talk about such things.
    Some things hardly ever change.
    This is how {name} tells it.
    On {day} there was a lot to see {place}.
    Not much had happened {place} until then.
    {name} wrote a few lines into the diary on {day}.
    Everybody {place} was in a good mood.
    {name} had slept badly.
    The old people {place} like to remember this.
    {name} was the last to arrive on {day}.
    Here is a short story about {name}.
    """
)
AFTER = listed(
    """
    {name} was not surprised.
    Later {name} went home.
    Nobody {place} said a word.
    Then the bus came at last.
    {name} told us so on {day}.
    That is all that I remember.
    After that the {day} was over quickly.
    {name} laughed about it for a long time.
    Even {name} had to admit that.
    So we learnt something {place}.
    And yet {name} asked again on {day}.
    Most visitors only smile at this.
    """
)


class Topic(NamedTuple):
    """What goes with what ("baker: oven"), and sentences: {a} decides {b}."""

    facts: str
    templates: str


TOPICS = (
    Topic(
        """baker: oven, painter: brush, carpenter: saw, tailor: needle, gardener: spade,
        farmer: tractor, photographer: camera, fisherman: net, barber: scissors, butcher: knife,
        blacksmith: hammer, astronomer: telescope, teacher: chalk, dentist: drill,
        drummer: sticks, cook: pan""",
        """
        The {a} could not work without the {b}.
        When the {a} came back from lunch, somebody had touched the {b}.
        {name} watched how the {a} checked the {b}.
        As every {a} knows, the day is lost without the {b}.
        {name} dreams of being a {a} and has already bought the {b}.
        Since the {a} is ill, {name} may try the {b}.
        """,
    ),
    Topic(
        """dog: bark, cat: miaow, horse: neigh, cow: moo, sheep: bleat, duck: quack, cock: crow,
        lion: roar, snake: hiss, frog: croak, bee: buzz, owl: hoot, mouse: squeak, pig: grunt,
        wolf: howl""",
        """
        Last night {name} heard a {a} {b}.
        If you frighten the {a}, it will {b}.
        In the recording you can clearly hear how a {a} begins to {b}.
        The {a} saw {name} and started to {b}.
        All day long the {a} {place} would do nothing but {b}.
        {name} can imitate a {a} and loves to {b} loudly.
        """,
    ),
    Topic(
        """bird: nest, bee: hive, horse: stable, dog: kennel, spider: web, pig: sty, bear: cave,
        hen: coop, rabbit: burrow, goldfish: aquarium, parrot: cage, beaver: dam""",
        """
        The {a} has gone back to its {b}.
        {name} looked for the {a} and found it in the {b}.
        Each {a} feels safest inside its {b}.
        Do not disturb the {a} in its {b}.
        A {a} was resting; {name} walked quietly past the {b}.
        When evening falls, you will meet the {a} only near the {b}.
        """,
    ),
    Topic(
        """grass: green, snow: white, coal: black, a tomato: red, a lemon: yellow, the sky: blue,
        a carrot: orange, chocolate: brown, an elephant: grey, a flamingo: pink, blood: red,
        milk: white, a banana: yellow, a raven: black, an aubergine: purple, a frog: green""",
        """
        {name} painted the wall in the colour of {a}: {b}.
        The colour of {a} is {b}.
        Just like {a}, the new curtains are {b}.
        If it looks like {a}, then it is {b}.
        {name} wanted a scarf that reminds one of {a}, so it had to be {b}.
        For a picture of {a} the children need a pencil that is {b}.
        """,
    ),
    Topic(
        """hot: cold, big: small, old: young, long: short, heavy: light, fast: slow, wet: dry,
        full: empty, hard: soft, clean: dirty, rich: poor, loud: quiet, thick: thin, early: late,
        open: closed, strong: weak, cheap: expensive, bright: dark, high: low, right: wrong""",
        """
        The first one was {a}, but the other one was {b}.
        The opposite of {a} is {b}.
        {name} says {a}, and the little brother, who always contradicts, says {b}.
        It was not {a} at all; on the contrary, it was {b}.
        {name} had expected it to be {a}, and was disappointed that it was {b}.
        In this game one child calls out {a}, whereupon the next must answer {b}.
        """,
    ),
    Topic(
        """it rains: umbrella, it snows: boots, it freezes: gloves, the sun dazzles: sunglasses,
        a cool breeze blows: cardigan, it is hot: sandals, a storm blows: anorak""",
        """
        When {a}, {name} takes the {b}.
        Whenever {a}, you need the {b}.
        Because {a} today, {name} went back for the {b}.
        The radio says that {a}, so do not forget the {b}.
        {name} complains that {a} and cannot find the {b}.
        Look, {a} again, which is why everybody {place} got out the {b}.
        """,
    ),
    Topic(
        """early in the morning: breakfast, at noon: lunch, in the afternoon: tea,
        in the evening: dinner""",
        """
        {name} came {a}, just in time for {b}.
        We met {a} and had {b} together.
        The family sits down {a} to enjoy {b}.
        They rang {a}, while {name} was having {b}.
        As always {a}, the smell {place} was that of {b}.
        If you visit us {a}, you are welcome to share our {b}.
        """,
    ),
    Topic(
        """window: glass, shirt: cotton, jumper: wool, tyre: rubber, table: wood, saddle: leather,
        newspaper: paper, nail: iron, house wall: brick, candle: wax, statue: marble, vase: clay,
        wedding ring: gold, blouse: silk""",
        """
        The {a} is made of {b}.
        {name} bought a {a}, and of course it consists of {b}.
        In the factory they turn out one {a} after another from {b}.
        To make a {a}, you need {b}.
        For a good {a} nothing is better than {b}.
        {name} touched the {a} and at once recognised the {b}.
        """,
    ),
    Topic(
        """the first snowman: winter, the falling leaves: autumn, the hottest days: summer,
        the first snowdrops: spring, the sledges: winter, the grape harvest: autumn,
        the swimming in the lake: summer, the cherry blossom: spring, the frozen pond: winter""",
        """
        {name} looks forward to {a} in {b}.
        We always take photographs of {a} in {b}.
        With {a} the children know that it is {b}.
        Because of {a}, many people {place} love the {b}.
        What {name} misses abroad is {a} in {b}.
        Postcards of {a} remind {name} of the {b}.
        """,
    ),
    Topic(
        """hat: head, glove: hand, shoe: foot, scarf: neck, ring: finger, belt: waist,
        watch: wrist, earring: ear, backpack: back, anklet: ankle, knee pad: knee""",
        """
        A {a} is made for the {b}.
        {name} put the {a} where it belongs, on the {b}.
        The old {a} left a mark on the {b}.
        {name} wears a new {a} and feels it on the {b}.
        You cannot wear this {a} with such a sore {b}.
        Before {name} put on the {a}, the nurse looked at the {b}.
        """,
    ),
    Topic(
        """a week: seven days, a weekend: two days, a working week: five days,
        a fortnight: fourteen days, a year: twelve months, a quarter: three months,
        a decade: ten years, an hour: sixty minutes, half an hour: thirty minutes,
        half a year: six months""",
        """
        {name} knows that {a} has {b}.
        To wait for {a} means to wait {b}.
        Asked how long {a} lasts, {name} answered: {b}.
        The holiday lasts {a}, that is, {b}.
        {name} will be away for {a}, so the neighbours water the plants for {b}.
        The repair took {a}; on the bill it says {b}.
        """,
    ),
    Topic(
        """dog: puppy, cat: kitten, cow: calf, sheep: lamb, horse: foal, hen: chick,
        duck: duckling, pig: piglet, goose: gosling, bear: cub, frog: tadpole, deer: fawn,
        goat: kid""",
        """
        The {a} is looking after her {b}.
        A young {a} is called a {b}.
        {name} saw a {a}, and behind it came a tiny {b}.
        The {a} has had young, and {name} may give a name to one {b}.
        Our {a} is proud of her only {b}.
        Next to the mother {a} there slept a newborn {b}.
        """,
    ),
    Topic(
        """library: books, bakery: bread, pharmacy: medicine, cinema: films, post office: stamps,
        flower shop: roses, shoe shop: boots, jeweller's: rings, kiosk: newspapers, dairy: cheese,
        fishmonger's: trout, toy shop: dolls, petrol station: fuel""",
        """
        {name} went to the {a} because of the {b}.
        The {a} {place} is known for its {b}.
        You can find the {a} easily: look out for the {b}.
        The {a} is closed today, so {name} has to do without the {b}.
        {name} works at the {a} and takes care of the {b}.
        In front of the {a} people were talking about the {b}.
        """,
    ),
    Topic(
        """pen: write, broom: sweep, axe: chop, key: unlock, ladder: climb, towel: dry,
        spoon: stir, ruler: measure, sponge: wipe, pillow: sleep, bicycle: ride, boat: row,
        piano: play""",
        """
        Give me the {a}, I want to {b}.
        If you have a {a}, you can {b}.
        {name} took the {a} and began to {b}.
        Without the {a} nobody can {b}.
        A {a} is a useful thing if you have to {b}.
        As soon as {name} had found the {a}, we could {b}.
        """,
    ),
)
FACTS = tuple(
    (fact.partition(": "), listed(topic.templates))
    for topic in TOPICS
    for fact in words_of(topic.facts)
)


def _draw(wording: Wording, label: str) -> Text:
    (known, _, follows), templates = wording.choose_any(FACTS)
    word, _, rest = follows.partition(" ")
    sentences = [wording.choose(templates)]
    if wording.random.random() < 0.5:
        sentences.insert(0, wording.choose(BEFORE))
    if wording.random.random() < 0.5:
        sentences.append(wording.choose(AFTER))
    marked = f"[[word|{word}]] {rest}".strip()
    text, spans = unmarked(wording.fill(" ".join(sentences), a=known, b=marked))
    return Text(text, spans=spans)


SPEC = written_here(
    "stories",
    "Little texts in which knowledge of the world decides a word",
    Grammar((), SIZES, _draw, WORDS, frozenset(WORDS), TextTask.LANGUAGE),
)
