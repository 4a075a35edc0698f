"""Short stories that chance alone hardly ever tells, for `generated`: each is added to a whole history."""

from __future__ import annotations

import random
from dataclasses import replace

import msgspec

from harness.history.events import Receipt
from tests.checks.histories import PROVIDERS, Message, Run

ROUTES = tuple(PROVIDERS)
PHONE = "+12025550123"


def leaves_twice(run: Run, dice: random.Random) -> None:
    """Paused newsletters leave, to a phone too, come to nothing or not, and leave again about an approval."""
    at = dice.randrange(20) / 2
    run.operator("pause", at)
    run.operator("approve", at + 5)
    for _ in range(dice.randint(1, 3)):
        result = dice.choice(["accepted", "accepted", "accepted", "indeterminate", None, "refused"])
        message = run.message(max(0, at - dice.choice([0, 0, 1])), "marketing", result=result)
        for after in dice.sample([-0.5, 0.5, 1, 1.05, 3, 4.95, 5, 5.05, 7], dice.randint(1, 3)):
            whose = dice.choice([message, message, replace(message, recipient=PHONE)])
            via, left = dice.choice(ROUTES), max(0.5, at + after)
            run.copy(message, left, via, recipient=whose.recipient)
            if dice.randrange(2):
                run.provider_says(dice.choice(["dropped", "bounced"]), whose, left + 0.5, via)


def says_no(run: Run, dice: random.Random) -> None:
    """Somebody is refused for good by a route that may be held back, and written to about then."""
    at, via = dice.randrange(4, 40) / 2, dice.choice(ROUTES)
    if dice.randrange(2):
        run.fault(at - 1, at + 1, "latency", via, attributes={"latency": 200, "jitter": 50})
    messages = [run.message(at - 0.5, recipient="Bob@customer.example") for _ in range(3)]
    for message in dice.sample(messages, dice.choice([1, 1, 2])):
        run.receipt(message, at, via, "refused", took=0, code=550, text="5.1.1 no such user")
    for message in messages:
        begins = at + dice.randrange(12) / 20 + dice.choice([0, 0, 1e-9])
        result = dice.choice(["accepted", "refused", "deferred"])
        run.receipt(message, begins + 0.05, dice.choice(ROUTES), result, took=0.05)


def is_known_by_another_name(run: Run, dice: random.Random) -> None:
    """More is told of a message than the system knows of, and some of it is called what something else is."""
    for _ in range(dice.randint(1, 3)):
        message = run.message(dice.randrange(20) / 2, baseline=not dice.randrange(6))
        kinds = [["bounced"], ["deferred", "bounced"], ["bounced", "deferred", "delivered"]]
        for event in dice.choice(kinds):
            run.provider_says(
                event, dice.choice([message, message, message, replace(message, recipient=PHONE)]),
                message.at + dice.choice([1, 2, 3]), dice.choice(ROUTES),
                webhook=dice.choice(["none", "delivered", "late", "lost"]),
                canary=dice.choice([None, None, None, "system"]),
            )  # fmt: skip
        names = dice.choice([["deferred"], ["deferred"], ["bounced", "deferred"], ["delivered"], []])
        run.says(message, dice.choice(["sent", "bounced"]), message.at + dice.choice([2, 9]), names)


def suppresses(run: Run, dice: random.Random) -> None:
    """Somebody says a final no, and the system sends him nothing more, for that reason or before it."""
    on, who = dice.randrange(30) / 2, dice.choice(["gone@customer.example", "Gone@customer.example"])
    for number in range(dice.randint(2, 4)):
        message = run.message(
            on + dice.choice([0, 0, 0.5, 2]), dice.choice(["transactional", "transactional", "marketing"]),
            recipient=dice.choice([who, who.lower()]), expires=dice.choice([None, None, None, on + 4]),
            result=dice.choice(["accepted", "accepted", "accepted", "refused", None]),
        )  # fmt: skip
        if number == 0 or not dice.randrange(4):
            _is_told_no(run, dice, message)
        for _ in range(dice.choice([1, 1, 2, 2, 3])):
            state = dice.choice(["suppressed", "suppressed", "suppressed", "pending", "failed"])
            run.says(message, state, on + dice.choice([0, 0.5, 1, 1.5, 2, 2.5, 3, 25]))
        if not dice.randrange(5):
            run.copy(message, on + dice.choice([1, 3, 5]), dice.choice(ROUTES))


def _is_told_no(run: Run, dice: random.Random, message: Message) -> None:
    at, via = message.at + dice.choice([0, 0.5, 1, 1.5, 2]), dice.choice(ROUTES)
    if dice.randrange(2):
        text = dice.choice(["5.1.1 no such user", "5.1.1 no such user", "5.7.1 not allowed"])
        run.receipt(message, at, via, "refused", code=550, text=text, took=0)
        return
    event = dice.choice(["bounced", "complained"])
    run.provider_says(event, message, at, via, webhook=dice.choice(["delivered", "late", "lost"]))


def blurs(run: Run, dice: random.Random) -> None:
    """A record is missing, or some were read back."""
    via = dice.choice(ROUTES)
    if dice.randrange(2):
        run.loses_record(via)
        run.copy(run.message(20, dice.choice(["transactional", "marketing"])), 20.5, via)
        return
    for index, event in enumerate(run.events):
        if isinstance(event, Receipt) and event.route == via and not dice.randrange(4):
            run.events[index] = msgspec.structs.replace(event, observed="after")


STORIES = {leaves_twice: 4, says_no: 4, is_known_by_another_name: 4, suppresses: 4, blurs: 8}
"""Each in one history of so many."""
