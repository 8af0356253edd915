"""What customers of a shop ask for, by department; written by a grammar (intent detection)."""

from __future__ import annotations

from components.datasets.base import Split, Text
from components.datasets.wording import Grammar, Wording, listed, words_of, written_here

SIZES = {Split.TRAIN: 2000, Split.VALIDATION: 400, Split.TEST: 600}

NAMES = words_of(
    """Anna, Tom, Maria, Paul, J. Baker, Mr Jones, Lena, Chris, Eva, Sam, Mrs Hill, Peter, Lucy,
    Ben, Nora, Mark"""
)
WORDS = {
    "thing": words_of(
        """kettle, lamp, pair of shoes, armchair, toaster, printer, rain jacket, mattress, watch,
        vacuum cleaner, desk, microwave, pair of headphones, tent, keyboard, mirror, suitcase,
        bookshelf, mixer, carpet"""
    ),
    "hello": words_of(
        """Hello, Hi there, Good morning, Excuse me, Dear team, Good evening, Hey, Hi, Good day,
        Hello again, Dear Sir or Madam, To the shop, Dear all, Dear service, Hello everybody,
        A question"""
    ),
    "thanks": words_of(
        """Thank you, Thanks a lot, Kind regards, Many thanks, Please answer soon, Cheers,
        Thanks in advance, Best wishes"""
    ),
    "day": words_of(
        """yesterday, on Monday, last week, three days ago, on Friday, this morning, in March,
        a fortnight ago"""
    ),
    "street": words_of("Oak Street, Mill Lane, Station Road, Church Hill, High Street, Park Row"),
}

INTENTS = {
    "track_delivery": listed(
        """
        Where is my {thing}?
        When will the {thing} arrive that I ordered {day}?
        The {thing} should have been delivered {day}, but nothing has come.
        My parcel still has not turned up.
        Can you tell me where the parcel with the {thing} is now?
        How long does the delivery of the {thing} take?
        Has the {thing} been sent yet?
        I expected a shipment {day} and nobody came.
        I am still waiting for the {thing} I bought {day}.
        Please let me know when the courier will bring the {thing}.
        Is there a tracking number for the {thing}?
        Could you check how far the driver with my {thing} has got?
        """
    ),
    "return_item": listed(
        """
        I would like to return the {thing}.
        How can I send the {thing} back?
        The {thing} does not suit me. May I give it back?
        Which form do I fill in to send something back?
        I want to exchange the {thing} for another colour.
        Can I bring the {thing} back to a shop?
        The {thing} is too big, I will send it back.
        I have changed my mind about the {thing}; please take it back.
        How many days do I have to return a {thing}?
        I need a label to return the {thing} from {day}.
        Please swap the {thing} for a smaller one.
        My {thing} has to go back to you, what do I need to do?
        """
    ),
    "refund": listed(
        """
        When do I get my money back for the {thing}?
        You have not refunded the {thing} yet.
        I sent the {thing} back {day} and want my money.
        The amount for the {thing} has still not been paid back to me.
        Please refund the price of the {thing}.
        How long does a refund take?
        My account shows no refund for the {thing} from {day}.
        I am waiting for you to reimburse me for the {thing}.
        To which account will the money for the {thing} be paid back?
        I was promised a refund {day}.
        Where is the refund for my {thing}?
        Nothing has been credited to my card since I gave the {thing} back.
        """
    ),
    "cancel_order": listed(
        """
        Please cancel my order of {day}.
        I want to cancel the {thing} that I ordered {day}.
        Can I still cancel the {thing}?
        Do not send the {thing}, I no longer need it.
        I ordered two by mistake, please cancel one {thing}.
        Stop the order for the {thing}, please.
        I do not want the {thing} any more, can the order be cancelled?
        It is not too late to withdraw my purchase from {day}, is it?
        How do I cancel an order?
        Cancel everything that I ordered {day}.
        I ordered the wrong {thing}, please cancel it before it is sent.
        Could you call off the order for a {thing} that I placed {day}?
        """
    ),
    "change_address": listed(
        """
        I have moved, my new address is {street} 12.
        Please send the {thing} to my new address in {street}.
        How do I change my address?
        From now on I live in {street}, please note it.
        My address has changed since {day}.
        Can the {thing} be delivered to {street} instead?
        I typed the wrong street, it should be {street} 7.
        Would you correct where I live? The house number is 31, not 13.
        Please update my delivery address to {street}.
        The address on my account is an old one.
        I would like to have my post sent to {street} now.
        We are moving house next week. Please write down our new home, {street} 4.
        """
    ),
    "payment_problem": listed(
        """
        My credit card was refused when I tried to pay for the {thing}.
        I was charged twice for the {thing}.
        The payment for the {thing} does not go through.
        You took the price of the {thing} out of my account two times.
        Why can I not pay with my card?
        The checkout shows an error when I want to pay.
        I paid for the {thing} {day}, but it says unpaid.
        Your website does not accept my bank card.
        You have debited the wrong amount for the {thing}.
        The invoice for the {thing} is higher than the price.
        Paying by bank transfer fails every time.
        There is a charge on my statement that I do not recognise.
        """
    ),
    "broken_item": listed(
        """
        The {thing} is broken.
        My {thing} stopped working {day}.
        The {thing} arrived with a crack.
        A piece of the {thing} came off as soon as I touched it.
        The {thing} makes strange noises and smells of smoke.
        There is a part missing from the {thing}.
        The {thing} does not switch on.
        It is damaged: the {thing} has a big scratch.
        The {thing} fell apart after one day.
        I received a damaged {thing} {day}.
        The {thing} has a fault, can it be repaired?
        Out of the box the {thing} was defective.
        """
    ),
    "opening_hours": listed(
        """
        When do you open on Saturdays?
        Until what time is the shop in {street} open?
        Are you open on Sunday?
        May one still come by after eight in the evening?
        What are your opening hours?
        Is the shop closed on public holidays?
        At what time do you close today?
        How early does the branch in {street} start in the morning?
        Can I come to the shop in {street} on Sunday afternoon?
        Do you have longer hours before Christmas?
        Are you closed for lunch?
        Is somebody in the store in {street} at half past seven?
        """
    ),
}


def _draw(wording: Wording, label: str) -> Text:
    parts = [wording.choose(INTENTS[label])]
    if wording.random.random() < 0.6:
        parts.insert(0, "{hello}.")
    if wording.random.random() < 0.6:
        parts.append("{thanks}, {name}.")
    return Text(wording.fill(" ".join(parts), name=wording.choose_any(NAMES)), label)


SPEC = written_here(
    "requests",
    "Requests to a shop, by department",
    Grammar(tuple(INTENTS), SIZES, _draw, WORDS),
)
