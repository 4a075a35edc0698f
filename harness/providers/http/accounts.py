"""Who may log in at one listener at the moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from harness.providers.wire import Account


@dataclass(frozen=True)
class Accounts:
    """Accounts with the secrets that open them now."""

    known: Sequence[Account] = ()

    def of_secret(self, secret: str | None) -> Account | None:
        return next((each for each in self.known if each.secret == secret), None)

    def of_username(self, username: str) -> Account | None:
        return next((each for each in self.known if each.username == username), None)

    def of_pair(self, pair: tuple[str, str] | None) -> Account | None:
        return next((each for each in self.known if (each.username, each.secret) == pair), None)


def rotated(account: Account) -> Account | None:
    """The account after the rotation of its secret: the old one opens nothing any more."""
    if account.next_secret is None:
        return None
    return msgspec.structs.replace(account, secret=account.next_secret, next_secret=None)
