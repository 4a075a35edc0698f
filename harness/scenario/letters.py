"""Mail that looks like mail: a subject and a body for each class, with the nonce that stands for the token.

Words, names and amounts come from the generator that is passed in. A body whose nonce line is missing at the
provider was changed on the way.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

_NAMES = (
    "Amara",
    "Benoît",
    "Chidi",
    "Dagny",
    "Emre",
    "Farah",
    "Grete",
    "Hiroshi",
    "Inés",
    "João",
    "Kalina",
    "Liam",
)
_GOODS = (
    ("Enamel kettle, 1.2 l", 4900),
    ("Wool blanket, grey", 8900),
    ("Oak cutting board", 3450),
    ("Linen napkins, set of 4", 2600),
    ("Reading lamp", 7420),
    ("Ceramic planter, large", 5575),
)
_TOPICS = (
    ("Five quiet corners for winter reading", "A lamp, a blanket, and nothing else to do."),
    ("The kettle is back", "It sold out in nine days. This time we made more."),
    ("What our potters do in November", "A visit to the kiln, with photographs."),
)
_NOTICES = (
    (
        "Your parcel is on its way",
        "It left our warehouse this morning and should reach you in two working days.",
    ),
    ("Your return has arrived", "We have received it; the amount is back on your card within three days."),
)


@dataclass(frozen=True)
class Letter:
    subject: str
    body: str


def nonce_line(token: str) -> str:
    """The line of a body by which its message is known."""
    return f"ref: hn-{token}-nh"


def write_letter(class_: str, token: str, random: Random) -> Letter:
    """A subject and a plain-text body, ending in the nonce line."""
    name = random.choice(_NAMES)
    if class_ == "transactional":
        subject, paragraphs = _receipt(random)
    elif class_ == "marketing":
        subject, paragraphs = _newsletter(random)
    else:
        subject, paragraph = random.choice(_NOTICES)
        paragraphs = [paragraph]
    parts = [f"Hello {name},", *paragraphs, "Kind regards\nHarbour & Hill", nonce_line(token)]
    return Letter(subject, "\n\n".join(parts) + "\n")


def _receipt(random: Random) -> tuple[str, list[str]]:
    order = f"HH-{random.randrange(100_000, 1_000_000)}"
    lines, total = [], 0
    for goods, cents in random.sample(_GOODS, random.randint(1, 3)):
        quantity = random.randint(1, 2)
        total += quantity * cents
        lines.append(f"{quantity} x {goods:<26}{_euros(quantity * cents):>10}")
    lines.append(f"{'Total':<30}{_euros(total):>10}")
    return f"Receipt for order {order}", [
        f"thank you for your order {order}. We have received your payment.",
        "\n".join(lines),
        "Keep this message: it is your proof of purchase.",
    ]


def _newsletter(random: Random) -> tuple[str, list[str]]:
    subject, opening = random.choice(_TOPICS)
    return subject, [
        opening,
        f"Until Sunday, {random.choice((10, 15, 20))} % off everything that keeps you warm.",
        "You get this letter because you asked for it. To stop it, answer with the word STOP.",
    ]


def _euros(cents: int) -> str:
    return f"{cents // 100},{cents % 100:02} EUR"
