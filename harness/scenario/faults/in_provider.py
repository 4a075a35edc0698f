"""Faults that the provider itself commits: what no proxy can do, since it only sees bytes.

Each kind and attribute has the same name as in a provider (harness.providers.faults, wire.ProviderFault);
whether the preset of a route can play it, and at which stage, is for the preset to say (playable.py asks).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from harness.checks.units import NS_PER_S, Rate
from harness.providers.wire import ProviderFault
from harness.scenario.faults.base import ActsIn, SomeSeconds, SomeWait
from harness.scenario.faults.selection import Selective
from harness.scenario.part import Count, Line, Name, wrong
from harness.scenario.targets import parts

Code = Annotated[int, Field(strict=True, ge=400, le=599)]
Quota = Annotated[int, Field(strict=True, ge=0, le=1_000_000)]


class _Answering(Selective):
    """A fault that may say what is answered."""

    code: Code | None = None
    """An SMTP or HTTP code."""
    text: Line | None = None
    """What stands behind the code."""
    named: Name | None = None
    """One of the provider's own answers, such as `server-busy`; `harness providers` lists them."""

    @model_validator(mode="after")
    def _one_answer(self) -> _Answering:
        if self.code is not None and self.named is not None:
            raise wrong("`code` and `named` are two answers; keep one", key="named")
        if self.text is not None and self.code is None:
            raise wrong("`text` goes with `code`; a named answer has its own", key="text")
        return self


class Refuse(_Answering):
    """The provider answers with an error: a code (and text), or one of its own by name."""

    acts_in = ActsIn.PROVIDER
    examples = (
        "{at: 5s, for: 4s, on: primary, fault: refuse, code: 451}",
        '{at: 5s, for: 4s, on: primary, fault: refuse, code: 451, text: "4.3.2 later", stage: rcpt}',
        "{at: 5s, for: 4s, on: primary, fault: refuse, named: server-busy, share: 50%}",
        "{at: 5s, for: 4s, on: backup, fault: refuse, code: 503, retry_after: 30s, stage: head}",
    )
    fault: Literal["refuse"]
    retry_after: SomeSeconds | None = None
    """How long the client is told to wait, where the protocol can say so."""
    stage: Name | None = None
    """Where in an attempt; by default where the named answer belongs, or MAIL FROM, or after the body."""

    @model_validator(mode="after")
    def _some_answer(self) -> Refuse:
        if self.code is None and self.named is None:
            raise wrong("`refuse` needs `code`, or `named` for one of the provider's own answers")
        return self


class AckLoss(_Answering):
    """The provider takes the message, and its answer never arrives; or an error is answered all the same."""

    acts_in = ActsIn.PROVIDER
    examples = (
        "{at: 5s, for: 4s, on: primary, fault: ack-loss}",
        "{at: 5s, for: 4s, on: backup, fault: ack-loss, stage: mid-reply, every: 3, count: 5}",
        "{at: 5s, for: 4s, on: backup, fault: ack-loss, code: 504}",
    )
    fault: Literal["ack-loss"]
    stage: Name | None = None
    """`ack` or `reply`: a reset in place of the answer. `mid-reply`: half of it, and the end."""


class SlowAck(Selective):
    """The provider takes the message, and answers late: perhaps when its client has given up."""

    acts_in = ActsIn.PROVIDER
    proved_within_ns = 4 * NS_PER_S  # its canary waits
    examples = (
        "{at: 5s, for: 9s, on: primary, fault: slow-ack, delay: 1500ms}",
        "{at: 5s, for: 9s, on: backup, fault: slow-ack, delay: 60s, share: 30%}",
    )
    fault: Literal["slow-ack"]
    delay: SomeWait
    """How late the answer comes."""


class Hang(Selective):
    """The provider says nothing more and takes nothing; the connection stays open until the client goes."""

    acts_in = ActsIn.PROVIDER
    proved_within_ns = 4 * NS_PER_S  # its canary waits
    examples = (
        "{at: 5s, for: 9s, on: primary, fault: hang}",
        "{at: 5s, for: 9s, on: backup, fault: hang, stage: head}",
    )
    fault: Literal["hang"]
    stage: Name | None = None
    """Where in an attempt."""


class Disconnect(Selective):
    """The provider resets the connection in place of an answer, and takes nothing."""

    acts_in = ActsIn.PROVIDER
    examples = (
        "{at: 5s, for: 4s, on: primary, fault: disconnect}",
        "{at: 5s, for: 4s, on: backup, fault: disconnect, stage: body, every: 2}",
    )
    fault: Literal["disconnect"]
    stage: Name | None = None
    """Where in an attempt."""


