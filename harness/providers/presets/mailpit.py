"""Mailpit as a provider: a real SMTP inbox, started as its own program (see harness.providers.mailpit).

It has no limits, no credentials and no faults of its own: what is to break is broken at its proxy. Its
receipts are read back afterwards, so what depends on exact times cannot be proved with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from pydantic import BaseModel, ConfigDict

from harness.providers.credentials import MAILBOX
from harness.providers.errors import ConfigError, FaultRefused
from harness.providers.faults import Placed
from harness.providers.preset import Ask, Context, Engine
from harness.providers.wire import ProviderFault


class MailpitLimits(BaseModel):
    """Mailpit limits nothing."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Mailpit:
    name = "mailpit"
    summary = "Mailpit, the real program: takes any mail by SMTP, receipts are read back from its API"
    dated = date(2026, 11, 1)
    engine = "mailpit"
    limits: type[BaseModel] = MailpitLimits
    answers: Mapping[str, str] = {}
    scheme = "smtp"
    endpoints: tuple[str, ...] = ()
    endpoint_canaries: Mapping[str, Ask] = {}
    real_hosts: Mapping[str, str] = {}
    carries_mail = True
    credential = MAILBOX
    canary = None
    events = None
    outgoing = None

    def place_fault(self, fault: ProviderFault) -> Placed[Any]:
        raise FaultRefused(
            f"Mailpit is a real program and cannot play {fault.type!r}; use a transport fault on its route"
        )

    def build(self, context: Context) -> Engine:
        raise ConfigError("Mailpit is started as its own program, not as a provider process")


PRESET = Mailpit()
