"""A preset of the SMTP engine: how one provider looks and what it allows, all of it data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from pydantic import BaseModel

from harness.providers.certificates import Certificates
from harness.providers.credentials import MAILBOX, CredentialShape
from harness.providers.errors import ConfigError
from harness.providers.faults import Placed
from harness.providers.outgoing import Outgoing, as_it_came
from harness.providers.preset import Ask, Context
from harness.providers.smtp.answers import Offers, SmtpAnswer, place
from harness.providers.smtp.engine import SmtpEngine
from harness.providers.smtp.limits import MINUTE_S, SmtpLimits
from harness.providers.smtp.service import Manners
from harness.providers.smtp.voice import Texts
from harness.providers.wire import ProviderFault


@dataclass(frozen=True, kw_only=True)
class SmtpPreset:
    """`hosts` are patterns for the fields of the texts; each `#` becomes a digit that the seed decides.

    `ehlo` and `ehlo_tls` are the lines after the greeting, before and after STARTTLS; a line STARTTLS is left
    out when there is no certificate. The mechanisms of a line AUTH are those that the client can use there.
    """

    name: str
    summary: str
    dated: date
    hosts: Mapping[str, str]
    ehlo: tuple[str, ...]
    ehlo_tls: tuple[str, ...]
    texts: Texts = field(default_factory=Texts)
    named: Mapping[str, SmtpAnswer] = field(default_factory=dict)
    limits: type[SmtpLimits] = SmtpLimits
    auth_required: bool = False
    tls_required: bool = False
    minute_s: float = MINUTE_S
    scheme: str = "smtp"
    engine: str = "smtp"
    endpoints: tuple[str, ...] = ()
    endpoint_canaries: Mapping[str, Ask] = field(default_factory=dict)
    real_hosts: Mapping[str, str] = field(default_factory=dict)
    carries_mail: bool = True
    credential: CredentialShape = MAILBOX
    canary: None = None
    events: None = None
    outgoing: Outgoing = as_it_came

    @property
    def answers(self) -> Mapping[str, str]:
        return {name: f"{answer} ({answer.stage})" for name, answer in self.named.items()}

    def place_fault(self, fault: ProviderFault) -> Placed[SmtpAnswer]:
        offers = Offers(
            preset=self.name,
            named=self.named,
            login=any(line.startswith("AUTH ") for line in (*self.ehlo, *self.ehlo_tls)),
            tls="starttls" in self.scheme,
            events=self.events is not None,
        )
        return place(fault, offers)

    def build(self, context: Context) -> SmtpEngine:
        """Raises ConfigError when the certificate is missing or cannot be loaded."""
        limits: BaseModel = context.limits
        if not isinstance(limits, SmtpLimits):
            raise ConfigError(f"preset {self.name} cannot use limits of type {type(limits).__name__}")
        certificates = Certificates.load(context.config.tls_cert_path, context.config.tls_key_path)
        if certificates is None and self.tls_required:
            raise ConfigError(f"preset {self.name} speaks STARTTLS: it needs tls_cert_path and tls_key_path")
        manners = Manners(
            texts=self.texts,
            hosts=self.hosts,
            ehlo=tuple(line for line in self.ehlo if certificates is not None or line != "STARTTLS"),
            ehlo_tls=self.ehlo_tls,
            auth_required=self.auth_required,
            named=self.named,
        )
        return SmtpEngine(context, manners, limits, certificates, self.minute_s)
