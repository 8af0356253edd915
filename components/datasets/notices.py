"""Public notices and their one-sentence summaries, written by a grammar (summarisation).

Each list of sentences is shared out between the splits. The values in them (days, times, places)
stand in every split, so that the words of a summary are known; but what a notice is about and its
day, such as the chess club and Friday, belong together in one split only (`_home`).
"""

from __future__ import annotations

import zlib
from typing import NamedTuple

from components.datasets.base import Split, Text, TextTask
from components.datasets.wording import (
    CYCLE,
    KEPT,
    Grammar,
    Wording,
    listed,
    words_of,
    written_here,
)

SIZES = {Split.TRAIN: 2000, Split.VALIDATION: 300, Split.TEST: 400}

DAYS = words_of("Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday")
MORNINGS = words_of("7 am, 7.30 am, 8 am, 8.30 am, 9 am, 9.30 am, 10 am, 10.30 am")
EVENINGS = words_of("2 pm, 3 pm, 4 pm, 5 pm, 5.30 pm, 6 pm, 6.30 pm, 7 pm, 7.30 pm, 8 pm")
PEOPLE = words_of("Mrs Hill, Mr Jones, Dr Baker, Ms Wood, Mr Green, Mrs Field, Ms Stone, Dr Moss")
WORDS = {
    "place": words_of(
        """town hall, library, sports hall, museum, church hall, primary school, village inn,
        theatre, old mill, community centre, fire station, youth club"""
    ),
    "street": words_of(
        """Mill Lane, Station Road, Church Hill, High Street, Park Row, Oak Street, Garden Road,
        Bridge Street, Castle Lane, River Walk"""
    ),
    "colour": words_of("black, white, grey, brown, ginger, spotted"),
    "paint": words_of("red, blue, green, yellow, purple, black"),
    "pet_name": words_of("Minka, Rufus, Coco, Bella, Oskar, Luna, Pepper, Daisy, Bruno, Tilly"),
    "cause": words_of("roadworks, a street party, tree felling, a film shoot, flood damage"),
}
OPENINGS = listed(
    """
    Dear neighbours, please read this.
    Good morning to everybody.
    Welcome to this week's news from the parish.
    Dear readers, here is what you need to know.
    Hello to all of you.
    We greet all friends and members.
    A message for the whole neighbourhood.
    Dear residents, may we have your attention?
    Kind greetings from the council.
    To everyone who lives near here.
    Here is the latest information.
    This announcement concerns many households.
    """
)
CLOSINGS = listed(
    """
    Thank you for your patience.
    Questions are answered by {person}.
    Many thanks to all who help.
    {person} is looking forward to your call on {other}.
    Please tell your neighbours.
    We are grateful to {person} for the support.
    The office can be reached until {hour} on {other}.
    Please pass this on.
    With best wishes, {person}.
    {person} will gladly tell you more.
    Have a pleasant week.
    Apologies to anyone who heard of it too late.
    """
)
# What does not matter; {other} and {hour} are no facts of the notice.
ASIDES = listed(
    """
    The last newsletter came out on {other}.
    {person} raised the matter on {other}.
    The office itself is open until {hour}, as always.
    Much has been said about this since {other}.
    On {other} the council spoke about something else.
    Rumours to the contrary, spread on {other}, are false.
    As you know, {person} retired on {other}.
    The weather forecast for {other} is good.
    Our telephone is not answered after {hour}.
    A similar notice from {other} no longer counts.
    Coffee is served to visitors at {hour}.
    Notes handed in by {hour} appear in the next issue.
    """
)


class Kind(NamedTuple):
    """What a notice is about: values of {what}, the summary, and where its facts stand."""

    what: str
    summary: str
    first: str
    second: str


