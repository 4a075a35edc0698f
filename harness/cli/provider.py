"""`harness provider NAME`: one fake in the foreground, for trying a client against it by hand.

The provider is the one that runs use, in this process. Its journal is printed as it is written, a line a
record.
"""

from __future__ import annotations

import asyncio
import shlex
import signal
import tempfile
import time
from email.message import EmailMessage
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.exits import CommandError

if TYPE_CHECKING:
    from harness.providers.ledger import FileSink
    from harness.providers.preset import Preset
    from harness.providers.serve import RunningProvider
    from harness.providers.wire import Account, ProviderConfig

EPILOG = """\b
Examples:
  harness provider microsoft365-smtp --port 2525
  harness provider sendgrid --port 8025 --secret SG.my-test-key
  harness provider smtp --port 2525 --control-port 2526
  curl -X PUT 127.0.0.1:2526/faults/f -d '{"id": "f", "type": "refuse", "code": 451}'
"""


@click.command(epilog=EPILOG)
@click.argument("name")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Its port; a free one by default.")
@click.option(
    "--rejecting-port",
    type=click.IntRange(0, 65535),
    default=0,
    help="The same provider, refusing every login; a free one by default.",
)
@click.option("--control-port", type=click.IntRange(0, 65535), default=0, help="Faults, journal and numbers.")
@click.option("--username", help="Who may log in; a made-up one by default, of the provider's own form.")
@click.option("--secret", help="Password, access token or API key; a made-up one by default.")
@click.option(
    "--limit",
    "limits",
    multiple=True,
    metavar="KEY=NUMBER",
    help="Change one of its limits; `harness providers` lists them. May be repeated.",
)
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where its journal, bodies and certificates go; a new temporary folder by default.",
)
def command(
    name: str,
    port: int,
    rejecting_port: int,
    control_port: int,
    username: str | None,
    secret: str | None,
    limits: tuple[str, ...],
    folder: Path | None,
) -> None:
    """Start one fake provider in the foreground.

    Prints its addresses, its credentials and a command to try, then each attempt as it is recorded. Ctrl-C
    ends it. `harness providers` lists the names.
    """
    import msgspec

    from harness.providers import presets
    from harness.providers.errors import ConfigError
    from harness.providers.tls import make_ca
    from harness.providers.wire import ProviderConfig, RouteListener

    if name == "mailpit":
        raise CommandError("Mailpit is no fake, and needs no harness to be tried", do="run `mailpit`")
    place = folder or Path(tempfile.mkdtemp(prefix=f"harness-{Path(name).name}-"))
    try:
        preset = presets.load(name)
        place.mkdir(parents=True, exist_ok=True)
        _, cert, key = make_ca(place) if _has_tls(preset) else (None, None, None)
        account = preset.credential.account(0, "mailer")
        account = msgspec.structs.replace(
            account, username=username or account.username, secret=secret or account.secret
        )
        config = ProviderConfig(
            name=name,
            preset=name,
            listeners=[
                RouteListener(
                    route="main",
                    account=account,
                    port=port,
                    rejecting_port=rejecting_port,
                    https=preset.scheme.endswith("+https"),
                )
            ],
            canary_account=preset.credential.account(0, "canary", canary=True),
            limits=dict(_limit(each) for each in limits),
            control_port=control_port,
            journal_path=str(place / "journal.jsonl"),
            pack_path=str(place / "bodies.pack"),
            tls_cert_path=str(cert) if cert else None,
            tls_key_path=str(key) if key else None,
        )
        asyncio.run(_serve(config, preset, place))
    except ConfigError as error:
        raise CommandError(str(error), do="`harness providers` lists names and limits") from error
    except OSError as error:
        raise CommandError(f"cannot serve {name}: {error}", do="choose another --port or --dir") from error


def _limit(text: str) -> tuple[str, float | int]:
    key, _, number = text.partition("=")
    try:
        return key, float(number) if "." in number else int(number)
    except ValueError:
        raise click.UsageError(
            f"--limit {text}: say KEY=NUMBER, for example messages_per_minute=30"
        ) from None


async def _serve(config: ProviderConfig, preset: Preset, place: Path) -> None:
    from harness.providers.clock import Clock
    from harness.providers.ledger import FileSink
    from harness.providers.serve import serve

    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    assert config.journal_path is not None
    clock = Clock(time.time() - loop.time(), loop)
    sink = PrintingSink(FileSink(Path(config.journal_path)), clock.now_ns())
    provider = await serve(config, clock, sink, stop)
    try:
        _banner(config, preset, provider, place)
        await stop.wait()
    finally:
        await provider.close()
    click.echo(f"ended; the journal is in {place}")


