"""AWS Signature Version 4 from the server's side: who signed a request, and whether the signature is right.

In go a request and the accounts that are valid; out comes the account, or a `Flaw` that says what SES would
answer. The algorithm is AWS's documented one. Verified over what the client sent: it signed the `Host` that
it was given, whatever proxies lie in between. A session token is taken and not looked at.

The harness's canary signs for a fixed moment (`CANARY_DATE`) and is not held to the clock: whoever asks a
canary for its requests has no time to give, and a provider's clock may be a virtual one.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime
from urllib.parse import quote, unquote_to_bytes

import msgspec

from harness.providers.http.accounts import Accounts
from harness.providers.http.messages import HttpRequest
from harness.providers.preset import ApiRequest
from harness.providers.wire import Account

ALGORITHM = "AWS4-HMAC-SHA256"
SERVICE = "ses"
TERMINATOR = "aws4_request"
UNSIGNED = "UNSIGNED-PAYLOAD"
SKEW_S = 300
CANARY_DATE = "20260101T000000Z"
CANARY_REGION = "us-east-1"
CANARY_HOST = "email.us-east-1.amazonaws.com"
_DATE_FORMAT = "%Y%m%dT%H%M%SZ"
_SAFE = "-_.~"

NO_TOKEN = ("MissingAuthenticationToken", "Missing Authentication Token")
UNKNOWN_KEY = ("InvalidClientTokenId", "The security token included in the request is invalid.")
WRONG_SIGNATURE = (
    "SignatureDoesNotMatch",
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret"
    " Access Key and signing method. Consult the service documentation for details.",
)


class Flaw(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with a signature, in AWS's words."""

    code: str
    message: str
    status: int = 403


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """What an Authorization header says."""

    key_id: str
    day: str
    region: str
    service: str
    signed: tuple[str, ...]  # names of headers
    signature: str

    @property
    def scope(self) -> str:
        return f"{self.day}/{self.region}/{self.service}/{TERMINATOR}"


def signer(request: HttpRequest, accounts: Accounts) -> Account | Flaw:
    """Whose request it is. Of one without its body only the key's id can be judged."""
    claim = read_claim(request.header("authorization"))
    if isinstance(claim, Flaw):
        return claim
    owners = [each for each in accounts.known if each.username == claim.key_id]
    if not owners:
        return Flaw(code=UNKNOWN_KEY[0], message=UNKNOWN_KEY[1])
    if not request.whole:
        return owners[0]
    if (flaw := _flaw_of_scope(claim, request)) is not None:
        return flaw
    given = request.header("x-amz-date")
    for owner in owners:
        if hmac.compare_digest(_signature(owner.secret, claim, request, given), claim.signature.encode()):
            return owner if owner.canary else _skewed(given, request.now_s) or owner
    return Flaw(code=WRONG_SIGNATURE[0], message=WRONG_SIGNATURE[1])


def read_claim(authorization: str) -> Claim | Flaw:
    algorithm, _, rest = authorization.strip().partition(" ")
    if not algorithm:
        return Flaw(code=NO_TOKEN[0], message=NO_TOKEN[1])
    if algorithm != ALGORITHM:
        return _incomplete(f"Unsupported AWS 'algorithm': '{algorithm}'.")
    fields: dict[str, str] = {}
    for part in rest.split(","):
        name, _, value = part.strip().partition("=")
        fields[name] = value
    for name in ("Credential", "Signature", "SignedHeaders"):
        if not fields.get(name):
            return _incomplete(f"Authorization header requires '{name}' parameter.")
    scope = fields["Credential"].split("/")
    if len(scope) != 5 or scope[4] != TERMINATOR:
        return _incomplete(
            "Credential must have exactly 5 slash-delimited elements, e.g."
            f" keyid/date/region/service/term, got '{fields['Credential']}'"
        )
    return Claim(
        key_id=scope[0],
        day=scope[1],
        region=scope[2],
        service=scope[3],
        signed=tuple(fields["SignedHeaders"].lower().split(";")),
        signature=fields["Signature"],
    )


def region_of(request: HttpRequest) -> str:
    """The region that the client meant; the canary's where it named none."""
    claim = read_claim(request.header("authorization"))
    return CANARY_REGION if isinstance(claim, Flaw) or not claim.region else claim.region


