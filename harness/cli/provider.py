"""`harness provider NAME`: one fake in the foreground, for trying a client against it by hand.

The provider is the one that runs use, in this process. Its journal is printed as it is written, a line a
record.
"""

from __future__ import annotations

import asyncio
import signal
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.exits import CommandError

if TYPE_CHECKING:
    from harness.providers.ledger import FileSink
    from harness.providers.preset import Preset
    from harness.providers.wire import Account, ProviderConfig, RouteListener

MAIN = "main"
EPILOG = """\b
Examples:
  harness provider microsoft365-smtp --port 2525
  harness provider sendgrid --port 8025 --secret SG.my-test-key
  harness provider sendgrid --account shop --account news --tenant retail
  harness provider sendgrid --events-url http://127.0.0.1:8099/events
  harness provider smtp --port 2525 --control-port 2526
  curl -X PUT 127.0.0.1:2526/faults/f -d '{"id": "f", "type": "refuse", "code": 451}'
"""


@click.command(epilog=EPILOG)
@click.argument("name")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    help="Its port, of the first account; a free one by default.",
)
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
    "--account",
    "accounts",
    multiple=True,
    metavar="NAME",
    help="Have an account of that name, with ports and credentials of its own. May be repeated.",
)
@click.option("--tenant", default="", help="Whose accounts they are; faults can be about one tenant alone.")
@click.option("--events-url", metavar="URL", help="Where it posts what became of the mail, if it does.")
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
    accounts: tuple[str, ...],
    tenant: str,
    events_url: str | None,
    limits: tuple[str, ...],
    folder: Path | None,
) -> None:
    """Start one fake provider in the foreground.

    Prints its addresses, its credentials and a command to try, then each attempt as it is recorded. Ctrl-C
    ends it. `harness providers` lists the names.
    """
    import msgspec

    from harness.cli.provider_banner import has_tls
    from harness.providers import presets
    from harness.providers.errors import ConfigError
    from harness.providers.tls import make_ca
    from harness.providers.wire import ProviderConfig

    names = accounts or (MAIN,)
    if len(set(names)) < len(accounts):
        raise click.UsageError("Name each --account once.")
    if len(names) > 1 and (username or secret):
        raise click.UsageError("--username and --secret are for a single account; several have made-up ones.")
    if name == "mailpit":
        raise CommandError("Mailpit is no fake, and needs no harness to be tried", do="run `mailpit`")
    place = folder or Path(tempfile.mkdtemp(prefix=f"harness-{Path(name).name}-"))
    try:
        preset = presets.load(name)
        place.mkdir(parents=True, exist_ok=True)
        _, cert, key = make_ca(place, list(preset.real_hosts)) if has_tls(preset) else (None, None, None)
        first, *others = [
            _listener(preset, each, _account(preset, each, tenant, username, secret), events_url)
            for each in names
        ]
        first = msgspec.structs.replace(first, port=port, rejecting_port=rejecting_port)
        config = ProviderConfig(
            name=name,
            preset=name,
            listeners=[first, *others],
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


def _account(preset: Preset, name: str, tenant: str, username: str | None, secret: str | None) -> Account:
    """The first that is made, without a name, is the mailer's."""
    import msgspec

    made_up = preset.credential.account(0, "mailer" if name == MAIN else name, tenant=tenant)
    return msgspec.structs.replace(
        made_up, username=username or made_up.username, secret=secret or made_up.secret
    )


def _listener(preset: Preset, name: str, account: Account, events_url: str | None) -> RouteListener:
    """An account's ways in."""
    from harness.providers.wire import RouteListener
    from harness.testbed.credentials import events_secret

    return RouteListener(
        route=name,
        account=account,
        https=preset.scheme.endswith("+https"),
        events_secret=events_secret(preset, 0, name, account),
        events_url=events_url,
    )


def _limit(text: str) -> tuple[str, float | int]:
    key, _, number = text.partition("=")
    try:
        return key, float(number) if "." in number else int(number)
    except ValueError:
        raise click.UsageError(
            f"--limit {text}: say KEY=NUMBER, for example messages_per_minute=30"
        ) from None


async def _serve(config: ProviderConfig, preset: Preset, place: Path) -> None:
    from harness.cli.provider_banner import banner
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
        click.secho(f"{preset.name}: {preset.summary}", bold=True)
        for line in banner(config, preset, provider.ready, place):
            click.echo(f"  {line}")
        click.echo("Ctrl-C ends it. Every attempt from here on:")
        await stop.wait()
    finally:
        await provider.close()
    click.echo(f"ended; the journal is in {place}")


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

    from harness.history.events import ConnectionsClosed, EndpointCalled, ProviderEvent, Receipt

    record = msgspec.json.decode(line, type=Receipt | ConnectionsClosed | EndpointCalled | ProviderEvent)
    at = f"{(record.t_ns - started_ns) / 1e9:9.3f} s"
    if isinstance(record, Receipt):
        code = f" {record.code}" if record.code is not None else ""
        size = f", {record.body_bytes} bytes" if record.body_bytes is not None else ""
        whom = f"{record.recipient or '(no recipient)'}{size}"
        told = " ".join(record.text.split())
        return f"{at}  {record.result:9}{code} {whom}  {told}".rstrip()
    if isinstance(record, ConnectionsClosed):
        return f"{at}  closed     {', '.join(record.connections)}  {record.reason}".rstrip()
    if isinstance(record, EndpointCalled):
        answered = record.code or "no answer"
        return f"{at}  {record.endpoint:9} {answered} {record.request}  {record.account}".rstrip()
    return f"{at}  {record.event:9}  {record.recipient or ''}".rstrip()