KINDS = (
    Kind(
        "chess club, choir, parents' group, garden society, youth council, book club",
        "The meeting of the {what} moves to {day} at {evening} in the {place}.",
        """
        The {what} has to move its meeting to the {place}.
        The usual room is taken, so the {what} will meet in the {place} this time.
        The next meeting of the {what} cannot be held as planned and moves to the {place}.
        For once the {what} invites its members to a meeting in the {place}.
        Because of repairs the meeting of the {what} takes place in the {place} instead.
        Members of the {what}, your meeting has been transferred to the {place}.
        """,
        """
        The meeting is now on {day} at {evening}, not on {wrong}.
        Instead of {wrong}, please come on {day} at {evening}.
        It was to be on {wrong}, but the new date is {day}, {evening}.
        The meeting starts at {evening} on {day}.
        Please cross out {wrong} and write down {day}, {evening}.
        Members will find the doors open on {day} from {evening}; {wrong} is off.
        """,
    ),
    Kind(
        "Mill Lane, Station Road, Church Hill, High Street, Park Row, Oak Street, Castle Lane",
        "{what} is closed to cars from {day} until {last} because of {cause}.",
        """
        Cars cannot pass through {what} because of {cause}.
        Expect {cause} in {what}, where no car can get through for now.
        Because of {cause} we have to close {what} to cars.
        Drivers have to avoid {what}; the reason is {cause}.
        {what} is about to be closed to all cars, owing to {cause}.
        On account of {cause}, no cars are allowed in {what}.
        """,
        """
        The barriers stand from {day} until {last}.
        This begins on {day} and ends on {last}.
        The closure starts on {day} and will be lifted on {last}.
        It lasts from {day} until {last}, not only until {wrong}.
        The diversion applies from {day} until {last}.
        Signs go up on {day} and come down again on {last}.
        """,
    ),
    Kind(
        "cat, dog, rabbit, parrot, tortoise, goat, ferret, pony",
        "A {colour} {what} called {pet_name} has been missing from {street} since {day}.",
        """
        We are looking for {pet_name}, a {colour} {what}.
        Our {colour} {what}, whose name is {pet_name}, has disappeared.
        Has anybody seen a {colour} {what} that answers to {pet_name}?
        {pet_name} has run away; {pet_name} is a {colour} {what}.
        The children are in tears over {pet_name}, their {colour} {what}.
        Somewhere out there a {colour} {what} by the name of {pet_name} is hiding.
        """,
        """
        Nobody in {street} has seen the animal since {day}.
        The animal left its home in {street} on {day}.
        It was on {day} that the animal vanished from {street}.
        We had the animal until {day}, when it slipped out of our house in {street}.
        Since {day} the bowl at the house in {street} has been full.
        The home in {street} has been empty of paws and noise since {day}.
        """,
    ),
    Kind(
        "brass band, jazz trio, string quartet, school orchestra, folk group, drum circle",
        "The {what} plays in the {place} on {day} at {evening}.",
        """
        There will be music in the {place}, played by the {what}.
        We are pleased that the {what} is coming to the {place}.
        The {what} has been practising for months and gives a concert in the {place}.
        A concert of the {what} awaits you in the {place}.
        Friends of music may look forward to the {what} in the {place}.
        The stage of the {place} will soon belong to the {what}.
        """,
        """
        The concert begins on {day} at {evening}.
        Be there on {day} at {evening}; the rehearsal on {wrong} is not public.
        The first piece is heard at {evening} on {day}.
        Tickets for {wrong} are sold out, but the concert on {day} at {evening} has seats left.
        The musicians begin to play on {day} at {evening}.
        Applause is welcome from {evening} on {day}.
        """,
    ),
    Kind(
        "new chairs, library books, first-aid kits, solar panels, blue bins, new computers",
        "The {what} for the {place} will arrive on {day} instead of {wrong}.",
        """
        The {place} is still waiting for the {what}.
        The {what} that the {place} ordered are late.
        There is a delay with the {what} for the {place}.
        The lorry with the {what} has not reached the {place}.
        The {place} will have to do without the {what} for a little longer.
        Sadly, the {place} has not got its {what} yet.
        """,
        """
        They were promised for {wrong} and are now expected on {day}.
        The delivery is now planned for {day}, no longer for {wrong}.
        Instead of {wrong}, the driver will come on {day}.
        The new date is {day}; on {wrong} nothing will be delivered.
        The supplier cannot keep to {wrong} and has named {day}.
        Whoever had noted {wrong} for unloading should be there on {day}.
        """,
    ),
    Kind(
        "water, electricity, heating, gas, internet",
        "There will be no {what} in {street} on {day} from {morning} to {evening}.",
        """
        Households in {street} will be cut off: there will be no {what} for some hours.
        The {what} in {street} has to be turned off.
        Engineers will work in {street}, which is why there is no {what} during that time.
        In {street} we must interrupt the {what} for repairs.
        People in {street} have to manage without {what} for part of a day.
        Homes in {street} will briefly lose their {what}.
        """,
        """
        This concerns {day} from {morning} to {evening}.
        The work is done on {day} between {morning} and {evening}.
        It begins on {day} at {morning} and is over at {evening}.
        Please be prepared on {day} from {morning} to {evening}; {wrong} is not affected.
        On {day} it goes off at {morning} and comes back at {evening}.
        Nothing will work from {morning} to {evening} on {day}.
        """,
    ),
    Kind(
        "post office, swimming pool, bakery, farm shop, dental surgery, recycling yard",
        "From {day} the {what} opens at {morning} instead of {early}.",
        """
        The {what} is about to change its opening time.
        There is something new at the {what}: other opening times.
        Customers of the {what} have to get used to another opening time.
        The {what} has decided to open at a different time.
        The doors of the {what} will be unlocked at another hour.
        Those who like to visit the {what} first thing should change their alarm clocks.
        """,
        """
        From {day} it opens at {morning}, no longer at {early}.
        Until now it opened at {early}; from {day} that will be {morning}.
        Instead of {early}, the opening time is {morning} from {day}.
        The old time was {early}, the new one is {morning}, starting on {day}.
        The change from {early} to {morning} takes effect on {day}.
        The day begins at {morning} there rather than at {early}, and this holds from {day}.
        """,
    ),
    Kind(
        "spelling contest, swimming gala, baking contest, quiz night, rowing race, chess cup",
        "{winner} won the {what} at the {place} on {day}.",
        """
        The {place} was full of people who watched the {what}.
        Many came to the {place} to see the {what}.
        The {place} was the scene of the {what}.
        The {what} at the {place} has been decided.
        The {what} brought a large crowd to the {place}.
        Seldom has the {place} been as noisy as during the {what}.
        """,
        """
        On {day} the first prize went to {winner}.
        {winner} came first on {day}, just before {loser}.
        The winner on {day} was {winner}; {loser} came second.
        {loser} led for a while, but {winner} won on {day}.
        {day} brought victory for {winner}.
        In the end nobody could beat {winner} on {day}, not even {loser}.
        """,
    ),
    Kind(
        "pottery, Spanish, first aid, photography, cooking, yoga, sewing, drawing",
        "A new course in {what} starts in the {place} on {day} at {evening}.",
        """
        The {place} offers a new course in {what}.
        Would you like to learn something about {what}? There is a new course in the {place}.
        {what} is the subject of a new course in the {place}.
        A course in {what} is being set up in the {place}.
        Beginners of any age can take a new course in {what}, to be held in the {place}.
        If you have always been curious about {what}, a course in the {place} is for you.
        """,
        """
        The course starts on {day} at {evening}.
        The first lesson is on {day} at {evening}.
        Lessons begin on {day} at {evening}, and not on {wrong} as printed.
        Put your name down before {wrong}; the start is on {day} at {evening}.
        It all begins on {day} at {evening}.
        The teacher welcomes learners for the first time at {evening} on {day}.
        """,
    ),
    Kind(
        "umbrella, wallet, scarf, bicycle helmet, school bag, watch, glove",
        "A {paint} {what} was found in the {place} on {day}.",
        """
        Somebody must be missing a {paint} {what}.
        The caretaker has been handed a {paint} {what}.
        A {paint} {what} is waiting for its owner.
        We are keeping a {paint} {what} that somebody has lost.
        Who has lost a {paint} {what}?
        Among the lost property there is a {paint} {what}.
        """,
        """
        It was found on {day} in the {place}.
        It lay in the {place} on {day}.
        A visitor to the {place} found it on {day}.
        On {day} it turned up in the {place}, where it had not been on {wrong}.
        It was left behind in the {place} on {day}.
        A cleaner picked it up in the {place} on {day}.
        """,
    ),
)


