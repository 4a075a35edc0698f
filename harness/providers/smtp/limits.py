"""What an account may do: connections at a time, messages a minute, recipients a day; what a fault leaves of
it; and who must come again later.

Messages over the minute's share wait for a later minute, in order: a provider that throttles in this way
looks slow, not broken. Minutes and days are fixed spans of the loop's clock.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from harness.providers.http.limits import TokenBucket
from harness.providers.wire import ProviderFault

MINUTE_S = 60.0
DAY_S = 86_400.0


class SmtpLimits(BaseModel):
    """Limits of an SMTP provider, each for one account. None: no limit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    connections: int | None = Field(None, ge=1, description="connections at a time")
    messages_per_minute: int | None = Field(None, ge=1, description="the rest waits for the next minutes")
    recipients_per_day: int | None = Field(None, ge=1)
    recipients_per_message: int | None = Field(None, ge=1)
    message_bytes: int = Field(35_882_577, ge=1_000, description="as offered by SIZE")

    @property
    def greylisting_s(self) -> float:
        """How long a sender whom nobody knows has to wait; 0: nobody is kept waiting."""
        return 0.0

    @property
    def recipients_per_s(self) -> tuple[float, int] | None:
        """What is refused beyond so many a second, and so many at once; None: nothing for its pace."""
        return None


class GreylistingLimits(SmtpLimits):
    greylist_s: float = Field(
        0, ge=0, description="seconds until a sender's first message to a recipient may come again"
    )

    @property
    def greylisting_s(self) -> float:
        return self.greylist_s


class PacedLimits(SmtpLimits):
    rate: float = Field(14, gt=0, description="recipients a second; what is faster is refused")
    burst: int = Field(14, ge=1, description="recipients at once")

    @property
    def recipients_per_s(self) -> tuple[float, int] | None:
        return self.rate, self.burst


class FixedMinute:
    """Places in consecutive fixed minutes, given out in order of asking."""

    def __init__(self, per_minute: int, minute_s: float = MINUTE_S) -> None:
        self._per_minute = per_minute
        self._minute_s = minute_s
        self._minute = -1
        self._taken = 0

    def wait_s(self, now_s: float) -> float:
        """Take the next free place and return how long it is until then; 0 if the place is in this minute."""
        minute = int(now_s // self._minute_s)
        if minute > self._minute:
            self._minute, self._taken = minute, 0
        elif self._taken >= self._per_minute:
            self._minute, self._taken = self._minute + 1, 0
        self._taken += 1
        return max(0.0, self._minute * self._minute_s - now_s)


class AccountUse:
    """What one account uses of its limits at the moment."""

    def __init__(self, limits: SmtpLimits, minute_s: float = MINUTE_S, now_s: float = 0.0) -> None:
        self._limits = limits
        self._connections: list[str] = []  # in order of logging in
        self._minute = (
            FixedMinute(limits.messages_per_minute, minute_s) if limits.messages_per_minute else None
        )
        pace = limits.recipients_per_s
        self._pace = TokenBucket(*pace, now_s) if pace is not None else None
        self._day = -1
        self._recipients_today = 0

    def logged_in(self, connection: str) -> None:
        self._connections.append(connection)

    def gone(self, connection: str) -> None:
        """Forget a connection; nothing happens if it never was counted (a canary's is not)."""
        if connection in self._connections:
            self._connections.remove(connection)

    def too_many_connections(self, connection: str) -> bool:
        """Whether this connection is beyond the limit: those that logged in earlier go first."""
        allowed = self._limits.connections
        return allowed is not None and connection not in self._connections[:allowed]

    def too_fast(self, recipients: int, now_s: float) -> bool:
        """Count a message's recipients, unless they come too soon after the others."""
        return self._pace is not None and not self._pace.take(now_s, recipients)

    def over_quota(self, recipients: int, now_s: float) -> bool:
        """Count a message's recipients, unless they do not fit into the day any more."""
        day = int(now_s // DAY_S)
        if day != self._day:
            self._day, self._recipients_today = day, 0
        allowed = self._limits.recipients_per_day
        if allowed is not None and self._recipients_today + recipients > allowed:
            return True
        self._recipients_today += recipients
        return False

    def wait_s(self, now_s: float) -> float:
        """How long the next message has to wait for its minute, in seconds."""
        return self._minute.wait_s(now_s) if self._minute else 0.0


class Throttle:
    """What a fault leaves to one account: a place every so often, `burst` at once; or so many recipients."""

    def __init__(self, fault: ProviderFault) -> None:
        self._every_s = 1 / fault.rate if fault.rate is not None else None
        self._burst = fault.burst or max(1, round(fault.rate or 1))
        self._left = fault.quota or 0
        self._next_s = float("-inf")  # when the next place would be, if all had kept the rate

    def exceeded(self, recipients: int, now_s: float) -> bool:
        """Take a place, unless there is none now; then nothing is taken."""
        if self._every_s is None:
            if recipients > self._left:
                return True
            self._left -= recipients
            return False
        if self._wait_s(self._every_s, now_s) > 0:
            return True
        self._take(self._every_s, now_s)
        return False

    def wait_s(self, now_s: float) -> float:
        """Take the next place of those that come at a rate, and return how long it is until then."""
        assert self._every_s is not None
        wait_s = self._wait_s(self._every_s, now_s)
        self._take(self._every_s, now_s)
        return wait_s

    def _wait_s(self, every_s: float, now_s: float) -> float:
        # The nanosecond is for places that are a whole number of intervals apart.
        wait_s = self._next_s - (self._burst - 1) * every_s - now_s
        return wait_s if wait_s > 1e-9 else 0.0

    def _take(self, every_s: float, now_s: float) -> None:
        self._next_s = max(self._next_s, now_s) + every_s


class Greylist:
    """Who has come before. Pairs are forgotten, the oldest first, when there are very many."""

    MOST = 100_000

    def __init__(self, wait_s: float) -> None:
        self._wait_s = wait_s
        self._first_s: dict[tuple[str, str], float] = {}

    def left_s(self, sender: str, recipient: str, now_s: float) -> float:
        """Seconds that a sender has still to wait with mail to this recipient; counted from the first try."""
        if self._wait_s <= 0:
            return 0.0
        pair = (sender.lower(), recipient.lower())
        if pair not in self._first_s and len(self._first_s) >= self.MOST:
            del self._first_s[next(iter(self._first_s))]
        return max(0.0, self._first_s.setdefault(pair, now_s) + self._wait_s - now_s)
