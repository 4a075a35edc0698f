"""What a provider process is told and what it tells: its configuration, its faults, its first line.

The harness writes a `ProviderConfig` as JSON, starts `python -m harness.providers CONFIG`, and reads one
`Ready` line from its standard output. From then on it speaks to the control API (control.py) and takes the
journal from there. The same structs configure a provider on a simulated clock.
"""

from __future__ import annotations

import msgspec


class Account(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Credentials of one route (or of the harness's canary) with a provider."""

    username: str
    secret: str  # password, access token or API key
    next_secret: str | None = None  # the one that is taken once the secret has been rotated
    tenant: str = ""  # whose it is at the provider; faults can be about one tenant alone
    canary: bool = False  # the harness's own: exempt from limits, its receipts are marked


class RouteListener(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One route's way in. Each listener comes twice: the real one, and one that rejects every login."""

    route: str
    account: Account
    host: str = "127.0.0.1"
    port: int = 0
    rejecting_port: int = 0
    beside: dict[str, tuple[int, int]] = {}  # ports of the other endpoints, each with its rejecting one
    https: bool = False  # an HTTP API under TLS, as the real one is; SMTP has STARTTLS as its preset says
    events_secret: str = ""  # what those posts are signed with
    events_url: str | None = None  # where this route's events are posted, in the provider's own shape


class ProviderConfig(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    name: str
    preset: str
    listeners: list[RouteListener]
    canary_account: Account
    seed: int = 0
    limits: dict[str, float | int] = {}  # checked by the preset's own model
    system_canaries: list[str] = []  # recipients that the SUT's own probes use
    control_host: str = "127.0.0.1"
    control_port: int = 0
    journal_path: str | None = None  # JSONL, one numbered record a line
    pack_path: str | None = None  # bodies, append-only
    tls_cert_path: str | None = None
    tls_key_path: str | None = None
    relay: str | None = None  # host:port of an SMTP inbox that gets a copy of what was accepted


class BoundListener(msgspec.Struct, frozen=True, kw_only=True):
    route: str
    endpoint: str  # smtp | api | one beside them, such as token
    port: int
    rejecting_port: int


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    provider: str
    control_port: int
    listeners: list[BoundListener]


class ProviderFault(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """A fault inside a provider; faults.FaultType says what the types are.

    Selection is deterministic: the n-th matching attempt, or a seeded hash. The canary account is always
    selected and never counted. An attribute that its type has no use for is refused.
    """

    id: str
    type: str
    route: str | None = None  # None: every route of this provider
    code: int | None = None
    text: str | None = None
    named: str | None = None  # e.g. "server-busy"
    retry_after_s: float | None = None  # told with the answer, where the protocol can
    stage: str | None = None  # where in an attempt; None: the named answer's own, or the engine's default
    endpoint: str = ""  # empty: the one that mail goes through; `token`, ...
    delay_s: float | None = None  # of slow-ack and events-late
    rate: float | None = None  # of throttle: requests (SMTP: messages) a second
    burst: int | None = None  # of throttle: so many at once
    quota: int | None = None  # of throttle: so many more, and then none
    event: str | None = None  # of bounce: what becomes of it
    share: float = 1.0
    every: int | None = None  # every n-th matching attempt
    nth: int | None = None  # the n-th matching attempt alone
    count: int | None = None  # at most so many
    class_: str | None = msgspec.field(name="class", default=None)  # by the X-Harness-Class header
    tenant: str | None = None  # of the account
    recipient: str | None = None  # a pattern, as in `*@example.net`


class FaultStatus(msgspec.Struct, frozen=True, kw_only=True):
    fault: ProviderFault
    matched: int
    acted: int
