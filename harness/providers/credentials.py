"""How a provider's credentials look, and the ones of a run.

Patterns that a seed fills in, so that a run can be repeated to the letter; what comes out is worthless
anywhere else. Fields: {owner} (whose account it is, as in `app-primary`), and so many characters drawn from
the seed: {hex:32}, {upper:16} (A-Z and 2-7), {text:43} (as in base64url), {bytes:24} (base64 of so many).
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass

from harness.providers.wire import Account

OF_THE_ACCOUNT = "{account}"  # a provider that signs its events with the account's own secret

_FIELD = re.compile(r"\{(owner|hex|upper|text|bytes)(?::(\d+))?\}")


@dataclass(frozen=True, kw_only=True)
class CredentialShape:
    """What an account of one provider is: a mailbox and its password, unless a preset says otherwise."""

    username: str = "{owner}@contoso.example"
    secret: str = "{text:43}"

    def account(
        self, seed: int, owner: str, *, scope: str = "", tenant: str = "", canary: bool = False
    ) -> Account:
        """`scope` keeps the accounts of one owner apart, such as those of the canary with each provider."""
        names = (str(seed), scope, owner)
        return Account(
            username=fill(self.username, "username", *names),
            secret=fill(self.secret, "secret", *names),
            next_secret=fill(self.secret, "next-secret", *names),
            tenant=tenant,
            canary=canary,
        )


MAILBOX = CredentialShape()


def fill(pattern: str, *names: str) -> str:
    """The pattern with its fields filled in; the last name is the owner. The same names, the same text."""
    drawn = 0

    def field(match: re.Match[str]) -> str:
        nonlocal drawn
        kind, length = match[1], int(match[2] or 0)
        if kind == "owner":
            return names[-1]
        drawn += 1
        material = hashlib.shake_256("\0".join((*names, str(drawn))).encode())
        if kind == "hex":
            return material.hexdigest(length)[:length]
        if kind == "upper":
            return base64.b32encode(material.digest(length)).decode()[:length]
        if kind == "text":
            return base64.urlsafe_b64encode(material.digest(length)).decode()[:length]
        return base64.b64encode(material.digest(length)).decode()

    return _FIELD.sub(field, pattern)
