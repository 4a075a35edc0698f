"""What a history is made of: one frozen struct per kind of event.

An event on disk is one JSON object a line: `run`, `seq`, `t_ns`, `kind`, then the fields of its kind.
`run` and `seq` belong to the journal, which stamps them when it appends; the structs hold the rest.
Times are nanoseconds on one monotonic clock, counted from the run's start. Readers work on the lines
through DuckDB, so fields that this version does not know survive.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

FORMAT_VERSION = 1


class Phase(StrEnum):
    SETUP = "setup"
    BASELINE = "baseline"
    STORM = "storm"
    HEAL = "heal"
    DRAIN = "drain"
    TEARDOWN = "teardown"


class Submitted(StrEnum):
    """How the SUT answered a submission; `indeterminate` may or may not have been taken."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    INDETERMINATE = "indeterminate"


class ReceiptResult(StrEnum):
    """A provider's record of one attempt. The first two are hand-offs: responsibility was taken."""

    ACCEPTED = "accepted"
    ACK_LOST = "ack-lost"
    DEFERRED = "deferred"
    REFUSED = "refused"
    ABORTED = "aborted"
    REPEATED = "repeated"  # known by its idempotency key: answered as the first time, nothing handed over


class Outcome(StrEnum):
    """How conducting the run ended. What the checks say of it is a matter of the findings."""

    COMPLETED = "completed"
    SYSTEM_EXITED = "system-exited"
    BASELINE_UNMET = "baseline-unmet"
    INJECTION_FAILED = "injection-failed"
    HEAL_FAILED = "heal-failed"
    HARNESS_FAILED = "harness-failed"
    INTERRUPTED = "interrupted"


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind"):
    t_ns: int


class RunStarted(Event, frozen=True, kw_only=True, tag="run.started"):
    format: int = FORMAT_VERSION
    wall_start: str  # ISO 8601, UTC
    scenario: str
    resolved: dict[str, Any]  # the scenario with every default written out, as JSON
    seed: int
    testbed: str  # local | containers | simulated
    proxy: str  # toxiproxy | embedded
    limits: dict[str, Any] = {}  # per provider, as configured
    routes_without_mail: list[str] = []  # to providers that take no messages, such as a status page
    credentials: dict[str, str] = {}  # route -> fingerprint of its secret; two that are equal are one secret
    expect: list[dict[str, Any]] = []  # [{"check": name, "params": {...}}], only these decide
    binaries: dict[str, Any] = {}  # "<route>.<endpoint>" -> {"path", "version"}
    versions: dict[str, str] = {}


class PhaseEntered(Event, frozen=True, kw_only=True, tag="phase.entered"):
    phase: Phase


class RunFinished(Event, frozen=True, kw_only=True, tag="run.finished"):
    outcome: Outcome
    detail: str = ""


class ClockCalibrated(Event, frozen=True, kw_only=True, tag="clock.calibrated"):
    """run time = the source's own clock + offset_ns, give or take error_ns."""

    source: str
    when: str  # start | end
    offset_ns: int
    error_ns: int


class MessageSubmitting(Event, frozen=True, kw_only=True, tag="message.submitting"):
    """One offer of one message, journalled before the SUT sees it. `offer` counts from 1."""

    token: str
    recipient: str
    stream: str
    class_: str = msgspec.field(name="class")
    scheduled_ns: int
    offer: int = 1
    within_ns: int | None = None
    expires_ns: int | None = None  # absolute, on the run's clock
    baseline: bool = False


class MessageSubmitted(Event, frozen=True, kw_only=True, tag="message.submitted"):
    token: str
    recipient: str
    offer: int = 1
    result: Submitted
    code: int | None = None
    text: str = ""


class Receipt(Event, frozen=True, kw_only=True, tag="receipt"):
    """One attempt at one recipient, as the provider saw it; t_ns = end_ns.

    `begin_ns` is when the attempt began (SMTP: MAIL FROM; HTTP: the request's first byte), `end_ns` when
    the provider made up its mind, just before it answered. (source, n) numbers a provider's records
    without gaps, so a missing one shows.
    """

    source: str
    n: int
    provider: str
    route: str
    endpoint: str
    result: ReceiptResult
    attempt: str  # unique per attempt; several recipients of one attempt share it
    token: str | None = None  # None: no carrier named one
    recipient: str | None = None
    code: int | None = None
    text: str = ""
    begin_ns: int
    end_ns: int
    connection: str = ""
    account: str = ""
    tenant: str = ""
    idempotency_key: str | None = None
    sdk_retry: str | None = None
    carriers: list[str] = []  # which of recipient, header, nonce named the token
    body_sha256: str | None = None
    body_offset: int | None = None  # in bodies/<provider>.pack
    body_bytes: int | None = None
    retry_after_ns: int | None = None
    canary: str | None = None  # "harness" | "system"
    fault: str | None = None  # the provider-side fault that shaped the result
    notice: str | None = None  # a delivery status notification about the token's message: failed, delayed
    observed: str = "before"  # "after": read back from a provider that is not ours
    sender: str | None = None  # whom the protocol names beside the body: MAIL FROM, the mailbox of a path