def _home(what: str, day: str) -> Split:
    """The only split that has notices about this on that day."""
    return KEPT.get(zlib.crc32(f"{what} {day}".encode()) % CYCLE, Split.TRAIN)


def _facts(wording: Wording, kind: Kind) -> dict[str, str]:
    """What is not in WORDS; days, times and people differ, so that only one of them is right."""
    chance = wording.random
    pairs = [(what, day) for what in words_of(kind.what) for day in DAYS]
    what, day = chance.choice([pair for pair in pairs if _home(*pair) is wording.split])
    last, wrong, other = chance.sample([one for one in DAYS if one != day], 3)
    morning, early = chance.sample(MORNINGS, 2)
    evening, hour = chance.sample(EVENINGS, 2)
    winner, loser, person = chance.sample(PEOPLE, 3)
    facts = {"what": what, "day": day, "last": last, "wrong": wrong, "other": other}
    facts |= {"morning": morning, "early": early, "evening": evening, "hour": hour}
    return facts | {"winner": winner, "loser": loser, "person": person}


def _draw(wording: Wording, label: str) -> Text:
    chance, kind = wording.random, wording.choose_any(KINDS)
    sentences = [wording.choose(listed(kind.first)), wording.choose(listed(kind.second))]
    # With an opening, what does not matter may stand before the facts, too.
    opening = chance.random() < 0.7
    place = 0 if opening and chance.random() < 0.5 else 2
    sentences.insert(place, wording.choose(ASIDES))
    if opening:
        sentences.insert(0, wording.choose(OPENINGS))
    if not opening or chance.random() < 0.6:
        sentences.append(wording.choose(CLOSINGS))
    # One call, so that a slot is the same in the notice and in the summary.
    both = wording.fill("\n".join([" ".join(sentences), kind.summary]), **_facts(wording, kind))
    text, summary = both.split("\n")
    return Text(text, second=summary[0].upper() + summary[1:])


SPEC = written_here(
    "notices",
    "Public notices and their summaries",
    Grammar((), SIZES, _draw, WORDS, frozenset(WORDS), TextTask.GENERATION),
)
