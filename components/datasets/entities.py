"""Short news and everyday notes with marked names, written by a grammar (entity recognition)."""

from __future__ import annotations

from components.datasets.base import Split, Text, TextTask
from components.datasets.wording import (
    Grammar,
    Wording,
    entries_of,
    listed,
    unmarked,
    words_of,
    written_here,
)

CLASSES = ("PER", "ORG", "LOC")
SIZES = {Split.TRAIN: 2000, Split.VALIDATION: 300, Split.TEST: 600}
MOST_ENTITIES = 4
FOLLOWED = 0.5  # the share of the texts that have a second sentence

# Names of both people and places. They stand first in two lists and are whole cycles of
# `entries_of`, so that a split that has one as a person has it as a place as well.
SURNAME_OR_TOWN = words_of(
    """Preston, Kendal, Lancaster, Whitby, Stafford, Bradford, Halifax, Chester, Hastings, Warwick,
    Hamilton, Bedford, Carlisle, Sutton, Burton, Wells, Wellington, Skipton"""
)
FORENAME_OR_TOWN = words_of("Florence, Adelaide, Savannah, Austin, Sydney, Charlotte")

# Some forenames are words as well (Grace, Mark, Rose), some surnames are trades (Baker, Mason).
FORENAMES = FORENAME_OR_TOWN + words_of(
    """Grace, Mark, Hope, Amina, Dawn, Will, Ifeoma, Jonas, Leila, Rajesh, May, Rose, Tomasz,
    Ingrid, Mei, Carlos, Nadia, Kwame, Olga, Henrik, Priya, Yusuf, Sakura, Dmitri, Aoife, Bruno,
    Chiara, Davide, Esther, Farid, Gwen, Hugo, Ines, Jun, Katarina, Lars, Miriam, Nikos, Oscar,
    Paloma, Quentin, Rosa, Stefan, Tariq, Ursula, Viktor, Wanda, Xenia, Yara, Zoltan, Anneke,
    Babak, Celia, Desta, Emeka, Freya, Goran, Hana, Ivo, Jelena"""
)
SURNAMES = SURNAME_OR_TOWN + words_of(
    """Baker, Mason, Cook, Fisher, Shepherd, Carpenter, Okafor, Lindqvist, Nakamura, Haddad,
    Kowalczyk, Moreau, Fernandes, Novak, Banerjee, Osei, Petrov, O'Leary, Yilmaz, Tanaka, Rossi,
    Hoffmann, Kaplan, Mwangi, Jansen, Papadakis, Vargas, Chowdhury, Eriksen, Horvat, Abebe,
    Castellano, Desai, Farouk, Gruber, Ibarra, Jovanovic, Kaur, Laurent, Mendoza, Nguyen,
    Oyelaran, Popescu, Quispe, Rahimi, Sorensen, Tamm, Ueda, Virtanen, Weber, Xu, Zielinski,
    Achterberg, Bergstrom"""
)
TOWNS = (
    SURNAME_OR_TOWN
    + FORENAME_OR_TOWN
    + words_of(
        """Nairobi, Lisbon, Krakow, Osaka, Leipzig, Bergen, Toulouse, Aberdeen, Lima, Hanoi, Tartu,
        Quito, Ghent, Izmir, Accra, Cork, Graz, Utrecht, Seville, Dakar, Riga, Pune, Swansea,
        Montevideo, Tampere, Bologna, Casablanca, Gdansk, Malmo, Porto, Tbilisi, Nantes, Plovdiv,
        Kampala, Cusco, Busan"""
    )
)
COUNTRIES = words_of(
    """Norway, Peru, Kenya, Ireland, Vietnam, Portugal, Ghana, Iceland, Chile, Estonia, Morocco,
    Bolivia, Nepal, Uruguay, Slovenia, Canada, Thailand, Zambia, Latvia, Ecuador, Mongolia, Croatia,
    Senegal, Finland"""
)
TEAMS = words_of(
    """[[ORG|{seat} Rovers]], [[ORG|{seat} United]], the [[ORG|{seat} Cricket Club]],
    [[ORG|{seat} Wanderers]], the [[ORG|{seat} Rowing Association]], [[ORG|{seat} Athletic]],
    [[ORG|{house} Park Rangers]], [[ORG|{seat} City]], [[ORG|Inter {seat}]], [[ORG|{seat} Town]],
    [[ORG|Real {seat}]], [[ORG|Dynamo {seat}]]"""
)
FIRMS = words_of(
    """[[ORG|{house} and Sons]], [[ORG|{plant} Foods]], [[ORG|{house} Brothers]], [[ORG|{letters}]],
    [[ORG|{house} & Daughters]], [[ORG|{house} Shipping]], [[ORG|{letters}]],
    [[ORG|{plant} Software]], the [[ORG|Bank of {seat}]], [[ORG|{house} Engineering]],
    the [[ORG|{seat} Herald]], [[ORG|{letters}]], [[ORG|Radio {seat}]], [[ORG|{house} Insurance]],
    [[ORG|{seat} Airport Services]], [[ORG|{letters}]], [[ORG|{house} Motors]],
    [[ORG|{plant} Airways]], [[ORG|{seat} Breweries]], the [[ORG|{seat} Tramways]],
    [[ORG|{letters}]], [[ORG|{house} Press]], [[ORG|{house} Textiles]],
    the [[ORG|{seat} Savings Bank]]"""
)
BODIES = words_of(
    """the [[ORG|{seat} Water Board]], the [[ORG|University of {seat}]],
    the [[ORG|{seat} Harbour Authority]], the [[ORG|{house} Foundation]],
    [[ORG|{seat} City Council]], the [[ORG|Society of Friends of {seat}]],
    the [[ORG|{seat} Chamber of Commerce]], the [[ORG|Ministry of Fisheries]],
    the [[ORG|{house} Institute]], the [[ORG|{seat} Folk Museum]], the [[ORG|{seat} Fire Brigade]],
    the [[ORG|National Union of Weavers]], the [[ORG|{house} Trust]],
    the [[ORG|League for Clean Rivers]], the [[ORG|Free School of {seat}]], [[ORG|{letters}]],
    the [[ORG|Farmers' Party]], the [[ORG|Royal {seat} Hospital]], the [[ORG|Board of Trade]],
    the [[ORG|{house} Clinic]], the [[ORG|Workers' Alliance]],
    the [[ORG|{seat} Philharmonic Orchestra]], the [[ORG|Ministry of Roads]],
    the [[ORG|Institute for Polar Weather]]"""
)
SITES = words_of(
    """[[LOC|{house} Street]], [[LOC|Lake {house}]], [[LOC|{house} Square]], [[LOC|{seat} Road]],
    the [[LOC|{house} Valley]], [[LOC|Mount {house}]], [[LOC|Cape {house}]], [[LOC|{house} Park]],
    [[LOC|{house} Bay]], the [[LOC|{seat} Canal]], [[LOC|{house} Island]], [[LOC|{house} Avenue]]"""
)
PERSON = words_of(
    """[[PER|{first} {last}]], [[PER|{first} {last}]], [[PER|{initial}. {last}]],
    {title} [[PER|{last}]]"""
)


