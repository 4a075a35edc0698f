"""Entra's token endpoint, login.microsoftonline.com: client credentials for an access token, and the two
documents that MSAL asks for before it does.

The client id is the account's user name, the client secret its secret. The answers name the host that was
asked, so that a client which goes by them stays on its way through the proxy. Only the account's own tenant
is known, where it has one; else any.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlencode, urlsplit

import msgspec

from harness.history.events import ReceiptResult
from harness.providers.http.accounts import Accounts
from harness.providers.http.api import basic
from harness.providers.http.messages import Answer, HttpRequest, HttpRoute, Operation
from harness.providers.ids import uuid_of
from harness.providers.preset import ApiRequest
from harness.providers.presets import _entra_errors as errors
from harness.providers.presets import _entra_tokens as tokens
from harness.providers.wire import Account

ENDPOINT = "token"
REAL_HOST = "login.microsoftonline.com"
TOKEN = "/{tenant}/oauth2/v2.0/token"
CONFIGURATION = "/{tenant}/v2.0/.well-known/openid-configuration"
DISCOVERY = "/common/discovery/instance"
ROUTES = (
    HttpRoute(method="POST", path=TOKEN, operation=Operation.OPEN, endpoint=ENDPOINT),
    HttpRoute(method="GET", path=CONFIGURATION, operation=Operation.OPEN, endpoint=ENDPOINT),
    HttpRoute(method="GET", path=DISCOVERY, operation=Operation.OPEN, endpoint=ENDPOINT),
)
_FORM = "application/x-www-form-urlencoded"


class _Token(msgspec.Struct, frozen=True):
    token_type: str
    expires_in: int
    access_token: str


def is_asked(request: HttpRequest) -> bool:
    """Whether a path is of this endpoint, and not of Graph."""
    return any(part in request.path for part in ("/oauth2/", "/.well-known/", "/discovery/"))


def asks_for_token(request: HttpRequest) -> bool:
    return request.path.endswith("/oauth2/v2.0/token")


def caller(request: HttpRequest, accounts: Accounts) -> Account | None:
    """Which app asks, whether or not its secret is right."""
    return accounts.of_username(_client(request)[0])


def answer(request: HttpRequest, accounts: Accounts, key: bytes, lifetime_s: float) -> Answer:
    """`accounts` are those whose secrets are right at the moment."""
    if asks_for_token(request):
        return _token(request, accounts, key, lifetime_s)
    return _discovery(request) if request.path == DISCOVERY else _configuration(request)


def dress(plain: Answer, request: HttpRequest, attempt: str) -> Answer:
    """Fill in what an error says of the very request."""
    now = datetime.fromtimestamp(request.now_s, UTC)
    return errors.dress(
        plain,
        trace_id=uuid_of(attempt),
        correlation_id=request.header("client-request-id") or uuid_of(attempt, "correlation"),
        timestamp=now.strftime("%Y-%m-%d %H:%M:%SZ"),
        app=_client(request)[0],
        tenant=request.path_params.get("tenant", ""),
        scope=_form(request).get("scope", ""),
    )


def canary_request(account: Account) -> ApiRequest:
    """What the harness's canary asks here. Its credentials stand in a header, which Entra takes as well, so
    that it is known for what it is before its body is read."""
    login = base64.b64encode(f"{account.username}:{account.secret}".encode()).decode()
    form = {"grant_type": "client_credentials", "scope": f"{tokens.GRAPH}/.default"}
    return ApiRequest(
        method="POST",
        path=TOKEN.format(tenant=account.tenant or "contoso.example"),
        headers={"Content-Type": _FORM, "Authorization": f"Basic {login}"},
        body=urlencode(form).encode(),
    )


def _token(request: HttpRequest, accounts: Accounts, key: bytes, lifetime_s: float) -> Answer:
    form, (app, secret) = _form(request), _client(request)
    refused = _wrong_request(form, app) or _wrong_client(request, accounts, app, secret)
    if refused is not None:
        return refused
    scope = form["scope"]
    if "://" not in scope:
        return errors.SCOPE_INVALID
    if not scope.endswith("/.default"):
        return errors.SCOPE_NOT_DEFAULT
    access_token = tokens.issue(
        key,
        app=app,
        tenant=request.path_params["tenant"],
        audience=scope.removesuffix("/.default").rstrip("/"),
        now_s=request.now_s,
        lifetime_s=lifetime_s,
    )
    return _document(_Token("Bearer", round(lifetime_s), access_token))


def _wrong_request(form: Mapping[str, str], app: str) -> Answer | None:
    if not form:
        return errors.MALFORMED
    grant = form.get("grant_type")
    if grant is None:
        return errors.parameter_missing("grant_type")
    if grant != "client_credentials":
        return errors.grant_unsupported(grant)
    if not app:
        return errors.parameter_missing("client_id")
    return None if form.get("scope") else errors.parameter_missing("scope")


def _wrong_client(request: HttpRequest, accounts: Accounts, app: str, secret: str) -> Answer | None:
    account = accounts.of_username(app)
    if account is None and not accounts.known:  # nobody is let in, whoever it is
        return errors.SECRET_WRONG
    if account is None or account.tenant not in ("", request.path_params["tenant"]):
        return errors.APP_UNKNOWN
    if not secret:
        return errors.SECRET_MISSING
    return None if accounts.of_pair((app, secret)) is not None else errors.SECRET_WRONG


def _configuration(request: HttpRequest) -> Answer:
    base = f"https://{_host(request)}/{request.path_params['tenant']}"
    return _document(
        {
            "token_endpoint": f"{base}/oauth2/v2.0/token",
            "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
            "jwks_uri": f"{base}/discovery/v2.0/keys",
            "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
            "scopes_supported": ["openid", "profile", "email", "offline_access"],
            "issuer": f"https://{REAL_HOST}/{request.path_params['tenant']}/v2.0",
            "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
            "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
            "tenant_region_scope": "EU",
            "cloud_instance_name": "microsoftonline.com",
            "cloud_graph_host_name": "graph.windows.net",
            "msgraph_host": "graph.microsoft.com",
        }
    )


def _discovery(request: HttpRequest) -> Answer:
    host = _host(request)
    asked = parse_qs(request.query).get("authorization_endpoint", [""])[0]
    tenant = _first_part(asked) or "common"
    return _document(
        {
            "tenant_discovery_endpoint": f"https://{host}{CONFIGURATION.format(tenant=tenant)}",
            "api-version": "1.1",
            "metadata": [{"preferred_network": host, "preferred_cache": host, "aliases": [host]}],
        }
    )


def _document(content: object) -> Answer:
    return Answer(
        status=200,
        result=ReceiptResult.REFUSED,  # nothing was handed over, and nothing is recorded
        body=msgspec.json.encode(content),
        headers=errors.JSON,
    )


def _client(request: HttpRequest) -> tuple[str, str]:
    """Client id and secret, from the header or from the form; empty where there is none."""
    form = _form(request)
    return basic(request) or (form.get("client_id", ""), form.get("client_secret", ""))


def _form(request: HttpRequest) -> dict[str, str]:
    try:
        fields = parse_qs(request.body.decode(), max_num_fields=100)
    except ValueError:  # not UTF-8, or no form that anybody means
        return {}
    return {name: values[-1] for name, values in fields.items()}


def _first_part(url: str) -> str:
    try:
        return urlsplit(url).path.strip("/").partition("/")[0]
    except ValueError:
        return ""


def _host(request: HttpRequest) -> str:
    return request.header("host") or REAL_HOST
