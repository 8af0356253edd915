"""Questions about invented ships, villages and people, written by a grammar (answer extraction)."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

from components.datasets.base import Split, Text, TextTask
from components.datasets.wording import Grammar, Wording, entries_of, listed, words_of, written_here

SIZES = {Split.TRAIN: 3000, Split.VALIDATION: 300, Split.TEST: 500}
UNANSWERED = 0.25  # the share of the questions to which the passage has no answer
LONG = 0.2  # the share of the test's passages that are longer than any in training
SHORT_WORDS, LONG_WORDS = range(91), range(220, 321)
FEWEST, MOST = 3, 6  # sentences in a short passage
SEVERAL, ALIKE = 0.75, 0.8  # how often there are two things, and how often of the same kind
GROUPED, SCENERY, PRONOUN, OPENED = 0.6, 0.2, 0.7, 0.08  # the shares of what varies the prose
GROUP = "year maker lead colour members emblem place"
BUILT = "year maker lead colour material price emblem place"
WOMEN = words_of(
    """Amalia, Corinna, Elspeth, Gisela, Imogen, Kirsten, Mathilda, Odette, Rosalind, Tabitha,
    Verena, Yvonne, Agatha, Cecily, Edwina, Philippa, Sidonie, Winifred"""
)
MEN = words_of(
    """Bertil, Dorian, Fergus, Hector, Jasper, Lorenz, Nestor, Perrin, Silas, Ulric, Wilfred,
    Zacharias, Balthasar, Dunstan, Florian, Gideon, Leopold, Tobias"""
)

WORDS = {
    "word": words_of(
        """Halcyon, Lantern, Thistle, Meridian, Bellwether, Juniper, Compass, Marigold, Whisper,
        Harvest, Paragon, Tempest, Pilgrim, Moonrise, Parable, Orchard, Riddle, Windfall, Foxglove,
        Ember, Solstice, Anchor, Clover, Starlight, Bramble, Horizon, Lullaby, Minstrel, Cascade,
        Twilight, Hazel, Beacon, Pepper, Avalanche, Hollow, Equinox"""
    ),
    "forename": WOMEN + MEN,
    "surname": words_of(
        """Ashgrove, Brandvold, Castellan, Dunmere, Elkington, Farrowby, Grimstad, Hollis, Ivarsen,
        Jessop, Kettleby, Lundgren, Marchetti, Norwood, Oakhurst, Pemberley, Quill, Rasmuss,
        Sorrelli, Tamsworth, Underhay, Velander, Wickham, Yardley, Zeller, Abernott, Birchall,
        Corvino, Drummel, Espinel"""
    ),
    "town": words_of(
        """Ostermouth, Caldersby, Vellin, Harrowick, Norringham, Tarnbeck, Silverton, Quenby,
        Marlesund, Dovercliffe, Ellerstad, Pontavar, Brackwell, Ulverdon, Kestrin, Lindenau Cross,
        Westermere, Jarrowby, Fenwold, Aldersund, Gravenport, Ruskholm, Penhallow, Isenbrook"""
    ),
    "colour": words_of(
        """crimson, turquoise, yellow, violet, dark green, orange, silver-grey, pale blue, pink,
        purple, ivory, brown, cream, golden, navy blue, scarlet, snow-white, olive, black, beige,
        bright red, amber, lilac, copper-green"""
    ),
    "material": words_of(
        """granite, oak, limestone, iron, red brick, larch, steel, sandstone, bamboo, marble,
        concrete, slate, pine, basalt, copper, aluminium, chestnut wood, glass, elm, clay, bronze,
        ash wood, flint, cedar"""
    ),
    "animal": words_of(
        """heron, goat, badger, parrot, tortoise, otter, donkey, hedgehog, raven, pony, squirrel,
        goose, rabbit, weasel, lynx, owl, magpie, greyhound, ferret, peacock, toad, poodle, llama,
        jackdaw, duck, mule, swan, tomcat, beaver, falcon"""
    ),
    "job": words_of(
        """clockmaker, baker, surgeon, postman, gardener, lawyer, blacksmith, dentist, tailor,
        librarian, beekeeper, plumber, mathematician, shepherd, watch repairer, roofer, chemist,
        locksmith"""
    ),
    "instrument": words_of(
        """cello, harp, accordion, trumpet, bassoon, clarinet, mandolin, piano, viola, flute,
        double bass, organ, banjo, oboe, zither, lute, trombone, French horn"""
    ),
    "year": tuple(str(year) for year in range(1712, 1991)),
    "length": tuple(f"{metres} metres" for metres in range(31, 297)),
    "count": tuple(str(people) for people in range(23, 488)),
    "price": tuple(f"{pounds:,} pounds" for pounds in range(1150, 97000, 350)),
    "opening": words_of(
        """according to the guidebook, as every child there knows, strange to say, by the way,
        as far as anyone knows, if the newspapers are right, as people say, to be exact,
        to tell the truth, as it happens, in fact, by all accounts"""
    ),
}


class Attribute(NamedTuple):
    """Something to know about a thing: where its values are, how one says it and asks for it."""

    value: str
    told: tuple[str, ...]
    asked: tuple[str, ...]


def _pieces(text: str) -> tuple[str, ...]:
    return tuple(" ".join(piece.split()) for piece in text.split("/"))


def _attribute(text: str) -> Attribute:
    value, *pieces = _pieces(text)
    asked = tuple(piece for piece in pieces if piece.endswith("?"))
    return Attribute(value, tuple(piece for piece in pieces if piece not in asked), asked)


FILLERS = _pieces(
    """It often rains in that part of the country, and the roads are narrow. / On clear days one
    can see as far as the mountains. / The wind smells of salt and of freshly cut hay. / Many
    people come in summer, but the winters are quiet. / A small café nearby sells excellent apple
    cake. / Old postcards show that little has changed since then, apart from the trees along the
    road. / The local newspaper once printed a long article about all this. / There are plans for a
    new car park, although hardly anybody wants it. / Children like to play there after school. /
    The bus runs every hour, except when there is snow. / Some visitors stay for a day and others
    for a week. / Whoever comes on foot should bring good boots, since the path crosses two streams
    and a marsh. / No photograph does justice to the view. / In the evening the church bells can be
    heard from far away. / Nobody has counted the steps, but there are a great many. / Guests are
    usually offered a cup of strong tea. / The river floods the meadows in spring, and then swans
    swim there. / At night it is so quiet that one hears nothing but the frogs, a distant train and
    the clock."""
)
# Of each: the list of its values, ways to say it ({it} and {its} are a name or a pronoun), and
# ways to ask for it.
KNOWLEDGE = {
    "year": """year / {it} was {made} in {value}. / {its} history begins in {value}. / in {value}
    {it} was {made}. / {it} has existed since {value}. / it was {value} when {it} was {made} at
    last. / {it} goes back to the year {value}. / When did {name} come into being? / Since when has
    there been {name}? / What is the date of origin of {name}? / From which year does {name} date? /
    Which year saw the beginnings of {name}? / When was {name} brought into existence?""",
    "maker": """person / {it} was the idea of {value}. / {it} owes its existence to {value}. / {it}
    was thought up by {value}. / {value} drew up the first plans for {it}. / without {value}, {it}
    would never have been {made}. / the mind behind {it} was {value}. / Who came up with {name}? /
    Who created {name}? / Who first had the vision of {name}? / From whom does the concept of {name}
    come? / Whose brainchild was {name}? / Who was the originator of {name}?""",
    "lead": """person / {its} {lead} is called {value}. / {value} is {its} {lead}. / for some years
    {it} has had a {lead} named {value}. / {its} {lead} goes by the name of {value}. / today {value}
    serves as {its} {lead}. / {its} present {lead}, {value}, is popular. / Who runs {name}? / Who is
    in charge of {name}? / Who is responsible for {name} now? / Who has the final say in matters of
    {name}? / Who manages {name}? / Who is at the head of {name}?""",
    "colour": """colour / {its} {part} is {value}. / for decades {its} {part} has been {value}. /
    everybody remembers {its} {value} {part}. / a {value} {part} makes {it} easy to recognise. /
    {it} is known for a {value} {part}. / {it} has a {part} in {value}. / What colour is the {part}
    of {name}? / Which shade does the {part} of {name} have? / How is the {part} of {name} coloured?
    / In what colour does one see the {part} of {name}? / What tint was chosen for the {part} of
    {name}? / What hue is the {part} of {name}?""",
    "length": """length / {it} is {value} long. / {it} measures {value} from end to end. / {it}
    stretches over {value}. / with {value}, {it} is longer than most. / {its} length is given as
    {value}. / {it} extends over a distance of {value}. / How long is {name}? / What size is {name}
    lengthwise? / How far is it from one end of {name} to the other? / How many metres does {name}
    span? / Over which distance does {name} reach? / What is the length of {name}?""",
    "material": """material / {it} is made of {value}. / {it} consists mostly of {value}. / {its}
    builders chose {value}. / {value} was used to build {it}. / most of {it} is {value}. / {it} was
    built from {value}. / What was {name} constructed from? / Which material was needed for {name}?
    / Out of what did people make {name}? / Which substance forms the bulk of {name}? / What did the
    workers use for {name}? / What is {name} made out of?""",
    "members": """count / {it} has {value} {people}. / {value} {people} belong to {it}. / all in
    all, {it} counts {value} {people}. / there are {value} {people} on {its} list. / {its} {people}
    number {value}. / {its} {value} {people} are proud of it. / How many {people} does {name} have?
    / What is the number of {people} of {name}? / How many {people} are part of {name}? / With how
    many {people} can {name} reckon? / How large is the group of {people} of {name}? / How numerous
    are the {people} of {name}?""",
    "price": """price / {it} cost {value}. / a sum of {value} was spent on {it}. / {value} had to be
    found before {it} could be {made}. / the bill for {it} came to {value}. / donors gave {value}
    for {it}. / people paid {value} for {it}. / How expensive was {name}? / How much money was
    needed for {name}? / What was the price of {name}? / How high were the expenses for {name}? /
    What did {name} set people back? / How much did {name} cost?""",
    "emblem": """animal / {its} emblem is a {value}. / a {value} serves as {its} symbol. / {it} has
    a {value} on every sign. / {its} flag shows a {value}. / for {its} badge, a {value} was chosen.
    / {it} is represented by a {value}. / Which animal stands for {name}? / What creature is the
    mascot of {name}? / What animal do people associate with {name}? / What beast is in the logo of
    {name}? / By which animal can one recognise {name}? / Which animal symbolises {name}?""",
    "place": """town / {it} {stands} in {value}. / {value} is where {it} {stands}. / {it} is the
    pride of {value}. / whoever wants to see {it} must go to {value}. / {it} has its home in
    {value}. / {it} can be found in {value}. / Where is {name}? / In which town does one find
    {name}? / Where would a traveller look for {name}? / Which town does {name} belong to? / On the
    map, where is {name}? / What is the location of {name}?""",
    "birth": """year / {it} was born in {value}. / {it} came into the world in {value}. / {its} life
    began in {value}. / {its} birth certificate is dated {value}. / {value} was the year of {its}
    birth. / in {value} {it} first saw the light of day. / When was {name} born? / What is the year
    of birth of {name}? / How far back does the life of {name} go? / In which year did {name} start
    life? / When did the mother of {name} have her baby? / When did {name} enter the world?""",
    "home": """town / {it} lives in {value}. / {its} house is in {value}. / {it} moved to {value}
    long ago and stayed. / {its} home is {value}. / {it} never wants to leave {value} again. / {it}
    has settled in {value}. / Where does {name} live? / In which town does {name} reside? / What is
    the home town of {name}? / Where would a letter reach {name}? / Which town does {name} call
    home? / Where is {name} at home?""",
    "job": """job / {it} works as a {value}. / {it} earns a living as a {value}. / {it} is a
    {value}. / by trade {it} is a {value}. / {its} profession is that of a {value}. / {it} has
    always been a {value}. / What does {name} do for a living? / Which occupation does {name} have?
    / What is the job of {name}? / What work does {name} do? / In what line of business is {name}? /
    What is the profession of {name}?""",
    "pet": """animal / {it} keeps a {value}. / {it} shares a home with a {value}. / a {value} sleeps
    in {its} kitchen. / {its} pet is a {value}. / {it} takes a {value} along everywhere. / {it}
    looks after a tame {value}. / Which animal does {name} own? / What kind of pet does {name} have?
    / What creature lives with {name}? / Which animal accompanies {name}? / What animal does {name}
    feed every day? / Which animal belongs to {name}?""",
    "instrument": """instrument / {it} plays the {value}. / {it} practises the {value} every
    evening. / {it} learned the {value} as a child. / {its} favourite instrument is the {value}. /
    {it} is a good player of the {value}. / {it} gives lessons on the {value}. / Which instrument
    does {name} master? / What does {name} make music on? / What would {name} play in an orchestra?
    / On which instrument can one hear {name}? / What is the musical skill of {name}? / Which
    instrument does {name} play?""",
}
ATTRIBUTES = {name: _attribute(text) for name, text in KNOWLEDGE.items()}


class Kind(NamedTuple):
    """What stands in the sentences about things of a kind, and what there is to know of them."""

    named: str
    made: str
    lead: str
    part: str
    people: str
    stands: str
    known: str


KINDS_OF_THINGS = """
    the {word}, launched, captain, hull, sailors, is moored, BUILT length members
    the {word} Bridge, opened, caretaker, railing, -, stands, BUILT length
    the {word} Museum, founded, director, front door, guides, stands, BUILT members
    the {word} Choir, founded, conductor, banner, singers, is based, GROUP
    the {word} Lighthouse, built, keeper, lantern room, -, stands, BUILT
    Upper {word}, founded, mayor, town hall, inhabitants, -, year lead colour members emblem
    the {word} Company, founded, manager, logo, employees, is based, GROUP
    the {word} Expedition, planned, leader, -, members, -, maker lead members emblem price
    the {word} Theatre, opened, director, curtain, actors, stands, BUILT members
    the {word} Mill, built, miller, roof, -, stands, BUILT
    the {word} Pier, opened, caretaker, railing, -, stands, BUILT length
    the {word} School, founded, head teacher, gate, pupils, stands, GROUP material price
    the {word} Orchestra, founded, conductor, uniform, players, is based, GROUP
    the {word} Tunnel, dug, inspector, entrance, -, -, year maker lead colour price length