def _second(entries: tuple[str, ...]) -> tuple[str, ...]:
    """The same entries with slots of their own, for another name in the same text."""
    for slot in ("first", "last", "initial", "title", "seat", "house", "plant", "letters"):
        entries = tuple(entry.replace(f"{{{slot}}}", f"{{{slot}_too}}") for entry in entries)
    return entries


_NAMES = {
    "first": FORENAMES,
    "last": SURNAMES,
    "initial": words_of("A, B, D, E, G, H, J, K, L, M, N, P, R, S, T, W"),
    "title": words_of("Doctor, Professor, Captain, Judge, Inspector, President, Mr, Mrs, Bishop"),
    "seat": TOWNS,
    "house": SURNAMES,
    "plant": words_of(
        """Larkspur, Juniper, Bramble, Foxglove, Sorrel, Hawthorn, Clover, Rowan, Yarrow, Thistle,
        Bluebell, Hazel"""
    ),
    "letters": words_of(
        """KVB, NLTU, OWP, GHR, TZK, BFLA, RDU, VEK, SNTO, HLB, PKW, UVT, ZRG, EKF, WOLA, JTV, MBR,
        DGLU"""
    ),
}
WEEKDAYS = words_of("Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday")
MONTHS = words_of("January, March, April, May, June, August, October, November")
FEASTS = words_of("Christmas, Easter, New Year, Midsummer, Whitsun")
WORDS = {
    **_NAMES,
    **{f"{slot}_too": entries for slot, entries in _NAMES.items()},
    "who": PERSON,
    "who2": _second(PERSON),
    "friend": ("[[PER|{first}]]",),
    "friend2": ("[[PER|{first_too}]]",),
    "surname": ("[[PER|{last}]]",),
    "place": ("[[LOC|{town}]]",),
    "place2": ("[[LOC|{town_too}]]",),
    "land": ("[[LOC|{country}]]",),
    "land2": ("[[LOC|{country_too}]]",),
    "org": FIRMS + BODIES,
    "org2": _second(FIRMS + BODIES),
    "firm": FIRMS,
    "firm2": _second(FIRMS),
    "body": BODIES,
    "team": TEAMS,
    "team2": _second(TEAMS),
    "site": SITES,
    "number": words_of("three, four, six, eight, nine, twelve, fifteen, forty, ninety"),
    "trade": words_of("baker, mason, cook, fisher, shepherd, carpenter, weaver, bishop, judge"),
}
SHARED = (
    "initial initial_too title title_too who who2 friend friend2 surname place place2 land land2 "
    "number trade"
)

