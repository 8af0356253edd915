"""Sentences and what they are about, for topics that training never saw (topics)."""

from __future__ import annotations

from typing import NamedTuple

from components.datasets.base import Split, Text
from components.datasets.wording import (
    Grammar,
    Wording,
    entries_of,
    listed,
    words_of,
    written_here,
)

CLASSES = ("contradiction", "entailment")
SIZES = {Split.TRAIN: 1500, Split.VALIDATION: 300, Split.TEST: 400}
NOUNS_NEEDED = 3  # the most that a template has slots for
HYPOTHESES = ("This example is {topic}.", "This example is about {topic}.")


class Topic(NamedTuple):
    """What a sentence may be about, and nouns that point to it and to no other topic."""

    name: str
    nouns: tuple[str, ...]


def _topic(entry: str) -> Topic:
    name, nouns = entry.split(":")
    return Topic(name.strip(), words_of(nouns))


# Every noun is singular and countable, because it may follow "a". The order decides the split.
LINES = """
    gardening: flower bed, lawnmower, watering can, hedge, compost heap, rose bush, wheelbarrow,
        rake, flowerpot, trowel, greenhouse, tulip bulb;
    the weather: thunderstorm, rain shower, rainbow, hailstone, heatwave, blizzard, hurricane,
        barometer, breeze, cold front, drizzle, snowflake;
    air travel: runway, pilot, boarding card, departure gate, cockpit, stewardess, jet,
        control tower, window seat, stopover, landing strip, baggage carousel;
    law: judge, attorney, courtroom, jury, verdict, solicitor, barrister, appeal, plaintiff,
        defendant, subpoena, clause;
    fashion: catwalk, handbag, designer dress, top model, high heel, blouse, evening gown,
        boutique, silk tie, miniskirt, necklace, trench coat;
    music: violin, piano, melody, orchestra, choir, trumpet, drummer, symphony, guitar, flute,
        concert, cello;
    farming: tractor, barn, harvest, dairy cow, plough, cornfield, pigsty, haystack,
        combine harvester, henhouse, milking machine, sheepdog;
    religion: church, prayer, priest, temple, mosque, altar, monk, bishop, pilgrim, rabbi, sermon,
        chapel;
    painting: easel, canvas, palette, portrait, watercolour, still life, fresco, brushstroke,
        self-portrait, landscape in oils, gallery, pigment;
    banking: savings account, loan, mortgage, interest rate, cash machine, cheque, overdraft,
        credit card, vault, deposit, teller, direct debit;
    swimming: pool, diving board, bathing suit, breaststroke, lifeguard, front crawl, snorkel,
        backstroke, water slide, bathing cap, armband, paddling pool;
    cooking: recipe, saucepan, frying pan, stew, chef, sauce, oven, casserole, rolling pin,
        soup ladle, wooden spoon, pot roast;
    fishing: angler, trout, perch, bait box, pike, landing net, carp, minnow, salmon,
        fly rod, trawler, keepnet;
    photography: camera, tripod, lens, flashgun, darkroom, snapshot, shutter, viewfinder, negative,
        self-timer, wide-angle shot, exposure meter;
    tennis: racket, backhand, forehand, double fault, match point, tie-break, second serve,
        ball boy, centre court, line judge, grass court, drop shot;
    politics: minister, parliament, election, senator, ballot paper, coalition, prime minister,
        polling station, mayor, member of parliament, candidate, referendum;
    woodwork: chisel, carpenter, sawmill, lathe, workbench, plank, dovetail joint, mallet, fretsaw,
        joiner, spokeshave, sander;
    medicine: doctor, nurse, hospital, syringe, vaccine, stethoscope, surgeon, diagnosis, patient,
        ambulance, prescription, blood test;
    sailing: yacht, mast, rudder, anchor, skipper, keel, regatta, spinnaker, dinghy, jib, marina,
        lighthouse;
    card games: joker, ace of spades, poker face, trump, bridge partner, queen of hearts,
        royal flush, full house, jack of diamonds, dealer, rummy evening, king of clubs;
    camping: tent, sleeping bag, gas stove, rucksack, airbed, guy rope, campfire, groundsheet,
        billycan, caravan, folding chair, hammock;
    school: teacher, blackboard, classroom, pupil, headmistress, satchel, exercise book, timetable,
        playground, spelling test, lesson, pencil case;
    theatre: actor, stage, curtain call, dress rehearsal, prompter, tragedy, playwright, first act,
        monologue, spotlight, understudy, standing ovation;
    astronomy: telescope, planet, comet, galaxy, star chart, black hole, observatory, asteroid,
        constellation, lunar eclipse, supernova, red dwarf;
    cycling: bicycle, pedal, handlebar, saddle, mountain bike, puncture, inner tube, spoke,
        tandem, bottom bracket, crash helmet, pannier;
    insects: bee, wasp, ant, beetle, butterfly, mosquito, dragonfly, grasshopper, ladybird,
        moth, cockroach, earwig;
    railways: locomotive, platform, signal box, ticket inspector, sleeping car, buffet car,
        level crossing, commuter train, buffer stop, dining car, siding, express train;
    the army: soldier, general, tank, rifle, parade ground, sergeant, battlefield, grenade,
        regiment, recruit, trench, colonel;
    housework: vacuum cleaner, mop, ironing board, dustpan, washing machine, dustbin, duster,
        clothes line, scrubbing brush, dishcloth, laundry basket, broom;
    computers: keyboard, hard disk, laptop, processor, programmer, mouse pad, software update,
        password, memory chip, motherboard, web browser, database;
    weddings: bride, bridegroom, bridal veil, best man, bridesmaid, honeymoon, engagement ring,
        marriage vow, bridal bouquet, confetti cannon, three-tier cake, registry office;
    winter sports: ski lift, sledge, toboggan, ice rink, snowboard, bobsleigh, slalom, ski jump,
        figure skater, puck, downhill run, ice skate;
    sewing: needle, thimble, zip, seam, tape measure, safety pin, pincushion, hem, buttonhole,
        dressmaker, cross-stitch, bobbin;
    dancing: waltz, tango, ballerina, ballroom, foxtrot, pirouette, tutu, samba, rumba, polka,
        choreographer, discotheque;
    motoring: motorway, car park, steering wheel, petrol station, gearbox, clutch, exhaust pipe,
        windscreen, traffic jam, driving licence, estate car, mechanic;
    football: goalkeeper, penalty kick, referee, striker, corner kick, offside trap, midfielder,
        goalpost, header, free kick, red card, throw-in
"""
TOPICS = tuple(_topic(entry) for entry in LINES.split(";"))