def _banner(config: ProviderConfig, preset: Preset, provider: RunningProvider, place: Path) -> None:
    bound, *beside = provider.ready.listeners
    account = config.listeners[0].account
    control = f"127.0.0.1:{provider.ready.control_port}"
    fault = shlex.quote('{"id": "f", "type": "ack-loss"}')
    rows = [("listens", f"127.0.0.1:{bound.port} ({preset.scheme})")]
    rows.append(("rejects", f"127.0.0.1:{bound.rejecting_port}, the same provider refusing every login"))
    for each in beside:
        rows.append((each.endpoint, f"127.0.0.1:{each.port}, and rejecting 127.0.0.1:{each.rejecting_port}"))
    if preset.engine == "smtp":
        if account.username:
            rows.append(("login", f"{account.username} / {account.secret}"))
        rows.append(("try", _swaks(preset, account, bound.port)))
    else:
        rows.append(("login", f"{account.username} / {account.secret}"))
        if preset.canary is not None:
            rows.append(("try", _curl(preset, account, bound.port, place)))
    if _has_tls(preset):
        rows.append(("trust", str(place / "ca.pem")))
    rows.append(("fault", f"curl -X PUT {control}/faults/f -d {fault}"))
    rows.append(("no fault", f"curl -X DELETE {control}/faults/f"))
    rows.append(("journal", f"{config.journal_path}, or curl -N {control}/journal"))
    click.secho(f"{preset.name}: {preset.summary}", bold=True)
    for label, text in rows:
        click.echo(f"  {label:9}{text}")
    click.echo("Ctrl-C ends it. Every attempt from here on:")


def _swaks(preset: Preset, account: Account, port: int) -> str:
    words = ["swaks", "--server", f"127.0.0.1:{port}", "--to", "c.me@customer.example"]
    words += ["--from", account.username or "mailer@sender.example"]
    if account.username:
        words += ["--auth", "LOGIN", "--auth-user", account.username, "--auth-password", account.secret]
    return shlex.join([*words, "--tls"] if "starttls" in preset.scheme else words)


def _has_tls(preset: Preset) -> bool:
    return "starttls" in preset.scheme or preset.scheme.endswith("+https")


def _curl(preset: Preset, account: Account, port: int, place: Path) -> str:
    assert preset.canary is not None
    message = EmailMessage()
    message["From"], message["To"] = "shop@contoso.example", "c.me@customer.example"
    message["Subject"] = "Hello"
    message.set_content("Hello")
    request = preset.canary.message(account, message)
    at = f"127.0.0.1:{port}{request.path}"
    https = _has_tls(preset)
    words = ["curl", "-i", "-X", request.method, f"https://{at}" if https else at]
    words += ["--cacert", str(place / "ca.pem")] if https else []
    for name, value in request.headers.items():
        words += ["-H", f"{name}: {value}"]
    return shlex.join([*words, "--data-binary", request.body.decode()] if request.body else words)


class PrintingSink:
    """A sink that keeps what it is given, and prints one line of it."""

    def __init__(self, kept: FileSink, started_ns: int) -> None:
        self._kept = kept
        self._started_ns = started_ns

    @property
    def last_n(self) -> int:
        return self._kept.last_n

    def lines(self, after: int, limit: int) -> list[bytes]:
        return self._kept.lines(after, limit)

    def record(self, line: bytes) -> None:
        self._kept.record(line)
        click.echo(describe(line, self._started_ns))


def describe(line: bytes, started_ns: int) -> str:
    """One record of a provider's journal as one line for a person; times count from the start, in seconds."""
    import msgspec

    from harness.history.events import ConnectionsClosed, ProviderEvent, Receipt

    record = msgspec.json.decode(line, type=Receipt | ConnectionsClosed | ProviderEvent)
    at = f"{(record.t_ns - started_ns) / 1e9:9.3f} s"
    if isinstance(record, Receipt):
        code = f" {record.code}" if record.code is not None else ""
        size = f", {record.body_bytes} bytes" if record.body_bytes is not None else ""
        whom = f"{record.recipient or '(no recipient)'}{size}"
        return f"{at}  {record.result:9}{code} {whom}  {record.text}".rstrip()
    if isinstance(record, ConnectionsClosed):
        return f"{at}  closed     {', '.join(record.connections)}  {record.reason}".rstrip()
    return f"{at}  {record.event:9}  {record.recipient or ''}".rstrip()