class SilentDrop(Selective):
    """The provider says that it took the message, throws it away, and tells nobody."""

    acts_in = ActsIn.PROVIDER
    examples = ("{at: 5s, for: 4s, on: primary, fault: silent-drop}",)
    fault: Literal["silent-drop"]


class Throttle(Selective):
    """The provider takes less than it usually does: so many a second, or so many more and then none."""

    acts_in = ActsIn.PROVIDER
    examples = (
        "{at: 5s, for: 9s, on: primary, fault: throttle, quota: 5}",
        "{at: 5s, for: 9s, on: backup, fault: throttle, rate: 2/s, burst: 4, retry_after: 3s}",
    )
    fault: Literal["throttle"]
    rate: Rate | None = None
    """How many a second; requests, and with SMTP messages."""
    burst: Count | None = None
    """How many at once, beside `rate`; by default those of a second."""
    quota: Quota | None = None
    """How many more, and then none until the fault is over."""
    retry_after: SomeSeconds | None = None
    """How long the client is told to wait, where the protocol can say so."""

    @model_validator(mode="after")
    def _one_limit(self) -> Throttle:
        if (self.rate is None) == (self.quota is None):
            raise wrong(
                "`throttle` needs `rate`, so many a second, or `quota`, so many more and then none",
                key="quota" if self.quota is not None else "",
            )
        if self.rate is not None and self.rate <= 0:
            raise wrong("must be above 0/s; `quota: 0` lets nothing through", key="rate")
        if self.burst is not None and self.rate is None:
            raise wrong("`burst` goes with `rate`", key="burst")
        return self


class Certificate(Selective):
    """The provider shows a certificate that is not right to whoever begins TLS."""

    acts_in = ActsIn.PROVIDER
    examples = ("{at: 5s, for: 4s, on: primary, fault: certificate, named: expired}",)
    fault: Literal["certificate"]
    named: Literal["expired", "wrong-name", "untrusted"]
    """What is wrong with it: its time is over, it is another host's, or nobody knows who made it."""


class KeyRotated(Selective):
    """The account's secret opens nothing any more; the one that follows it does."""

    acts_in = ActsIn.PROVIDER
    examples = ("{at: 5s, for: 5s, on: primary, fault: key-rotated}",)
    fault: Literal["key-rotated"]


class Bounce(Selective):
    """The provider takes the message, and it does not get there, as its events tell later."""

    acts_in = ActsIn.PROVIDER
    harms_route = False
    proved_within_ns = 2 * NS_PER_S  # it shows in what becomes of the canary
    examples = (
        "{at: 5s, for: 4s, on: backup, fault: bounce}",
        "{at: 5s, for: 4s, on: backup, fault: bounce, event: complained, nth: 3}",
        '{at: 5s, for: 4s, on: backup, fault: bounce, code: 452, text: "4.2.2 over quota", share: 20%}',
    )
    fault: Literal["bounce"]
    event: Literal["bounced", "complained", "dropped", "deferred"] = "bounced"
    """What becomes of it: returned, delivered and called spam, never tried, or delivered after a while."""
    code: Code | None = None
    """What the mailbox's server answered; 400 to 499 makes a bounce a soft one."""
    text: Line | None = None
    """What it said; of a drop, the reason."""


class EventsLost(Selective):
    """What became of a message is never told."""

    acts_in = ActsIn.PROVIDER
    harms_route = False
    proved_within_ns = 2 * NS_PER_S  # it shows in what becomes of the canary
    examples = ("{at: 5s, for: 4s, on: backup, fault: events-lost}",)
    fault: Literal["events-lost"]


class EventsLate(Selective):
    """What became of a message is told late."""

    acts_in = ActsIn.PROVIDER
    harms_route = False
    proved_within_ns = 2 * NS_PER_S  # it shows in what becomes of the canary
    examples = ("{at: 5s, for: 4s, on: backup, fault: events-late, delay: 10s}",)
    fault: Literal["events-late"]
    delay: SomeWait
    """How late."""


IN_SECONDS = {"delay": "delay_s", "retry_after": "retry_after_s"}
IN_PYTHON = {"class": "class_"}


def provider_fault(id_: str, kind: str, target: str, attributes: Mapping[str, Any]) -> ProviderFault:
    """What a provider is told of a fault; `attributes` are those of a timeline."""
    route, endpoint = parts(target)
    told = {
        IN_SECONDS.get(name, IN_PYTHON.get(name, name)): value / 1000 if name in IN_SECONDS else value
        for name, value in attributes.items()
    }
    return ProviderFault(id=id_, type=kind, route=route, endpoint=endpoint, **told)