class ConnectionsClosed(Event, frozen=True, kw_only=True, tag="connections.closed"):
    """Connections that ended without a goodbye, as the provider saw it."""

    source: str
    n: int
    provider: str
    route: str
    endpoint: str
    connections: list[str]
    reason: str = ""


class EndpointCalled(Event, frozen=True, kw_only=True, tag="endpoint.called"):
    """A request at an endpoint beside the one that mail goes through, as a token service; t_ns = end_ns."""

    source: str
    n: int
    provider: str
    route: str
    endpoint: str
    request: str  # "POST /tenant/oauth2/v2.0/token"
    code: int | None = None  # what it was answered; None: nothing
    begin_ns: int
    end_ns: int
    account: str = ""
    tenant: str = ""
    canary: str | None = None  # "harness"
    fault: str | None = None  # the provider-side fault that shaped the answer
    announced: bool | None = None  # whether a status page tells, from then on, of what the system announced


class _Fault(Event, frozen=True, kw_only=True):
    fault: str  # the fault's id in the timeline
    incident: str
    type: str  # outage, latency, ... (scenario word: `fault:`)
    target: str  # a route, an endpoint beside it ("primary.token", "backup.events"), or "system"
    scheduled_ns: int
    attributes: dict[str, Any] = {}
    detail: dict[str, Any] = {}  # what was read back, or what the canary saw


class FaultInjecting(_Fault, frozen=True, kw_only=True, tag="fault.injecting"):
    pass


class FaultActive(_Fault, frozen=True, kw_only=True, tag="fault.active"):
    pass


class FaultActed(_Fault, frozen=True, kw_only=True, tag="fault.acted"):
    pass


class FaultRemoving(_Fault, frozen=True, kw_only=True, tag="fault.removing"):
    pass


class FaultRemoved(_Fault, frozen=True, kw_only=True, tag="fault.removed"):
    pass


class FaultFailed(_Fault, frozen=True, kw_only=True, tag="fault.failed"):
    stage: str  # inject | confirm | act | remove
    error: str


class Signal(Event, frozen=True, kw_only=True, tag="signal"):
    """What the SUT or its monitoring says of itself; the truth changed in (previous_read_ns, t_ns]."""

    signal: str  # detected | acknowledged | queue_depth | paused | ...
    value: bool | int | float | str | None
    route: str | None = None
    how: str = ""  # e.g. "http /status"
    previous_read_ns: int | None = None
    error: str | None = None  # set when the answer made no sense; value is then None


class SystemState(Event, frozen=True, kw_only=True, tag="system.state"):
    """What the SUT says of one message: pending, sending, sent, failed, held, suppressed, expired."""

    token: str
    state: str
    recipient: str | None = None
    events_known: list[str] | None = (
        None  # of what became of it: delivered, bounced, ...; None: it does not say
    )
    previous_read_ns: int | None = None


class SystemProcess(Event, frozen=True, kw_only=True, tag="system.process"):
    """The SUT's own life: started, killed (by a fault), exited (unbidden), stopped, paused, resumed."""

    change: str
    pid: int | None = None
    code: int | None = None
    log_tail: list[str] = []


class Operator(Event, frozen=True, kw_only=True, tag="operator"):
    action: str  # approve | pause | resume | switch
    by: str
    detail: str = ""
    class_: str | None = msgspec.field(name="class", default=None)  # whose mail it is about; None: any


class ProviderEvent(Event, frozen=True, kw_only=True, tag="provider.event"):
    """What became of a message later, journalled once it is known whether the SUT was told: t_ns is then."""

    source: str
    n: int
    provider: str
    event: str  # processed | delivered | bounced | complained | dropped | deferred
    route: str = ""  # by which the message had come; empty: not told
    token: str | None = None
    recipient: str | None = None
    canary: str | None = None  # "system": of a probe of the SUT's own
    webhook: str = "none"  # delivered | late | lost | none
    delay_ns: int | None = None  # how long the event was on its way, or was tried until it was given up


class WitnessCompared(Event, frozen=True, kw_only=True, tag="witness.compared"):
    """An independent store of mail, read at the end beside the record of one provider."""

    witness: str  # mailpit
    provider: str
    taken: int  # messages that the provider's record says it took, for each recipient
    held: int  # of these, how many the witness holds
    surplus: int  # what it holds beyond them


class HarnessWarning(Event, frozen=True, kw_only=True, tag="harness.warning"):
    warning: str  # late-driver | clock-error | receipt-gap | proxy-restarted | witness-disagrees |
    # witness-unreadable | ...
    detail: str = ""
    subject: str = ""


AnyEvent = (
    RunStarted
    | PhaseEntered
    | RunFinished
    | ClockCalibrated
    | MessageSubmitting
    | MessageSubmitted
    | Receipt
    | ConnectionsClosed
    | EndpointCalled
    | FaultInjecting
    | FaultActive
    | FaultActed
    | FaultRemoving
    | FaultRemoved
    | FaultFailed
    | Signal
    | SystemState
    | SystemProcess
    | Operator
    | ProviderEvent
    | WitnessCompared
    | HarnessWarning
)
