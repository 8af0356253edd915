"""English sentences and their German translations, written by a synchronous grammar.

Every word occurs in training. What is unseen is how words are combined: an adjective with its noun
and a verb with its object belong to one split only (`_home`), and all such pairs of a sentence
belong to the split of the sentence. So a test sentence is right only if what was learnt about
gender, case, agreement and word order is applied to words that never stood together.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
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

SIZES = {Split.TRAIN: 8000, Split.VALIDATION: 300, Split.TEST: 500}

Pairs = tuple[tuple[str, str], ...]  # English and German
Forms = tuple[str, str, str]


class Noun(NamedTuple):
    """Gender "mw" is masculine with -(e)n in all cases but the first.

    The kind is p(erson), a(nimal), f(ood), c(lothes), r (to read), m(achine), d(oor or window),
    o (to open), t(hing) or h (house or ship); adjectives and verbs list the kinds that they suit.
    """

    english: str
    german: str
    plural: str
    gender: str
    kind: str


class Verb(NamedTuple):
    """`governs` is a preposition, if any, and a case; "dat acc": a receiver, then the object."""

    english: str
    past: str
    infinitive: str
    german: str
    german_past: str
    particle: str
    governs: str
    kinds: str


_NOUNS = """
man Mann Männer m p, woman Frau Frauen f p, child Kind Kinder n p, girl Mädchen Mädchen n p,
boy Junge Jungen mw p, teacher Lehrer Lehrer m p, doctor Arzt Ärzte m p,
neighbour Nachbar Nachbarn mw p, student Student Studenten mw p, farmer Bauer Bauern mw p,
baker Bäcker Bäcker m p, mother Mutter Mütter f p, father Vater Väter m p, aunt Tante Tanten f p,
uncle Onkel Onkel m p, sister Schwester Schwestern f p, queen Königin Königinnen f p,
guest Gast Gäste m p, dog Hund Hunde m a, cat Katze Katzen f a, horse Pferd Pferde n a,
bird Vogel Vögel m a, cow Kuh Kühe f a, mouse Maus Mäuse f a, goat Ziege Ziegen f a,
bear Bär Bären mw a, apple Apfel Äpfel m f, cake Kuchen Kuchen m f, egg Ei Eier n f,
soup Suppe Suppen f f, roll Brötchen Brötchen n f, pear Birne Birnen f f, sausage Wurst Würste f f,
biscuit Keks Kekse m f, coat Mantel Mäntel m c, shirt Hemd Hemden n c, dress Kleid Kleider n c,
jacket Jacke Jacken f c, hat Hut Hüte m c, scarf Schal Schals m c, book Buch Bücher n r,
letter Brief Briefe m r, poem Gedicht Gedichte n r, car Auto Autos n m,
bicycle Fahrrad Fahrräder n m, clock Uhr Uhren f m, lamp Lampe Lampen f m, door Tür Türen f d,
window Fenster Fenster n d, box Kiste Kisten f o, bag Tasche Taschen f o,
suitcase Koffer Koffer m o, chair Stuhl Stühle m t, table Tisch Tische m t, cup Tasse Tassen f t,
glass Glas Gläser n t, key Schlüssel Schlüssel m t, flower Blume Blumen f t, ball Ball Bälle m t,
picture Bild Bilder n t, house Haus Häuser n h, ship Schiff Schiffe n h"""
# English, stem for the German endings, kinds of nouns that it suits.
_ADJECTIVES = """
old alt pacrmdoth, young jung pa, small klein afcrmdoth, big groß afcmdoth, new neu crmdoth,
red rot cmdot, green grün cmdot, blue blau cmdot, yellow gelb cmdot, white weiß acmdoth,
black schwarz acmdot, beautiful schön pacrmdoth, expensive teur fcmoth, cheap billig fcmot,
heavy schwer rmoth, friendly freundlich pa, happy glücklich p, tired müd pa, hungry hungrig pa,
clever klug pa, famous berühmt prh, fresh frisch f, warm warm fc, delicious lecker f"""
_VERBS = """
buy bought kaufen kauft kaufte - acc afcmoth, sell sold verkaufen verkauft verkaufte - acc afcmoth,
see saw sehen sieht sah - acc pacmdoth, find found finden findet fand - acc pafcrot,
look_for looked_for suchen sucht suchte - acc pacrmot,
need needed brauchen braucht brauchte - acc crmot, love loved lieben liebt liebte - acc pafch,
draw drew zeichnen zeichnet zeichnete - acc pamth, eat ate essen isst aß - acc f,
write wrote schreiben schreibt schrieb - acc r, wash washed waschen wäscht wusch - acc ac,
carry carried tragen trägt trug - acc ot, wear wore tragen trägt trug - acc c,
repair repaired reparieren repariert reparierte - acc mdh, hear heard hören hört hörte - acc pa,
visit visited besuchen besucht besuchte - acc p, help helped helfen hilft half - dat pa,
thank thanked danken dankt dankte - dat p, follow followed folgen folgt folgte - dat pa,
open opened machen macht machte auf acc do, close closed machen macht machte zu acc do,
phone phoned rufen ruft rief an acc p, invite invited laden lädt lud ein acc p,
pick_up picked_up holen holt holte ab acc po, try_on tried_on probieren probiert probierte an acc c,
look_at looked_at sehen sieht sah an acc pacrmdoth,
throw_away threw_away werfen wirft warf weg acc fcrt,
play_with played_with spielen spielt spielte - mit_dat pa,
talk_to talked_to sprechen spricht sprach - mit_dat pa,
wait_for waited_for warten wartet wartete - auf_acc p,
think_of thought_of denken denkt dachte - an_acc pah, give gave geben gibt gab - dat_acc fcrot,
show showed zeigen zeigt zeigte - dat_acc acrmoth,
send sent schicken schickt schickte - dat_acc fcrot"""


def _rows(text: str) -> list[list[str]]:
    """Entries at commas, words at blanks; "_" is a blank within a word, "-" alone is nothing."""
    entries = (entry.split() for entry in words_of(text))
    return [[word.replace("_", " ").strip("-") for word in entry] for entry in entries]


def _pairs(text: str) -> Pairs:
    return tuple((english, german) for english, german in _rows(text))


NOUNS = tuple(Noun(*row) for row in _rows(_NOUNS))
PEOPLE = tuple(noun for noun in NOUNS if noun.kind == "p")
ADJECTIVES = tuple((english, stem, kinds) for english, stem, kinds in _rows(_ADJECTIVES))
VERBS = tuple(Verb(*row) for row in _rows(_VERBS))
IRREGULAR = dict(_pairs("man men, woman women, child children, mouse mice, scarf scarves"))
# With the base, with "he", in the past; German with "ich" or "er", in the plural, in the past.
MODALS: tuple[tuple[Forms, Forms], ...] = (
    (("want to", "wants to", "wanted to"), ("will", "wollen", "wollte")),
    (("can", "can", "could"), ("kann", "können", "konnte")),
    (("must", "must", "had to"), ("muss", "müssen", "musste")),
)
# What stands before a clause (present, past), asks or describes; a comma within one is "/".
_FRAMES = """
none: - -
now: every_day jeden_Tag, in_winter im_Winter, in_the_evening am_Abend, on_Sundays sonntags
once: yesterday gestern, last_week letzte_Woche, on_Monday am_Montag, a_year_ago vor_einem_Jahr
if: when_it_rains/ wenn_es_regnet/, if_it_is_cold/ wenn_es_kalt_ist/, as_it_is_late/ da_es_spät_ist/
as: because_it_was_cold/ weil_es_kalt_war/, although_it_rained/ obwohl_es_regnete/
as: when_I_was_young/ als_ich_jung_war/, before_it_was_dark/ bevor_es_dunkel_war/
that: I_know_that ich_weiß/_dass, we_believe_that wir_glauben/_dass, she_says_that sie_sagt/_dass
that: he_asks_whether er_fragt/_ob, I_do_not_know_why ich_weiß_nicht/_warum
that: they_laugh_because sie_lachen/_weil, she_is_sad_because sie_ist_traurig/_weil
place: in_the_garden im_Garten, in_the_town in_der_Stadt, in_the_village im_Dorf
place: at_the_market auf_dem_Markt, at_the_station am_Bahnhof, behind_the_church hinter_der_Kirche
not: not nicht
why: why warum, when wann, where wo, how_often wie_oft
often: often oft, always immer, never nie, rarely selten, sometimes manchmal"""
FRAMES: dict[str, Pairs] = {}
for _line in listed(_FRAMES):
    _name, _, _entries = _line.partition(": ")
    FRAMES[_name] = FRAMES.get(_name, ()) + _pairs(_entries)
# In the present, in the past; the order (`Clause.german`); the end; what the clause has.
SHAPES = _rows(
    """none none sfmc . -, none none sfmc . often, none none sfmc . modal, none none sfmc . not,
    none none sfmc ? who, now once fsmc . -, place place fsmc . modal, if as fsmc . -,
    that that smv . -, that that smv . modal, none none fsmc ? -, why why fsmc ? -"""
)

# Endings in the nominative, accusative and dative of masculine, feminine, neuter and plural.
DER, DIESER, EIN, NOTHING, WEAK, MIXED, STRONG = (
    line.replace("-", "").split(" ")
    for line in words_of(
        """er ie as ie en ie as ie em er em en, er e es e en e es e em er em en,
        - e - e en e - e em er em en, - - - - - - - - - - - -, e e e en en e e en en en en en,
        er e es en en e es en en en en en, er e es e en e es e em er em en"""
    )
)


class Determiner(NamedTuple):
    """What stands before a noun, its endings and those of an adjective after it."""

    english: str
    german: str
    endings: list[str]
    adjective: list[str]
    definite: bool = False


SINGULAR = (
    *(Determiner("the", "d", DER, WEAK, True), Determiner("a", "ein", EIN, MIXED)) * 2,
    Determiner("my", "mein", EIN, MIXED, True),
    Determiner("this", "dies", DIESER, WEAK, True),
)
NUMBERS = _pairs("two zwei, three drei, four vier, five fünf, six sechs, seven sieben, eight acht")
PLURAL = (
    *(SINGULAR[0], Determiner("", "", NOTHING, STRONG)) * 4,
    *(SINGULAR[4], Determiner("these", "dies", DIESER, WEAK, True)) * 2,
    *(Determiner(english, german, NOTHING, STRONG) for english, german in NUMBERS),
)
NEGATED = (Determiner("a", "kein", EIN, MIXED), Determiner("", "kein", EIN, MIXED))  # "not a"


class Phrase(NamedTuple):
    """A noun with what belongs to it; `person` is "ich", "er" or "sie" (plural)."""

    english: str
    german: str
    person: str = "er"
    definite: bool = True


PRONOUNS = _rows("I ich ich, I ich ich, he er er, she sie er, we wir sie, they sie sie")


def _home(*pair: str) -> Split:
    """The only split that has these two words together."""
    return KEPT.get(zlib.crc32(" ".join(pair).encode()) % CYCLE, Split.TRAIN)


def _with_s(word: str) -> str:
    """A plural, or a verb with "he"; only the first word of "look for" changes."""
    first, *rest = word.split()
    first = first[:-1] + "ie" if first in ("carry", "try") else first
    first += "es" if first.endswith(("s", "x", "ch", "sh")) else "s"
    return IRREGULAR.get(word, " ".join([first, *rest]))


def _joined(*parts: str) -> str:
    return " ".join(part for part in parts if part).replace("/", ",")


def _german(noun: Noun, case: str, plural: bool) -> str:
    if plural:
        return noun.plural + ("n" if case == "dat" and noun.plural[-1] not in "ns" else "")
    return noun.plural if "w" in noun.gender and case != "nom" else noun.german


def _adjective(wording: Wording, noun: Noun) -> tuple[str, str]:
    fitting = [(english, stem) for english, stem, kinds in ADJECTIVES if noun.kind in kinds]
    fitting = [pair for pair in fitting if _home(pair[0], noun.english) is wording.split]
    likely = 0.4 if noun.kind == "p" else 0.8
    return (
        wording.choose_any(fitting or [("", "")]) if wording.random.random() < likely else ("", "")
    )


def _phrase(wording: Wording, noun: Noun, case: str, negated: bool = False) -> Phrase:
    plural = wording.random.random() < 0.35
    before = wording.choose_any(PLURAL if plural else SINGULAR)
    if negated and not before.definite:
        before = NEGATED[plural]
    place = "nom acc dat".index(case) + (3 if plural else "mfn".index(noun.gender[0]))
    english, german = _adjective(wording, noun)
    german += before.adjective[place] if german else ""
    thing = _with_s(noun.english) if plural else noun.english
    return Phrase(
        _joined(before.english, english, thing),
        _joined(before.german + before.endings[place], german, _german(noun, case, plural)),
        "sie" if plural else "er",
        before.definite,
    )


@dataclass(frozen=True)
class Clause:
    """Who does what; `middle` is all between the German verb and what closes the clause."""

    subject: Phrase
    verb: Verb
    objects: str
    middle: str
    past: bool
    modal: tuple[Forms, Forms] | None
    adverb: str

    def english(self) -> str:
        """As a statement."""
        base, one = self.verb.english, self.subject.person == "er"
        if self.adverb == "not":
            return _joined(self.subject.english, self._do(), self.adverb, base, self.objects)
        forms = self.modal[0] if self.modal else (base, _with_s(base), self.verb.past)
        finite = _joined(forms[2 if self.past else one], base if self.modal else "")
        return _joined(self.subject.english, self.adverb, finite, self.objects)

    def asked(self) -> str:
        """As an English question."""
        return _joined(self._do(), self.subject.english, self.verb.english, self.objects)

    def _do(self) -> str:
        return "did" if self.past else "does" if self.subject.person == "er" else "do"

    def german(self, order: str) -> str:
        """Its parts in an order: s(ubject), f(inite), m(iddle), c(losing); v(erb) is both."""
        closing = self.verb.particle + (self.verb.infinitive if self.modal else "")
        parts = {"s": self.subject.german, "f": self._finite(), "m": self.middle, "c": closing}
        parts["v"] = closing + (" " if self.modal else "") + parts["f"]
        return _joined(*(parts[letter] for letter in order))

    def _finite(self) -> str:
        base, person = self.verb.infinitive, self.subject.person
        one, many, past = self.verb.german, base, self.verb.german_past
        if self.modal:
            one, many, past = self.modal[1]
        elif person == "ich":
            one = base[:-1]
        if self.past and person == "sie":
            return past + ("n" if past.endswith("e") else "en")
        return past if self.past else many if person == "sie" else one


def _object(wording: Wording, negated: bool) -> tuple[Verb, Noun]:
    while True:
        verb = wording.choose_any(VERBS)
        nouns = [noun for noun in NOUNS if noun.kind in verb.kinds]
        nouns = [noun for noun in nouns if _home(verb.english, noun.english) is wording.split]
        if nouns and not (negated and " " in verb.governs):
            return verb, wording.choose_any(nouns)


def _clause(wording: Wording, past: bool, extra: str) -> Clause:
    verb, noun = _object(wording, extra == "not")
    others = wording.random.sample([person for person in PEOPLE if person != noun], 2)
    *first, case = verb.governs.split()
    thing = _phrase(wording, noun, case, extra == "not")
    receiver = Phrase("", "")
    if first == ["dat"]:
        receiver, first = _phrase(wording, others[1], "dat"), []
    adverb, oft = wording.choose_any(FRAMES[extra if extra in FRAMES else "none"])
    oft = oft if extra != "not" or thing.definite else ""  # "kein" says it
    known = thing.definite and verb.governs == case  # then adverbs stand after it
    middle = (thing.german, oft) if known else (oft, *first, thing.german)
    objects, german = _joined(receiver.english, thing.english), _joined(receiver.german, *middle)
    modal = wording.choose_any(MODALS) if extra == "modal" else None
    subject = Phrase("who", "wer") if extra == "who" else _subject(wording, others[0], verb)
    return Clause(subject, verb, objects, german, past, modal, adverb)


def _subject(wording: Wording, noun: Noun, verb: Verb) -> Phrase:
    if wording.random.random() < 0.75:
        return _phrase(wording, noun, "nom")
    # Forms such as "aufmache" are too rare for training to have each of them.
    english, german, person = wording.choose_any(PRONOUNS[2:] if verb.particle else PRONOUNS)
    return Phrase(english, german, person)


def _draw(wording: Wording, label: str) -> Text:
    now, once, order, end, extra = wording.choose_any(SHAPES)
    past = wording.random.random() < 0.5
    before, davor = wording.choose_any(FRAMES[once if past else now])
    clause = _clause(wording, past, extra)
    asked = end == "?" and extra != "who"
    english = _joined(before, clause.asked() if asked else clause.english()) + end
    german = _joined(davor, clause.german(order)) + end
    return Text(wording.fill(english), second=german[0].upper() + german[1:])


UNSEEN = "pairs of adjective and noun and of verb and object: a sixth each; all words are known"
SPEC = written_here(
    "phrases",
    "English sentences and their German translations",
    Grammar((), SIZES, _draw, {}, task=TextTask.GENERATION, unseen=UNSEEN),
)
