"""What every connection of one listener shares: the route, the manners of the preset, the accounts and the
ledger."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from harness.providers.http.accounts import Accounts, rotated
from harness.providers.preset import Context
from harness.providers.smtp.answers import SmtpAnswer
from harness.providers.smtp.limits import AccountUse, SmtpLimits, Throttle
from harness.providers.smtp.relay import Relay
from harness.providers.smtp.voice import Texts
from harness.providers.tls import Flaw
from harness.providers.wire import Account, ProviderFault, RouteListener

ENDPOINT = "smtp"


@dataclass(frozen=True, kw_only=True)
class Manners:
    """A preset's part in a conversation; see SmtpPreset."""

    texts: Texts
    hosts: Mapping[str, str]
    ehlo: tuple[str, ...]
    ehlo_tls: tuple[str, ...]
    auth_required: bool
    named: Mapping[str, SmtpAnswer]

    def lines(self, *, encrypted: bool) -> tuple[str, ...]:
        return self.ehlo_tls if encrypted else self.ehlo

    def mechanisms(self, *, encrypted: bool) -> frozenset[str]:
        """What AUTH takes: exactly what EHLO offers."""
        offers = (line.split() for line in self.lines(encrypted=encrypted))
        return frozenset(mechanism for offer in offers if offer[0] == "AUTH" for mechanism in offer[1:])


class Registry(Protocol):
    """The engine's book of connections and accounts."""

    def closed(self, route: str, connection: object) -> None: ...

    def use_of(self, account: str) -> AccountUse: ...

    def throttle(self, fault: ProviderFault, account: str) -> Throttle:
        """What this fault leaves to an account; from when it was first met."""
        ...

    def greylisted_s(self, sender: str, recipient: str) -> float:
        """For how long a sender is still to wait with mail to this recipient; 0 if it may come."""
        ...


@dataclass(frozen=True, kw_only=True)
class Certificates:
    """The one for STARTTLS, if there is any, and its flawed twins."""

    right: ssl.SSLContext | None
    flawed: Mapping[Flaw, ssl.SSLContext]


@dataclass(frozen=True, kw_only=True)
class Service:
    context: Context
    manners: Manners
    hosts: dict[str, str]  # with the seed's digits filled in
    limits: SmtpLimits
    listener: RouteListener
    rejecting: bool  # the twin that refuses every login
    certificates: Certificates
    registry: Registry
    relay: Relay | None

    @property
    def route(self) -> str:
        return self.listener.route

    @property
    def login_needed(self) -> bool:
        return self.manners.auth_required or self.rejecting

    @property
    def _accounts(self) -> Accounts:
        return Accounts([self.listener.account, self.context.config.canary_account])

    def known(self, username: str) -> Account | None:
        return self._accounts.of_username(username)

    def account(self, username: str, secret: str, *, after_rotation: bool) -> Account | None:
        """The account that these credentials open here, if any."""
        if self.rejecting:
            return None
        accounts = self._accounts
        if after_rotation:
            accounts = Accounts([again for each in accounts.known if (again := rotated(each)) is not None])
        return accounts.of_pair((username, secret))

    def is_canary_account(self, username: str) -> bool:
        account = self.known(username)
        return account is not None and (account.canary or account is self.context.config.canary_account)
