"""Histories by chance, in the language of `histories`: any mixture of mail, faults, signals and what
becomes of it.

`history(name, dice)` takes a `random.Random`, of a seed or of Hypothesis, which can then shrink what it
drew. Times lie on a coarse grid, so that equal timestamps and exact borders are common rather than rare.
Delays and errors are multiples of the same grid.
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import msgspec

from harness.history.events import ClockCalibrated, Receipt
from tests.checks.histories import PAGE, PROVIDERS, Message, Run
from tests.checks.stories import STORIES

ROUTES = tuple(PROVIDERS)
MS = 1_000_000

# type -> attributes, for a fault on a route
ON_ROUTES: dict[str, dict[str, Any]] = {
    "outage": {}, "latency": {"latency": 200, "jitter": 50}, "blackhole": {}, "reset": {}, "auth-failure": {},
    "bandwidth": {"rate": 40_000}, "slice": {"size": 4000, "delay": 50}, "cut": {"stream": "upstream"},
    "ack-loss": {}, "slow-ack": {"delay": 150}, "refuse": {}, "hang": {"stage": "head"},
    "disconnect": {"stage": "body"}, "bounce": {}, "events-lost": {}, "events-late": {}, "slow-close": {},
    "certificate": {}, "silent-drop": {},
}  # fmt: skip
BESIDE = ("outage", "latency", "auth-failure", "reset", "refuse")
OF_THE_SYSTEM = ("pause", "partition")
RESULTS = (
    "accepted", "accepted", "accepted", "accepted", "ack-lost", "deferred", "refused", "aborted", "repeated",
)  # fmt: skip
STATES = (
    "sending", "pending", "held", "held", "expired", "suppressed", "sent", "sent", "failed", "bounced",
    "parked",
)  # fmt: skip
NO_ADDRESS = ("+12025550123", "user-17")
TEXTS = ("", "5.1.1 no such user", "5.7.1 not allowed", "5.2.1 disabled", "5.1.10 unknown", "no such user")


def history(name: str, dice: random.Random) -> Run:
    run = Run(
        name,
        baseline=dice.choice([0, 3, 8, 20]),
        ends=dice.choice([40, 40, 32]),
        clock_error=dice.choice([0, 0, 0.05, 0.5]),
    )
    _baseline(run, dice)
    plain = not dice.randrange(4)  # nothing but a switch, which other incidents would cut short
    faults = [] if plain else [_fault(run, dice) for _ in range(dice.choice([0, 1, 1, 2, 3]))]
    for _ in range(1 if plain else dice.choice([0, 0, 0, 1, 1, 2])):
        faults.append(_leaves(run, dice))
    _life(run, dice)
    for _ in range(dice.randint(0, 3)):
        action = dice.choice(["resume", "approve", "pause", "pause", "switch"])
        run.operator(action, _time(dice), dice.choice([None, None, "marketing", "digest"]))
    if not dice.randrange(4):
        _pauses(run, dice)
    for story in (_waits, _comes_to_nothing, _goes_beside, _lacks_a_token):
        if not plain and not dice.randrange(3):
            faults.append(story(run, dice))
    messages = [_message(run, dice) for _ in range(dice.choice([0, 2, 4, 8, 12]))]
    if not dice.randrange(3):
        _replay(run, dice)
    if messages and not dice.randrange(3):
        messages.append(Message("unknown", "c.unknown@customer.example", 5))  # nobody submits it
    for message in messages:
        for _ in range(dice.choice([0, 1, 1, 1, 2, 3])):
            _attempt(run, dice, message, faults)
        for _ in range(dice.choice([0, 0, 0, 1, 2])):
            if message.token != "unknown":
                run.says(
                    message,
                    dice.choice(STATES),
                    dice.choice([_time(dice), 39]),
                    dice.choice([None, None, [], ["delivered"], ["bounced", "delivered"], ["deferred"]]),
                )
        for _ in range(dice.choice([0, 0, 0, 1, 2])):
            _event(run, dice, message)
    for signal in ("detected", "acknowledged", "paused"):
        if not dice.randrange(3):
            _signal(run, dice, signal)
    for _ in range(dice.choice([0, 0, 1])):
        run.calls(
            "token", _time(dice), dice.choice([200, 401, 503]), via=dice.choice(ROUTES),
            fault=dice.choice([None, *faults]), canary=dice.choice([None, None, "harness"]),
        )  # fmt: skip
    if plain and dice.randrange(2):
        _leaves_late(run, dice)
    for index, event in enumerate(run.events):
        if isinstance(event, Receipt) and not dice.randrange(8):  # as one whose answer was held back
            run.events[index] = msgspec.structs.replace(
                event, t_ns=event.t_ns + dice.choice([250, 1250]) * MS
            )
    if not dice.randrange(3):
        _announces(run, dice)
    for story, one_in in STORIES.items():
        if not dice.randrange(one_in):
            story(run, dice)
    return run


def _time(dice: random.Random) -> float:
    return dice.randrange(60) / 2


def _instant(dice: random.Random) -> float:
    return _time(dice) if dice.randrange(2) else dice.randrange(600) / 20


def _fault(run: Run, dice: random.Random) -> str:
    on = _time(dice)
    off = dice.choice([None, on + dice.randint(1, 20) / 2, on + dice.randint(1, 20) / 2])
    more: dict[str, Any] = {"takes": dice.choice([0, 0, 0.05]), "incident": dice.choice([None, None, "both"])}
    match dice.randrange(6):
        case 0:
            endpoint = dice.choice(["token", "events"])
            return run.fault(on, off, dice.choice(BESIDE), f"{dice.choice(ROUTES)}.{endpoint}", **more)
        case 1:
            return run.fault(on, off, dice.choice(OF_THE_SYSTEM), "system", **more)
    type_ = dice.choice(list(ON_ROUTES))
    return run.fault(on, off, type_, dice.choice(ROUTES), attributes=ON_ROUTES[type_], **more)


def _baseline(run: Run, dice: random.Random) -> None:
    """More of it: by the other route, or so late that it comes into the storm."""
    for _ in range(dice.choice([0, 0, 0, 1, 2, 8])):
        at = -dice.randint(1, 19) / 2
        message = run.message(at, within=1, baseline=True)
        run.copy(message, dice.choice([at + 0.1, at + 0.1, _time(dice)]), dice.choice(["backup", *ROUTES]))


def _leaves(run: Run, dice: random.Random) -> str:
    """Mail leaves a broken route, perhaps to come back, in stretches some of which are too short to tell."""
    broken = dice.choice(["primary", *ROUTES])
    other = next(route for route in ROUTES if route != broken)
    on, lasts = dice.randrange(20) / 2, dice.choice([1, 2, 3, 5, 20])
    fault = run.fault(
        on, on + lasts, dice.choice(["outage", "refuse", "latency", "auth-failure"]),
        broken, takes=dice.choice([0, 0.5]), incident=dice.choice([None, None, "both"]),
    )  # fmt: skip
    at = max(0, on + dice.choice([-1, -0.5, 0, 0.5, lasts]))
    for _ in range(dice.randint(1, 5)):
        via = dice.choice([other, other, broken])
        for _ in range(dice.choice([1, 2, 3, 4, 5, 10])):
            at += dice.choice([0, 0.25, 0.25])
            scheduled = max(0, at - dice.choice([0.25, 0.5, 2]))
            message = run.message(scheduled, dice.choice([*["transactional"] * 7, "marketing"]))
            run.copy(message, at, via, took=dice.choice([0, 0.05]))
    for _ in range(dice.choice([0, 1, 2])):
        message = run.message(at, dice.choice(["transactional", "transactional", "marketing"]))
        run.copy(
            message, max(at, on + lasts) + dice.choice([0, 0, 0.5]), dice.choice([broken, broken, other])
        )
    if not dice.randrange(2):
        noticed = on + dice.choice([-0.5, 0, 0.5, 1, 5, 6, 8])
        for signal in ("detected", "acknowledged"):
            route = dice.choice([None, other, broken, broken])
            run.reads(signal, False, max(0, noticed - 1), route)
            run.reads(signal, True, max(0.5, noticed), route, before=max(0, noticed - 0.5))
    return fault


def _leaves_late(run: Run, dice: random.Random) -> None:
    """Mail leaves a route only after its fault, at the instant at which some still takes it."""
    on = 18 + dice.randrange(4) / 2
    run.fault(on, on + 1, "refuse", "primary")
    at = on + dice.choice([1, 1.5])
    for via in ("primary", *["backup"] * 10, "primary")[: dice.choice([11, 12])]:
        message = run.message(at)
        run.copy(message, at, via)
        at += dice.choice([0, 0, 0.25])


def _pauses(run: Run, dice: random.Random) -> None:
    """Several that begin at one instant, and end by words or by what the system says."""
    at, until = dice.randrange(30) / 2, dice.choice([0, 1, 5])
    for _ in range(dice.choice([0, 1, 2])):
        run.operator("pause", at, dice.choice([None, None, "marketing", "digest"]))
    for signal, route in (("paused", None), *((s, r) for s in ("paused", "detected") for r in ROUTES)):
        if not dice.randrange(3):
            run.reads(signal, False, max(0, at - 1), route)
            run.reads(signal, True, at, route, before=max(0, at - dice.choice([0.5, 1])))
            if dice.randrange(2):
                run.reads(signal, False, at + until + 0.5, route, before=at + until)
    for _ in range(dice.choice([0, 0, 1, 2])):
        run.operator(
            dice.choice(["resume", "approve"]), at + until, dice.choice([None, "marketing", "digest"])
        )


def _waits(run: Run, dice: random.Random) -> str:
    """The mail of a broken route waits until it is back, or some of it does."""
    on, broken, lasts = dice.randrange(30) / 2, dice.choice(ROUTES), dice.choice([1, 2, 3])
    type_ = dice.choice(["outage", "blackhole", "cut", "certificate", "auth-failure", "refuse", "latency"])
    target = dice.choice([broken, broken, broken, f"{broken}.events"])
    fault = run.fault(on, on + lasts, type_, target, takes=dice.choice([0, 0.5]))
    for _ in range(dice.randint(1, 3)):
        scheduled = on + dice.choice([-0.5, 0, 0.5, lasts - 1, lasts - 1, lasts])
        message = run.message(scheduled, baseline=not dice.randrange(6))
        at = on + dice.choice([lasts, lasts, lasts + 0.5, lasts + 1, lasts + 1, 0.5])
        run.copy(message, max(at, message.at), dice.choice([broken, broken, broken, *ROUTES]))
    return fault


def _comes_to_nothing(run: Run, dice: random.Random) -> str:
    """What becomes of mail that was taken, or what is told of it, is broken for a while."""
    on, via, lasts = dice.randrange(30) / 2, dice.choice(ROUTES), dice.choice([1, 2, 3])
    type_ = dice.choice(["bounce", "bounce", "events-lost", "events-late", "events"])
    target = f"{via}.events" if type_ == "events" else via
    fault = run.fault(
        on, on + lasts, dice.choice(BESIDE) if type_ == "events" else type_, target,
        takes=dice.choice([0, 0.5]), attributes=dice.choice([{}, {"event": "complained"}]),
    )  # fmt: skip
    for _ in range(dice.randint(1, 3)):
        message = run.message(on + dice.choice([-1, -0.5, 0, 0.5, lasts]), baseline=not dice.randrange(6))
        at = message.at + dice.choice([0, 0.5])
        result = dice.choice(["accepted", "accepted", "accepted", "ack-lost", "refused"])
        whose = dice.choice([None, None, None, None, "system"])
        run.receipt(message, at, via, result, took=dice.choice([0, 0.05]), canary=whose)
        for _ in range(dice.choice([1, 1, 2])):
            event = dice.choice(["bounced", "bounced", "complained", "delivered"])
            webhook = dice.choice(["none", "delivered", "lost", "late"])
            told, delay = at + dice.choice([-0.5, 0, 0.5, 1, 2]), dice.choice([None, 0.5, 2])
            run.provider_says(event, message, max(0, told), via, webhook=webhook, delay=delay)
            if not dice.randrange(4):
                run.events[-1] = msgspec.structs.replace(run.events[-1], recipient=None)
    return fault


def _lacks_a_token(run: Run, dice: random.Random) -> str:
    """Nobody gets in at a route while an endpoint beside it is broken, or does with what he had."""
    on, via, lasts = dice.randrange(30) / 2, dice.choice(ROUTES), dice.choice([1, 2])
    fault = run.fault(on, on + lasts, dice.choice(BESIDE), f"{via}.token", takes=dice.choice([0, 0.5]))
    for _ in range(dice.randint(1, 3)):
        message = run.message(on + dice.choice([-0.5, 0, 0.5, lasts]), baseline=not dice.randrange(6))
        whose = dice.choice([None, None, None, "harness", "system"])
        at = on + dice.choice([-0.5, 0, 0.5, lasts, lasts + 0.5, lasts + 1])
        if dice.randrange(2):
            code = dice.choice([200, 399, 400, 401, 503])
            run.calls(
                dice.choice(["token", "token", "status"]), max(0, at), code,
                via=dice.choice([via, via, *ROUTES]), took=dice.choice([0, 0.05]),
                fault=dice.choice([None, None, fault]), canary=whose,
            )  # fmt: skip
        else:
            run.receipt(
                message, max(0, at), dice.choice([via, via, *ROUTES]),
                dice.choice(["refused", "refused", "deferred", "aborted"]), took=dice.choice([0, 0.05]),
                code=dice.choice([401, 403, 530, 535, 550]), canary=whose,
            )  # fmt: skip
    return fault


def _goes_beside(run: Run, dice: random.Random) -> str:
    """Messages go out as an SMS too, or instead; a provider gives some of them back."""
    on = dice.randrange(30) / 2
    for _ in range(dice.randint(1, 3)):
        message = run.message(on, dice.choice(["transactional", "marketing"]))
        if not dice.randrange(3):
            run.copy(message, on + 1)
        for _ in range(dice.randint(1, 3)):
            via, who = dice.choice(ROUTES), dice.choice(NO_ADDRESS)
            result = dice.choice(["accepted", "accepted", "ack-lost", "refused"])
            run.receipt(message, on + dice.choice([0.5, 1, 1, 2]), via, result, recipient=who)
            if not dice.randrange(3):
                whose = replace(message, recipient=who)
                run.provider_says(dice.choice(["bounced", "dropped"]), whose, on + 3, dice.choice(ROUTES))
    return run.fault(on, on + 2, dice.choice(["outage", "refuse"]), "primary")


def _announces(run: Run, dice: random.Random) -> None:
    """The system tells of it on its status page, and calls it over, at times that may be equal."""
    error_ns = max(event.error_ns for event in run.events if isinstance(event, ClockCalibrated))
    run.events.append(ClockCalibrated(t_ns=1, source=PAGE, when="end", offset_ns=0, error_ns=error_ns))
    for _ in range(dice.randint(1, 5)):
        run.announces(
            _time(dice), dice.choice([True, True, False, None]),
            via=dice.choice([PAGE, PAGE, PAGE, "backup"]), canary=dice.choice([None, None, None, "harness"]),
        )  # fmt: skip


def _life(run: Run, dice: random.Random) -> None:
    at = _time(dice)
    match dice.randrange(6):
        case 0:
            run.kill(at, at + 0.5)
        case 1:
            run.restart(at, at + 0.5, complies=bool(dice.randrange(2)))
        case 2:
            run.process(dice.choice(["stopped", "exited"]), at)


def _message(run: Run, dice: random.Random) -> Message:
    at = _time(dice)
    class_ = dice.choice(["transactional", "transactional", "marketing"])
    offered = dice.choice([at, at, at, at + 0.5, at + 3])
    message = run.message(
        at,
        class_,
        expires=dice.choice([None, None, None, at + 0.5, at + 5]),
        result=dice.choice(
            ["accepted", "accepted", "accepted", "accepted", "refused", "indeterminate", None]
        ),
        recipient=dice.choice([None, None, None, "Ann@customer.example", "ann@customer.example"]),
        offered=offered,
    )
    if class_ == "transactional" and not dice.randrange(5):
        run.offer_again(message, offered + 0.5, 2, dice.choice(["accepted", "refused"]))
    return message


def _replay(run: Run, dice: random.Random) -> None:
    """Something lets mail of both classes go that has waited, and more comes in."""
    at = _time(dice)
    run.operator(dice.choice(["resume", "approve", "switch"]), at)
    for _ in range(dice.randint(2, 10)):
        class_ = dice.choice(["transactional", "marketing", "marketing"])
        message = run.message(max(0, at + dice.choice([-5, -2, -1, -1, -0.5, 0, 0.5, 1])), class_)
        for _ in range(dice.choice([1, 1, 2])):
            begins = at + dice.choice([0, 0, 0.05, 0.25, 0.3, 0.35, 0.5, 1, 1.5, 2, 3])
            result = dice.choice(["accepted", "accepted", "accepted", "deferred"])
            run.receipt(message, begins + 0.05, dice.choice(ROUTES), result, took=0.05)


def _attempt(run: Run, dice: random.Random, message: Message, faults: list[str]) -> None:
    result, via = dice.choice(RESULTS), dice.choice(ROUTES)
    more: dict[str, Any] = {}
    if result == "deferred" and dice.randrange(2):
        more["retry_after_ns"] = dice.choice([500 * MS, 2000 * MS])
    if result in ("refused", "deferred"):
        more |= {"code": dice.choice([None, 535, 550, 554, 401, 403, 530]), "text": dice.choice(TEXTS)}
        more["endpoint"] = dice.choice(["smtp", "smtp", "api"])
    if faults and not dice.randrange(4):
        more["fault"] = dice.choice(faults)
    if not dice.randrange(10):
        more["canary"] = dice.choice(["system", "harness"])
    if not dice.randrange(8):
        more["carriers"] = dice.choice([[], ["recipient", "header"]])
    if not dice.randrange(4):
        more["body_bytes"] = dice.choice([0, 2000, 12_000])
    at = _instant(dice) if dice.randrange(2) else message.at + dice.choice([0.5, 1, 1, 1.5, 2, 5])
    if not dice.randrange(5):
        more |= {"recipient": dice.choice(NO_ADDRESS), "carriers": ["nonce"]}
    if not dice.randrange(4):
        more["sdk_retry"] = dice.choice(["call-1", "call-2"])
    receipt = run.receipt(message, at, via, result, took=dice.choice([0, 0, 0.05, 0.5]), **more)
    if not dice.randrange(6):
        run.closes(receipt.connection, at + dice.choice([0, 0.1, 0.15, 0.25, 0.35, 0.4]), via)


def _event(run: Run, dice: random.Random, message: Message) -> None:
    whose = message if dice.randrange(4) else replace(message, recipient=dice.choice(NO_ADDRESS))
    run.provider_says(
        dice.choice(["bounced", "dropped", "delivered", "deferred", "complained"]), whose, _time(dice),
        dice.choice(ROUTES),
        webhook=dice.choice(["none", "delivered", "late", "lost"]), delay=dice.choice([None, 0.5, 5]),
        canary=dice.choice([None, None, None, "system"]),
    )  # fmt: skip


def _signal(run: Run, dice: random.Random, signal: str) -> None:
    """Read at intervals, not always with an answer that makes sense."""
    route = dice.choice([None, *ROUTES])
    before: float | None = None
    for at in sorted({_time(dice) for _ in range(dice.randint(1, 6))}):
        value: Any = dice.choice([True, False, True, False, None, "down", "off", "", 0, 1, 2.5])
        run.reads(signal, value, at, route, before=before, error="nonsense" if value is None else None)
        before = dice.choice([at, at, None])


def in_order(run: Run) -> list[Any]:
    """As `opened` journals them."""
    return sorted(run.events, key=lambda event: int(event.t_ns))