# They say nothing about the topic and suit persons, things and events alike.
TEMPLATES = listed(
    """
    All evening they talked about the {a} and the {b}.
    He still remembers the {a}.
    She told us about a {a}, a {b} and a {c}.
    We were asked what a {a} is.
    First somebody mentioned a {a}, then a {b}.
    The {a} was even more famous than the {b} or the {c}.
    Nobody here has ever seen such a {a}.
    My brother knows the difference between a {a} and a {b}.
    There was a {a} as well as a {b}.
    Last night I dreamt of a {a}.
    They could not agree about the {a}, the {b} and the {c}.
    What would you say about the {a} and the {b}?
    Without a {a} and a {b} it would not be the same.
    The children wanted to know everything about the {a}.
    Two things came to mind: a {a} and a {b}.
    It all began with a {a} and ended with a {b}.
    I had to explain the words "{a}", "{b}" and "{c}".
    A {a}, a {b} and a {c} were all that he could think of.
    She never forgot the {a} and the {b}.
    On the list there were a {a}, a {b} and a {c}.
    The {a} surprised us less than the {b}.
    Yesterday it was about a {a}.
    Is there really no {a}?
    Our neighbour is always going on about the {a} or the {b}.
    Why does everyone care so much about the {a}?
    Next to the {a} you could notice a {b}.
    He had expected a {a}, but not a {b}.
    They say that this was the very first {a}.
    I would rather hear about the {a} than about the {b}.
    Someone asked me whether I had ever heard of a {a}, a {b} or a {c}.
    Between the {a} and the {b} there is a connection.
    You have probably wondered about the {a} before.
    We have a {a} and perhaps a {b}.
    He described a {a}, then another {a}, and at last a {b}.
    What she liked best was the {a}.
    The {a} and the {b} are what this is all about.
    """
)


def sentence(wording: Wording, topic: Topic) -> str:
    """A sentence that names one, two or three of the topic's nouns."""
    nouns = wording.random.sample(topic.nouns, NOUNS_NEEDED)
    return wording.fill(wording.choose(TEMPLATES), **dict(zip("abc", nouns, strict=True)))


def _draw(wording: Wording, label: str) -> Text:
    topic = claimed = wording.choose(TOPICS)
    if label == "contradiction":
        others = [other for other in entries_of(wording.split, TOPICS) if other != topic]
        claimed = wording.random.choice(others)
    hypothesis = wording.choose_any(HYPOTHESES)
    return Text(sentence(wording, topic), label, wording.fill(hypothesis, topic=claimed.name))


SPEC = written_here(
    "topics",
    "Sentences and what they are about",
    Grammar(
        CLASSES,
        SIZES,
        _draw,
        {},
        unseen="a sixth of the topics and templates, which only the validation split has, and "
        "another sixth, which only the test split has",
    ),
)
