"""What `harness provider NAME` says when it is up: addresses, credentials, and commands to copy.

Each account has its own addresses. The commands send what the harness's own canary would, so they work with
every preset.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.providers.preset import ApiRequest, Preset
    from harness.providers.wire import Account, BoundListener, ProviderConfig, Ready, RouteListener

WIDTH = 10


def banner(config: ProviderConfig, preset: Preset, ready: Ready, place: Path) -> Iterator[str]:
    """Line by line; `place` holds the certificates."""
    for listener in config.listeners:
        if len(config.listeners) > 1:
            yield _row("account", listener.route)
        bound = [each for each in ready.listeners if each.route == listener.route]
        yield from _account(config, preset, listener, bound, place)
    if has_tls(preset):
        yield _row("trust", str(place / "ca.pem"))
    control = f"127.0.0.1:{ready.control_port}"
    fault = shlex.quote('{"id": "f", "type": "refuse", "code": 503}')
    if preset.carries_mail:
        fault = shlex.quote('{"id": "f", "type": "ack-loss"}')
    yield _row("fault", f"curl -X PUT {control}/faults/f -d {fault}")
    yield _row("no fault", f"curl -X DELETE {control}/faults/f")
    yield _row("journal", f"{config.journal_path}, or curl -N {control}/journal")


def _account(
    config: ProviderConfig, preset: Preset, listener: RouteListener, bound: list[BoundListener], place: Path
) -> Iterator[str]:
    """Of one account; its main endpoint is bound first."""
    from harness.scenario.playable import takes_logins

    main, *beside = bound
    account = listener.account
    yield _row("listens", f"127.0.0.1:{main.port} ({preset.scheme})")
    if takes_logins(preset.name):
        yield _row("rejects", f"127.0.0.1:{main.rejecting_port}, the same provider refusing every login")
    for each in beside:
        yield _row(each.endpoint, f"127.0.0.1:{each.port}, and rejecting 127.0.0.1:{each.rejecting_port}")
    if preset.carries_mail and account.username:
        yield _row("login", f"{account.username} / {account.secret}")
    if account.tenant:
        yield _row("tenant", account.tenant)
    if listener.events_url is not None and preset.events is not None:
        yield _row("events", f"to {listener.events_url}")
        if listener.events_secret:
            yield _row("verify", preset.events.verifies_with(listener.events_secret))
    if preset.canary is None:
        yield _row("try", _swaks(preset, account, main.port))
        return
    for each in beside:
        asked = preset.endpoint_canaries[each.endpoint](account)
        yield _row("try", _curl(preset, asked, account, each.port, place))
    # What another endpoint gives out, such as a token, others have to ask for; the canary needs none.
    sender = config.canary_account if beside else account
    canary = preset.canary
    request = canary.message(sender, _hello()) if preset.carries_mail else canary.login(sender)
    yield _row("try", _curl(preset, request, sender, main.port, place))


def has_tls(preset: Preset) -> bool:
    return "starttls" in preset.scheme or preset.scheme.endswith("+https")


def _row(label: str, text: str) -> str:
    return f"{label:{WIDTH - 1}}{text}"


def _hello() -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"] = "shop@contoso.example", "c.me@customer.example"
    message["Subject"] = "Hello"
    message.set_content("Hello")
    return message


def _swaks(preset: Preset, account: Account, port: int) -> str:
    words = ["swaks", "--server", f"127.0.0.1:{port}", "--to", "c.me@customer.example"]
    words += ["--from", account.username if "@" in account.username else "mailer@sender.example"]
    if account.username:
        words += ["--auth", "LOGIN", "--auth-user", account.username, "--auth-password", account.secret]
    return shlex.join([*words, "--tls"] if "starttls" in preset.scheme else words)


def _curl(preset: Preset, request: ApiRequest, account: Account, port: int, place: Path) -> str:
    at = f"127.0.0.1:{port}{request.path}"
    https = has_tls(preset)
    words = ["curl", "-i", "-X", request.method, f"https://{at}" if https else at]
    words += ["--cacert", str(place / "ca.pem")] if https else []
    headers = dict(request.headers)
    if headers.get("Authorization", "").startswith("AWS4-"):
        # A signature has a moment and a host: curl makes one of its own.
        words += ["--aws-sigv4", "aws:amz:us-east-1:ses", "--user", f"{account.username}:{account.secret}"]
        headers = {name: value for name, value in headers.items() if name == "Content-Type"}
    for name, value in headers.items():
        words += ["-H", f"{name}: {value}"]
    return shlex.join([*words, "--data-binary", request.body.decode()] if request.body else words)
