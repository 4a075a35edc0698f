"""Faults of the way to a provider, put in place at its proxy: toxics, the proxy switched off, or turned.

Toxiproxy takes a rate, a size or a limit of 0 and below, and means something else by it: a blackhole, a
crash, a connection that ends at once. Such numbers are refused here.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, model_validator

from harness.scenario.bytes import ByteRate, Size, format_byte_rate, format_size
from harness.scenario.faults.base import (
    ActsIn,
    LastingFault,
    SomeMoment,
    UpToAMinute,
    in_ms,
)
from harness.scenario.part import wrong

Stream = Literal["downstream", "upstream"]

FASTEST_PER_S = 50_000
"""Bytes a second: what passes faster could not be told from an open line by a canary of some kilobytes."""
SLOWEST_PER_S = 1_000
"""Toxiproxy counts whole kilobytes a second."""
LARGEST_CUT = 16_000
"""Bytes: more than a canary's one request, with a header that most servers still take."""


def _in_kilobytes(per_second: int) -> int:
    if not SLOWEST_PER_S <= per_second <= FASTEST_PER_S or per_second % 1000:
        raise ValueError(
            f"must be whole kilobytes a second, {format_byte_rate(SLOWEST_PER_S)} to "
            f"{format_byte_rate(FASTEST_PER_S)}"
        )
    return per_second


def _sliceable(size: int) -> int:
    if not 4 <= size <= LARGEST_CUT:
        raise ValueError(f"must be 4B to {format_size(LARGEST_CUT)}")
    return size


def _cuttable(size: int) -> int:
    if not 1 <= size <= LARGEST_CUT:
        raise ValueError(f"must be 1B to {format_size(LARGEST_CUT)}")
    return size


class Outage(LastingFault):
    """Connections are refused, and the open ones are cut."""

    acts_in = ActsIn.PROXY
    masks = True
    examples = ("{at: 5s, for: 5s, on: primary, fault: outage}",)
    fault: Literal["outage"]


class Blackhole(LastingFault):
    """Connections are taken and nothing ever comes through."""

    acts_in = ActsIn.PROXY
    masks = True
    examples = ("{at: 5s, for: 5s, on: primary, fault: blackhole}",)
    fault: Literal["blackhole"]


class Latency(LastingFault):
    """Everything comes late, each chunk anew: an SMTP session of six round trips is six times as late."""

    acts_in = ActsIn.PROXY
    examples = (
        "{at: 5s, for: 4s, on: primary, fault: latency, latency: 400ms}",
        "{at: 5s, for: 4s, on: backup, fault: latency, latency: 400ms, jitter: 100ms, stream: upstream}",
    )
    fault: Literal["latency"]
    latency: SomeMoment
    """How late, for example `400ms`."""
    jitter: UpToAMinute = 0
    """Give or take this much, for example `100ms`."""
    stream: Stream = "downstream"
    """The provider's answers (`downstream`), or what is sent to it (`upstream`)."""

    @model_validator(mode="after")
    def _never_early(self) -> Latency:
        if self.jitter > self.latency:
            raise wrong(
                "`jitter` is larger than `latency`, and nothing can come before it was sent", key="jitter"
            )
        return self

    def attributes(self) -> dict[str, Any]:
        return {"latency": in_ms(self.latency), "jitter": in_ms(self.jitter), "stream": self.stream}


class Bandwidth(LastingFault):
    """Each connection carries so many bytes a second and no more: what is large takes long."""

    acts_in = ActsIn.PROXY
    examples = (
        "{at: 5s, for: 6s, on: primary, fault: bandwidth, rate: 4kB/s}",
        "{at: 5s, for: 6s, on: backup, fault: bandwidth, rate: 1kB/s, stream: downstream}",
    )
    fault: Literal["bandwidth"]
    rate: Annotated[ByteRate, AfterValidator(_in_kilobytes)]
    """How much, in whole kilobytes a second, `1kB/s` to `50kB/s`."""
    stream: Stream = "upstream"
    """What is sent to the provider (`upstream`), or its answers (`downstream`)."""

    def attributes(self) -> dict[str, Any]:
        return {"rate": self.rate, "stream": self.stream}


class Slice(LastingFault):
    """What is sent arrives in small pieces, with a wait after each: readers of whole lines meet half ones."""

    acts_in = ActsIn.PROXY
    examples = (
        "{at: 5s, for: 6s, on: primary, fault: slice, size: 20B, delay: 5ms}",
        "{at: 5s, for: 6s, on: backup, fault: slice, size: 16B, delay: 10ms, stream: downstream}",
    )
    fault: Literal["slice"]
    size: Annotated[Size, AfterValidator(_sliceable)]
    """The largest piece, `4B` to `16kB`."""
    delay: SomeMoment
    """How long the next piece waits."""
    stream: Stream = "upstream"
    """What is sent to the provider (`upstream`), or its answers (`downstream`)."""

    @model_validator(mode="after")
    def _can_be_told(self) -> Slice:
        per_second = self.size * 1000 // in_ms(self.delay)
        if not SLOWEST_PER_S <= per_second <= FASTEST_PER_S:
            raise wrong(
                f"{format_size(self.size)} per {in_ms(self.delay)} ms are {format_byte_rate(per_second)}; "
                "below 1kB/s or above 50kB/s the line could not be told from a dead or an open one",
                key="delay",
                advice="Make the pieces smaller or the wait longer, or the other way round.",
            )
        return self

    def attributes(self) -> dict[str, Any]:
        return {"size": self.size, "delay": in_ms(self.delay), "stream": self.stream}


class Cut(LastingFault):
    """Each connection ends (FIN) once so many bytes have passed: inside a message, or inside an answer."""

    acts_in = ActsIn.PROXY
    masks = True
    examples = (
        "{at: 5s, for: 4s, on: primary, fault: cut, after: 2kB}",
        "{at: 5s, for: 4s, on: backup, fault: cut, after: 40B, stream: downstream}",
    )
    fault: Literal["cut"]
    after: Annotated[Size, AfterValidator(_cuttable)]
    """How many bytes still pass, `1B` to `16kB`; those of a TLS handshake count."""
    stream: Stream = "upstream"
    """What is sent to the provider (`upstream`), or its answers (`downstream`)."""

    def attributes(self) -> dict[str, Any]:
        return {"after": self.after, "stream": self.stream}


class SlowClose(LastingFault):
    """Whoever waits for the provider to close a connection waits this much longer; all data is on time."""

    acts_in = ActsIn.PROXY
    examples = ("{at: 5s, for: 6s, on: primary, fault: slow-close, delay: 2s}",)
    fault: Literal["slow-close"]
    delay: SomeMoment
    """How late the end comes."""

    def attributes(self) -> dict[str, Any]:
        return {"delay": in_ms(self.delay)}


class Reset(LastingFault):
    """Connections are reset (RST) once data flows."""

    acts_in = ActsIn.PROXY
    masks = True
    examples = (
        "{at: 5s, for: 2s, on: primary, fault: reset}",
        "{at: 5s, for: 2s, on: backup, fault: reset, after: 50ms}",
    )
    fault: Literal["reset"]
    after: UpToAMinute = 0
    """How long after the first data."""

    def attributes(self) -> dict[str, Any]:
        return {"after": in_ms(self.after)}


class AuthFailure(LastingFault):
    """The provider is up, greets, and refuses every login, with its own texts."""

    acts_in = ActsIn.UPSTREAM
    masks = True
    examples = ("{at: 5s, for: 5s, on: primary, fault: auth-failure}",)
    fault: Literal["auth-failure"]
