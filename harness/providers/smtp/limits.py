"""What an account may do: connections at a time, messages a minute, recipients a day.

Messages over the minute's share are not refused but wait for a later minute, in order: a provider that
throttles in this way looks slow, not broken. Minutes and days are fixed spans of the loop's clock.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

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

    def __init__(self, limits: SmtpLimits, minute_s: float = MINUTE_S) -> None:
        self._limits = limits
        self._connections: list[str] = []  # in order of logging in
        self._minute = (
            FixedMinute(limits.messages_per_minute, minute_s) if limits.messages_per_minute else None
        )
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
