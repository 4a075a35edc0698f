"""What a preset is to the rest: one provider's looks and rules, dated, served by one engine.

A preset is a module of harness.providers.presets that sets `PRESET`. Describing and checking (`limits`,
`answers`, `place_fault`) needs no running provider, so a scenario can be checked against it at load.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from email.message import EmailMessage
from typing import Any, Protocol

from pydantic import BaseModel

from harness.providers.aftermath import Aftermath
from harness.providers.bodies import BodyPack
from harness.providers.clock import Clock
from harness.providers.credentials import CredentialShape
from harness.providers.faults import FaultTable, Placed
from harness.providers.ids import SeededIds
from harness.providers.ledger import Ledger
from harness.providers.outgoing import Outgoing
from harness.providers.webhooks import EventShape
from harness.providers.wire import Account, BoundListener, ProviderConfig, ProviderFault


@dataclass(frozen=True, kw_only=True)
class Context:
    """All that an engine may use of the world."""

    config: ProviderConfig
    clock: Clock
    ledger: Ledger
    pack: BodyPack
    faults: FaultTable[Any]
    limits: BaseModel  # an instance of the preset's own model
    ids: SeededIds
    aftermath: Aftermath


class Engine(Protocol):
    """One running provider's listeners."""

    async def start(self) -> list[BoundListener]:
        """Listen for every route of the configuration; raises ConfigError."""
        ...

    async def close(self) -> None:
        """Stop listening, end every connection, leave no task behind. Records may still be written."""
        ...

    def connections(self) -> Mapping[str, int]:
        """Open connections by route."""
        ...

    async def settle(self, within_s: float) -> bool:
        """Wait until nothing that was taken is still to be passed on; false if that takes too long."""
        ...

    def stats(self) -> Mapping[str, Any]:
        """More numbers for GET /stats, such as those of a relay."""
        ...


@dataclass(frozen=True, kw_only=True)
class ApiRequest:
    """One HTTP request; `path` begins with a slash."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""


Ask = Callable[[Account], ApiRequest]
"""A request that hands nothing over."""


class ApiCanary(Protocol):
    """How the harness's canary speaks to an HTTP API. An answer of 400 and above means rejected."""

    def login(self, account: Account) -> ApiRequest:
        """Asks for nothing but needs valid credentials; where no mail is carried, gets the page."""
        ...

    def message(self, account: Account, message: EmailMessage) -> ApiRequest:
        """Sends this message: one recipient, plain text. Not asked of a preset that carries no mail."""
        ...


class Preset(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def summary(self) -> str:
        """One line for `harness providers`."""
        ...

    @property
    def dated(self) -> date:
        """When the provider was last looked at."""
        ...

    @property
    def engine(self) -> str:
        """smtp, http, ..."""
        ...

    @property
    def limits(self) -> type[BaseModel]:
        """The model of `limits:` in a scenario; its defaults are the provider's own."""
        ...

    @property
    def answers(self) -> Mapping[str, str]:
        """The named answers that `refuse` can give, each with what it looks like."""
        ...

    @property
    def scheme(self) -> str:
        """The scheme of a route's URL, such as smtp+starttls."""
        ...

    @property
    def endpoints(self) -> tuple[str, ...]:
        """Those beside the one that mail goes through, such as `token`; each has a proxy of its own."""
        ...

    @property
    def endpoint_canaries(self) -> Mapping[str, Ask]:
        """For each of `endpoints` what the harness's canary asks it, as one with valid credentials."""
        ...

    @property
    def real_hosts(self) -> Mapping[str, str]:
        """The provider's own host names -> which endpoint each is; empty: the one that mail goes through."""
        ...

    @property
    def carries_mail(self) -> bool:
        """False where it takes no messages, as a status page: a route to it is no way out for mail."""
        ...

    @property
    def credential(self) -> CredentialShape:
        """What its accounts log in with."""
        ...

    @property
    def canary(self) -> ApiCanary | None:
        """For HTTP APIs; None where the protocol says it all, as SMTP does."""
        ...

    @property
    def events(self) -> EventShape | None:
        """How it tells senders what became of their messages; None: this fake does not."""
        ...

    @property
    def outgoing(self) -> Outgoing | None:
        """The message that leaves it, of a body that it took; None where that is no mail, or not known."""
        ...

    def place_fault(self, fault: ProviderFault) -> Placed[Any]:
        """Stage and answer of a fault; raises FaultRefused with the valid choices."""
        ...

    def build(self, context: Context) -> Engine: ...