TEMPLATES = listed(
    """
    {who} was elected mayor of {place} on {weekday}.
    voters in {place} rejected the plans of {body} in {month}.
    on {weekday} the parliament of {land} thanked {who} for many years of service.
    {body} has asked {who} to lead the talks with {land}.
    the government of {land} will not meet {who} before {feast}.
    at a meeting in {place}, {who} called for lower taxes.
    {team} beat {team2} by {number} goals in {place} on {weekday}.
    {who} scored twice for {team} in the final.
    the coach of {team}, {who}, is leaving at the end of {month}.
    after {number} defeats in a row {team} has dismissed {who}.
    {who} of {land} won the race ahead of {who2}.
    supporters of {team} sang until midnight when {who} scored against {team2}.
    {firm} is going to close its offices in {place} and {place2}.
    shares of {firm} fell sharply after {who} resigned.
    {firm} bought a part of {firm2} for {number} million.
    a spokeswoman for {org} denied that work in {place} would stop in {month}.
    {who} left {org} on {weekday} to join {org2}.
    nobody at {firm} would say why {who} had sold the factory in {land}.
    {friend} forgot an umbrella on the train to {place}.
    next {weekday} {friend} and {friend2} are moving to {place}.
    could somebody tell {friend} that the bus from {place} is late?
    last {month} {friend} walked all the way from {place} to {place2}.
    my neighbour {who} has never been to {land}.
    will {friend} bring the cake, or shall we ask {friend2}?
    the new play by {who} opens in {place} on {weekday}.
    {body} shows paintings by {who} and {who2} until {month}.
    critics in {place} praised the novel by {who}.
    {who} sang in {place} at {feast} for the first time.
    readers from {land} to {land2} admire the letters of {who}.
    {body} awarded its prize to {who}, a poet from {land}.
    heavy rain flooded {number} streets in {place} on {weekday}.
    a lorry overturned near {site}, but nobody was hurt.
    firefighters from {place} rescued {who} from a burning house near {site}.
    snow is expected in {land} and in the north of {land2} on {weekday}.
    the storm tore the roof off the main building of {org}.
    a fallen tree near {site} kept drivers from reaching {place} on {weekday}.
    Hope is fading among growers of apples after a cold May.
    the Doctor will see you on {weekday}, said the {trade}.
    Grace under pressure is rare, and every {trade} knows it.
    on {weekday} the {trade} closed early because of {feast}.
    Will it rain at {feast}, or may we hope for sunshine in {month}?
    Rose bushes and holly were all that the {trade} had left by {weekday}.
    {who} and {who2} met in {place} for talks about {land}.
    {org} sent {who} from {place} to {place2}.
    {who} of {org} flew to {land} with {who2} on {weekday}.
    {org} and {org2} agreed in {place} to help {land}.
    between {place} and {place2} the train with {who} and {who2} on board broke down.
    {place}, {weekday}: {who} opened the new school of {body}.
    {title} {surname} spoke for an hour, and the {trade} fell asleep.
    the {trade} told {who} about the night near {site}.
    in {month} the police arrested a {trade} called {who} in {place}.
    "We are ready," said {who}, the {trade} who became head of {org}.
    {who}, who was born in {place}, is a {trade} in {land} now.
    according to {who}, no {trade} in {place} can live on such wages.
    {org} says it will plant {number} oaks near {site}.
    {org} wants to build a tunnel under {site}.
    people in {place} have been waiting for an answer from {org} since {month}.
    {body} promised {place} a new ferry by {feast}.
    the bridge near {site} belongs to {org}, not to {org2}.
    until {month} nothing but buses run by {firm} may use {site}.
    {surname} and the others walked home along {site}.
    for {surname}, {place} was a disappointment.
    "{surname} was right," wrote {who2} from {place} in {month}.
    what {surname} saw in {land} can hardly be put into words.
    in {place} everybody called {surname} the King of {weekday}.
    neither {surname} nor {friend2} had heard of {place}.
    three cheers for {friend}, who passed the exam in {month}!
    Dear {friend}, the parcel from {land} came on {weekday}.
    {friend} says hello from {place} and will be back by {feast}.
    Thank you, {friend}, for the postcard from {site}.
    Happy birthday, {friend}, from all of us in {place}!
    please ask {friend} whether {org} is open on {weekday}.
    Prices rose again in {month}, and wages did not.
    every {weekday} the market is full of cooks, bakers and masons.
    Mayors, Judges and Bishops will walk in the procession at {feast}.
    Summer ended early, and by {month} the wells were dry.
    the Minister and the Captain shook hands on {weekday}.
    March winds bring April showers, as the {trade} used to say before {feast}.
    {land} beat {land2} in the first match on {weekday}.
    {land} has closed its border with {land2} until {month}.
    wheat from {land} is cheaper than wheat from {land2}.
    {who} is to be the ambassador of {land} in {place}.
    {number} hikers from {land} were found safe near {site}.
    on {weekday} a ship with wheat for {land} ran aground off {place}.
    """
)

