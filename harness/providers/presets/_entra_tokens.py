"""Access tokens of the Entra fake: who may present one, for which service, until when.

A token says all of that itself and is signed, so that what issues tokens and what takes them share nothing
but the seed: a token outlives the endpoint that issued it, and the secret that it was bought with. It has the
form of a real one (a JWT), with a symmetric signature, since clients may not look inside. SMTP providers of
the same run can check the same tokens (XOAUTH2).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

import msgspec

from harness.providers.http.accounts import Accounts
from harness.providers.wire import Account

GRAPH = "https://graph.microsoft.com"
OUTLOOK = "https://outlook.office365.com"  # SMTP, IMAP, POP
ROLES = {GRAPH: ("Mail.Send", "ServiceHealth.Read.All"), OUTLOOK: ("SMTP.SendAsApp",)}
_HARNESS = "harness"
_NEVER_S = 253_402_300_799.0  # the last second of the year 9999


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """What a token says; the names are those of the real one. Times are Unix seconds."""

    aud: str
    iss: str
    iat: float
    nbf: float
    exp: float
    appid: str
    tid: str
    idtyp: str = "app"
    roles: tuple[str, ...] = ()
    ver: str = "1.0"


class _Header(msgspec.Struct, frozen=True, kw_only=True):
    typ: str = "JWT"
    alg: str = "HS256"


def signing_key(seed: int) -> bytes:
    """One key for all providers of a run."""
    return hashlib.sha256(f"entra access tokens/{seed}".encode()).digest()


def issue(key: bytes, *, app: str, tenant: str, audience: str, now_s: float, lifetime_s: float) -> str:
    """A token for one app and one service."""
    claims = Claims(
        aud=audience,
        iss=f"https://sts.windows.net/{tenant}/",
        iat=now_s,
        nbf=now_s,
        exp=now_s + lifetime_s,
        appid=app,
        tid=tenant,
        roles=ROLES.get(audience, ()),
    )
    return _sealed(key, claims)


def canary_token(account: Account, audience: str = GRAPH) -> str:
    """What the harness's canary presents, and `harness provider` shows to try it: signed with the account's
    own secret, so that it needs no token endpoint, and good for ever. No client of Entra's makes such a one.
    """
    claims = Claims(
        aud=audience, iss=_HARNESS, iat=0, nbf=0, exp=_NEVER_S, appid=account.username, tid=account.tenant
    )
    return _sealed(account.secret.encode(), claims)


def is_well_formed(token: str) -> bool:
    """Whether it has a token's three parts."""
    return token.count(".") == 2 and all(token.split("."))


def holder(key: bytes, token: str, accounts: Accounts) -> tuple[Account, Claims] | None:
    """Whose token it is, by its signature alone: it may have expired, or be for another service."""
    claims = _read(token)
    if claims is None:
        return None
    account = accounts.of_username(claims.appid)
    if account is None or account.tenant not in ("", claims.tid):
        return None
    signed_by = account.secret.encode() if claims.iss == _HARNESS else key
    return (account, claims) if _signature(signed_by, token) == token.rpartition(".")[2] else None


def _sealed(key: bytes, claims: Claims) -> str:
    unsigned = f"{_encode(msgspec.json.encode(_Header()))}.{_encode(msgspec.json.encode(claims))}"
    return f"{unsigned}.{_signature(key, unsigned + '.')}"


def _signature(key: bytes, token: str) -> str:
    signed = token.rpartition(".")[0]
    return _encode(hmac.digest(key, signed.encode(), "sha256"))


def _read(token: str) -> Claims | None:
    if not is_well_formed(token):
        return None
    payload = token.split(".")[1]
    try:
        decoded = base64.b64decode(payload + "=" * (-len(payload) % 4), altchars=b"-_", validate=True)
        return msgspec.json.decode(decoded, type=Claims)
    except (binascii.Error, ValueError, msgspec.DecodeError, RecursionError):
        return None


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