""".replace("BUILT", BUILT).replace("GROUP", GROUP)
KINDS = tuple(Kind(*words_of(line)) for line in listed(KINDS_OF_THINGS))
PEOPLE = (Kind("", "", "", "", "", "", "birth home job pet instrument"),) * 4  # as a share of KINDS


class Thing(NamedTuple):
    """One of those that a passage is about."""

    kind: Kind
    name: str
    it: str
    its: str


class Fact(NamedTuple):
    """What a sentence says."""

    thing: Thing
    attribute: str
    value: str


def _draw(wording: Wording, _: str) -> Text:
    long = wording.split is Split.TEST and wording.random.random() < LONG
    answered = wording.random.random() >= UNANSWERED
    while True:
        if text := _attempt(wording, long, answered):
            return text


def _attempt(wording: Wording, long: bool, answered: bool) -> Text | None:
    """A text, or nothing if the passage has a wrong length or the answer twice."""
    things = _things(wording, long)
    asked = wording.random.choice(things[0].kind.known.split())
    facts = [fact for thing in things for fact in _facts(wording, thing, things, asked, answered)]
    sentences = _sentences(wording, facts, long)
    passage = " ".join(sentences)
    if len(passage.split()) not in (LONG_WORDS if long else SHORT_WORDS):
        return None
    question = _filled(wording, ATTRIBUTES[asked].asked, things[0], name=things[0].name)
    answers = [fact.value.lower() for fact in facts if fact[:2] == (things[0], asked)]
    if len(sentences) < FEWEST or any(passage.lower().count(answer) > 1 for answer in answers):
        return None
    starts = [(passage.lower().index(answer), len(answer)) for answer in answers]
    spans = tuple((start, start + length, "answer") for start, length in starts)
    return Text(question, second=passage, spans=spans)


def _things(wording: Wording, long: bool) -> list[Thing]:
    chance = wording.random
    first = chance.choice(KINDS + PEOPLE)
    others = chance.randint(4, 6) if long else int(chance.random() < SEVERAL)
    kinds = [first if chance.random() < ALIKE else chance.choice(KINDS) for _ in range(others)]
    things = {thing.name: thing for thing in (_thing(wording, kind) for kind in (first, *kinds))}
    return list(things.values())


def _thing(wording: Wording, kind: Kind) -> Thing:
    if kind.named:
        return Thing(kind, kind.named.format(word=wording.choose(WORDS["word"])), "it", "its")
    name = _value(wording, "person")
    return Thing(kind, name, *(("she", "her") if name.split()[0] in WOMEN else ("he", "his")))


def _facts(
    wording: Wording, thing: Thing, things: list[Thing], asked: str, answered: bool
) -> list[Fact]:
    """Some of what there is to know; without an answer, the others have what is asked."""
    chance = wording.random
    rest = [name for name in thing.kind.known.split() if name != asked]
    fewest, most = {1: (2, 5), 2: (1, 2)}.get(len(things), (3, 5))
    told = chance.sample(rest, min(chance.randint(fewest, most), len(rest)))
    says = answered if thing is things[0] else not answered or chance.random() < ALIKE
    if says and asked in thing.kind.known.split():
        told.append(asked)
    return [Fact(thing, name, _value(wording, ATTRIBUTES[name].value)) for name in told]


def _value(wording: Wording, kind: str) -> str:
    person = wording.fill("{forename} {surname}")
    return person if kind == "person" else wording.choose(WORDS[kind])


def _sentences(wording: Wording, facts: list[Fact], long: bool) -> list[str]:
    """The facts in some order, with other sentences here and there."""
    chance = wording.random
    chance.shuffle(facts)
    if chance.random() < GROUPED:
        facts.sort(key=lambda fact: fact.thing.name)
    scenery = entries_of(wording.split, FILLERS)
    few = chance.random() < SCENERY and len(facts) < MOST
    count = chance.randint(2, len(scenery)) if long else int(few)
    items: list[Fact | str] = [*facts]
    for filler in chance.sample(scenery, count):
        items.insert(chance.randint(0, len(items)), filler)
    return [
        item if isinstance(item, str) else _sentence(wording, item, before)
        for before, item in pairwise(["", *items])
    ]


def _sentence(wording: Wording, fact: Fact, before: Fact | str) -> str:
    """A fact in words, with a pronoun only where the sentence before is about the same thing."""
    thing, chance = fact.thing, wording.random
    known = isinstance(before, Fact) and before.thing == thing and chance.random() < PRONOUN
    it, its = (thing.it, thing.its) if known else (thing.name, f"{thing.name}'s")
    told = ATTRIBUTES[fact.attribute].told
    if chance.random() < OPENED:
        told = tuple(f"{{opening}}, {sentence}" for sentence in told)
    return _filled(wording, told, thing, it=it, its=its, value=fact.value)


def _filled(wording: Wording, sentences: tuple[str, ...], thing: Thing, **given: str) -> str:
    slots = {name: str(word) for name, word in thing.kind._asdict().items()}
    return wording.fill(wording.choose(sentences), **slots, **given)


GRAMMAR = Grammar((), SIZES, _draw, WORDS, task=TextTask.SPANS)
SPEC = written_here("passages", "Questions, each about a passage", GRAMMAR)