# Sentences that can stand after any of them.
FOLLOWING = listed(
    """
    The matter will be discussed again on {weekday_too}.
    {surname} did not want to comment.
    Nobody was surprised.
    A report by {org2} will be published in {month_too}.
    {who2} called it a mistake.
    In {place2} the news was received with relief.
    It was the first time in {number} years.
    {who2} had warned of it in {month_too}.
    Further details are to follow at {feast_too}.
    {org2} confirmed this on {weekday_too}.
    The same thing happened in {place2} last {month_too}.
    {title_too} [[PER|{last_too}]] could not be reached.
    People in {land2} have heard such things before.
    The Judge, the Mayor and two cooks had lunch afterwards.
    Even {friend2} laughed about it.
    A few days earlier {org2} had said the opposite.
    Perhaps it was only the weather.
    On {weekday_too} most of the newspapers wrote about little else.
    {surname} was seen in {place2} on {weekday_too}.
    The story reminded {who2} of {land2}.
    Doctors, cooks and teachers agreed.
    Many blamed {org2}.
    It may be {month_too} before we know more.
    Both {who2} and {org2} have promised to look into it.
    """
)


def _draw(wording: Wording, _: str) -> Text:
    while True:
        template = wording.choose(TEMPLATES)
        if wording.random.random() < FOLLOWED:
            template += " " + wording.choose(FOLLOWING)
        text, spans = unmarked(wording.fill(template, **_pairs(wording)))
        names = {text[start:end] for start, end, _ in spans}
        if len(names) == len(spans) <= MOST_ENTITIES:
            return Text(text, spans=spans)


def _pairs(wording: Wording) -> dict[str, str]:
    """Two different ones for each slot of which a text may need two."""
    kept = {"first": FORENAMES, "last": SURNAMES, "town": TOWNS, "country": COUNTRIES}
    lists = {slot: entries_of(wording.split, entries) for slot, entries in kept.items()}
    lists |= {"weekday": list(WEEKDAYS), "month": list(MONTHS), "feast": list(FEASTS)}
    given = {}
    for slot, entries in lists.items():
        given[slot], given[f"{slot}_too"] = wording.random.sample(entries, 2)
    return given


SPEC = written_here(
    "entities",
    "Names of people, organisations and places",
    Grammar(CLASSES, SIZES, _draw, WORDS, frozenset(SHARED.split()), TextTask.TOKENS),
)
