"""What every connection of one listener shares: the route, the manners of the preset, the accounts and the
ledger."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from harness.providers.preset import Context
from harness.providers.smtp.limits import AccountUse, SmtpLimits
from harness.providers.smtp.relay import Relay
from harness.providers.smtp.voice import Texts
from harness.providers.wire import Account, RouteListener

ENDPOINT = "smtp"


@dataclass(frozen=True, kw_only=True)
class Manners:
    """A preset's part in a conversation; see SmtpPreset."""

    texts: Texts
    hosts: Mapping[str, str]
    ehlo: tuple[str, ...]
    ehlo_tls: tuple[str, ...]
    auth_required: bool

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


@dataclass(frozen=True, kw_only=True)
class Service:
    context: Context
    manners: Manners
    hosts: dict[str, str]  # with the seed's digits filled in
    limits: SmtpLimits
    listener: RouteListener
    rejecting: bool  # the twin that refuses every login
    tls: ssl.SSLContext | None
    registry: Registry
    relay: Relay | None

    @property
    def route(self) -> str:
        return self.listener.route

    @property
    def login_needed(self) -> bool:
        return self.manners.auth_required or self.rejecting

    def account(self, username: str, secret: str) -> Account | None:
        """The account that these credentials open here, if any."""
        if self.rejecting:
            return None
        for account in (self.listener.account, self.context.config.canary_account):
            if (account.username, account.secret) == (username, secret):
                return account
        return None

    def is_canary_account(self, username: str) -> bool:
        accounts = (self.listener.account, self.context.config.canary_account)
        return any(account.canary and account.username == username for account in accounts) or (
            username == self.context.config.canary_account.username
        )