def sign_for_canary(account: Account, method: str, path: str, body: bytes = b"") -> ApiRequest:
    """A request that `signer` takes for this account, at its fixed moment."""
    headers = {"Host": CANARY_HOST, "X-Amz-Date": CANARY_DATE}
    if body:
        headers["Content-Type"] = "application/json"
    lower = {name.lower(): value for name, value in headers.items()}
    claim = Claim(
        key_id=account.username,
        day=CANARY_DATE[:8],
        region=CANARY_REGION,
        service=SERVICE,
        signed=tuple(sorted(lower)),
        signature="",
    )
    request = HttpRequest(method=method, path=path, headers=lower, body=body)
    signature = _signature(account.secret, claim, request, CANARY_DATE).decode()
    authorization = (
        f"{ALGORITHM} Credential={claim.key_id}/{claim.scope}, SignedHeaders={';'.join(claim.signed)},"
        f" Signature={signature}"
    )
    return ApiRequest(
        method=method, path=path, headers={**headers, "Authorization": authorization}, body=body
    )


def _incomplete(message: str) -> Flaw:
    return Flaw(code="IncompleteSignature", message=message, status=400)


def _flaw_of_scope(claim: Claim, request: HttpRequest) -> Flaw | None:
    given = request.header("x-amz-date")
    if not given:
        return _incomplete(
            "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header."
        )
    if _moment(given) is None:
        return _incomplete(
            "Date must be in ISO-8601 'basic format'. Got '"
            + given
            + "'. See http://en.wikipedia.org/wiki/ISO_8601"
        )
    if "host" not in claim.signed:
        return _mismatch("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
    if claim.service != SERVICE:
        return _mismatch(f"Credential should be scoped to correct service: '{SERVICE}'.")
    if claim.day != given[:8]:
        return _mismatch(
            f"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP:"
            f" '{claim.day}' != '{given[:8]}', from '{given}'."
        )
    return None


def _mismatch(message: str) -> Flaw:
    return Flaw(code=WRONG_SIGNATURE[0], message=message)


def _skewed(given: str, now_s: float) -> Flaw | None:
    moment = _moment(given)
    assert moment is not None
    if moment < now_s - SKEW_S:
        limit, now = _written(now_s - SKEW_S), _written(now_s)
        return _mismatch(f"Signature expired: {given} is now earlier than {limit} ({now} - 5 min.)")
    if moment > now_s + SKEW_S:
        limit, now = _written(now_s + SKEW_S), _written(now_s)
        return _mismatch(f"Signature not yet current: {given} is still later than {limit} ({now} + 5 min.)")
    return None


def _moment(given: str) -> float | None:
    try:
        return datetime.strptime(given, _DATE_FORMAT).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None


def _written(epoch_s: float) -> str:
    return datetime.fromtimestamp(epoch_s, UTC).strftime(_DATE_FORMAT)


def _signature(secret: str, claim: Claim, request: HttpRequest, given: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (claim.day, claim.region, claim.service, TERMINATOR):
        key = hmac.digest(key, part.encode(), "sha256")
    canonical = hashlib.sha256(_canonical(claim, request)).hexdigest()
    text = "\n".join((ALGORITHM, given, claim.scope, canonical))
    return hmac.digest(key, text.encode("utf-8"), "sha256").hex().encode()


def _canonical(claim: Claim, request: HttpRequest) -> bytes:
    unsigned = request.header("x-amz-content-sha256") == UNSIGNED
    lines = (
        request.method,
        quote(request.path.encode("latin-1"), safe="/" + _SAFE),  # a second time: only S3 signs it as it is
        _canonical_query(request.query),
        *(f"{name}:{' '.join(request.header(name).split())}" for name in claim.signed),
        "",
        ";".join(claim.signed),
        UNSIGNED if unsigned else hashlib.sha256(request.body).hexdigest(),
    )
    return "\n".join(lines).encode("latin-1", "replace")


def _canonical_query(query: str) -> str:
    pairs = (pair.partition("=") for pair in query.split("&") if pair)
    return "&".join(f"{name}={value}" for name, value in sorted((_again(n), _again(v)) for n, _, v in pairs))


def _again(text: str) -> str:
    """Encoded as AWS does it, whichever way the client wrote it."""
    return quote(unquote_to_bytes(text.encode("latin-1")), safe=_SAFE)
