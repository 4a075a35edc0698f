"""`harness provider` and `harness proxy`: real processes, used by real clients, ended by Ctrl-C."""

from __future__ import annotations

import json
import re
import shlex
import smtplib
import ssl
import subprocess
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from queue import Queue

import msgspec
import pytest
from sendgrid.helpers.eventwebhook import EventWebhook, EventWebhookHeader

from harness.cli.provider import describe
from harness.history.events import Receipt, ReceiptResult
from harness.providers import presets
from tests.cli.conftest import Harness
from tests.cli.foreground import PROGRAM, foreground, port_after

REFUSED = Receipt(
    t_ns=1,
    source="graph",
    n=1,
    provider="graph",
    route="main",
    endpoint="api",
    result=ReceiptResult.DEFERRED,
    attempt="a",
    begin_ns=0,
    end_ns=1,
    code=401,
    recipient="c.me@customer.example",
    text="a first line\nand a second",
)


def test_an_smtp_provider_says_how_to_use_it_and_shows_each_attempt(tmp_path: Path) -> None:
    with foreground("provider", "smtp", "--dir", str(tmp_path), "--secret", "app-password") as provider:
        banner = provider.until("Every attempt")
        assert "login    mailer@contoso.example / app-password" in banner
        assert "swaks --server 127.0.0.1:" in banner
        with smtplib.SMTP("127.0.0.1", port_after("listens", banner)) as smtp:
            smtp.login("mailer@contoso.example", "app-password")
            smtp.sendmail("mailer@contoso.example", "c.me@customer.example", "Subject: hi\r\n\r\nhello\r\n")
        assert "accepted" in provider.until("c.me@customer.example")
        with (
            smtplib.SMTP("127.0.0.1", port_after("rejects", banner)) as smtp,
            pytest.raises(smtplib.SMTPAuthenticationError),
        ):
            smtp.login("mailer@contoso.example", "app-password")
        assert provider.interrupt() == 0
    assert "c.me@customer.example" in (tmp_path / "journal.jsonl").read_text()


def test_microsoft_365_wants_tls_and_names_the_ca_to_trust(tmp_path: Path) -> None:
    with foreground("provider", "microsoft365-smtp", "--dir", str(tmp_path)) as provider:
        banner = provider.until("Every attempt")
        assert f"trust    {tmp_path / 'ca.pem'}" in banner
        assert "--tls" in banner
        assert provider.interrupt() == 0


@pytest.mark.parametrize("name", [name for name in presets.names() if presets.load(name).engine == "smtp"])
def test_the_command_that_an_smtp_provider_suggests_has_a_sender_that_it_takes(
    name: str, tmp_path: Path
) -> None:
    with foreground("provider", name, "--dir", str(tmp_path)) as provider:
        banner = provider.until("Every attempt")
        (command,) = said("try", banner)
        words = shlex.split(command)
        told = {key: value for key, value in pairwise(words) if key.startswith("--")}
        with smtplib.SMTP("127.0.0.1", port_after("listens", banner)) as smtp:
            if "--tls" in words:
                smtp.starttls(context=ssl.create_default_context(cafile=tmp_path / "ca.pem"))
            if "--auth-user" in told:
                smtp.login(told["--auth-user"], told["--auth-password"])
            smtp.sendmail(told["--from"], [told["--to"]], "Subject: hi\r\n\r\nhello\r\n")
        assert "accepted" in provider.until("c.me@customer.example")
        assert bool(said("rejects", banner)) == (
            "--auth-user" in told
        )  # nobody is refused who logs in nowhere
        assert provider.interrupt() == 0


def test_a_record_is_one_line_whatever_the_provider_says() -> None:
    shown = describe(msgspec.json.encode(REFUSED), 0)
    assert shown.endswith("401 c.me@customer.example  a first line and a second")


@pytest.mark.parametrize(
    ("name", "status", "recipient"),
    [
        ("sendgrid", 202, "c.me@customer.example"),
        ("ses-v2", 200, "c.me@customer.example"),
        ("twilio-sms", 201, "+12025550100"),
    ],
)
def test_the_command_that_an_http_provider_suggests_works(
    tmp_path: Path, name: str, status: int, recipient: str
) -> None:
    with foreground("provider", name, "--dir", str(tmp_path), "--secret", "SG.mine") as provider:
        banner = provider.until("Every attempt")
        suggested = next(line for line in banner.splitlines() if line.strip().startswith("try"))
        command = suggested.strip().removeprefix("try").strip()
        done = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)
        assert f" {status} " in done.stdout.splitlines()[0]
        assert "accepted" in provider.until(recipient)
        assert provider.interrupt() == 0


def said(label: str, banner: str) -> list[str]:
    """What stands behind a label of the banner, line by line."""
    lines = [line.strip() for line in banner.splitlines() if line.startswith(f"  {label} ")]
    return [line.removeprefix(label).strip() for line in lines]


def shell(command: str) -> str:
    return subprocess.run(command, shell=True, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("name", [name for name in presets.names() if presets.load(name).engine == "http"])
def test_every_command_that_an_http_provider_suggests_works(name: str, tmp_path: Path) -> None:
    with foreground("provider", name, "--dir", str(tmp_path)) as provider:
        commands = said("try", provider.until("Every attempt"))
        assert len(commands) == 1 + len(presets.load(name).endpoints)
        for command in commands:
            assert re.match(r"HTTP/1.1 2\d\d ", shell(command)), command
        assert provider.interrupt() == 0


def test_each_endpoint_has_its_line_and_its_command_and_who_asks_is_shown(tmp_path: Path) -> None:
    program = "from tests.providers.stand_ins import standing_in\nwith standing_in():\n " + PROGRAM
    with foreground("provider", "sendgrid", "--dir", str(tmp_path), program=program) as provider:
        banner = provider.until("Every attempt")
        assert port_after("token", banner) != port_after("listens", banner)
        by_token, mail = said("try", banner)
        assert f":{port_after('token', banner)}/token" in by_token
        assert " 200 " in shell(by_token).splitlines()[0]
        assert "token     200 POST /token  mailer" in provider.until("POST /token")
        assert " 202 " in shell(mail).splitlines()[0]
        rejecting = re.search(r"rejecting (127\.0\.0\.1:\d+)", banner)
        assert rejecting is not None
        refused = by_token.replace(f"127.0.0.1:{port_after('token', banner)}", rejecting[1])
        assert " 401 " in shell(refused).splitlines()[0]
        assert provider.interrupt() == 0


def test_a_page_without_mail_is_got(tmp_path: Path) -> None:
    program = "from tests.providers.stand_ins import standing_in\nwith standing_in():\n " + PROGRAM
    with foreground("provider", "smtp", "--dir", str(tmp_path), program=program) as provider:
        banner = provider.until("Every attempt")
        (command,) = said("try", banner)
        assert "all is well" in shell(command)
        assert said("login", banner) == []
        assert provider.interrupt() == 0


def test_several_accounts_have_ports_and_credentials_of_their_own_and_one_tenant(tmp_path: Path) -> None:
    arguments = ("--account", "shop", "--account", "news", "--tenant", "retail")
    with foreground("provider", "sendgrid", "--dir", str(tmp_path), *arguments) as provider:
        banner = provider.until("Every attempt")
        assert said("account", banner) == ["shop", "news"]
        assert said("tenant", banner) == ["retail", "retail"]
        for label in ("listens", "rejects", "login", "try"):
            first, second = said(label, banner)
            assert first != second
        for command in said("try", banner):
            assert " 202 " in shell(command).splitlines()[0]
        own, other = said("try", banner)
        key, strange = (re.search(r"Bearer (\S+?)'", command) for command in (own, other))
        assert key is not None and strange is not None
        assert " 401 " in shell(own.replace(key[1], strange[1])).splitlines()[0]
        assert provider.interrupt() == 0
    records = [json.loads(line) for line in (tmp_path / "journal.jsonl").read_text().splitlines()]
    assert [each["route"] for each in records if each["kind"] == "receipt"] == ["shop", "news", "shop"]
    assert [each.get("tenant") for each in records if each["kind"] == "receipt"][:2] == ["retail", "retail"]


def test_its_events_are_posted_where_one_asks_and_the_key_that_it_prints_verifies_them(
    tmp_path: Path,
) -> None:
    posts: Queue[tuple[dict[str, str], bytes]] = Queue()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            posts.put(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}/events"
    try:
        with foreground("provider", "sendgrid", "--dir", str(tmp_path), "--events-url", url) as provider:
            banner = provider.until("Every attempt")
            assert said("events", banner) == [f"to {url}"]
            shell(said("try", banner)[0])
            headers, body = posts.get(timeout=20)
            webhook = EventWebhook()
            assert webhook.verify_signature(
                body.decode(),
                headers[EventWebhookHeader.SIGNATURE.lower()],
                headers[EventWebhookHeader.TIMESTAMP.lower()],
                webhook.convert_public_key_to_ecdsa(said("verify", banner)[0]),
            )
            assert {each["event"] for each in json.loads(body)} <= {"processed", "delivered"}
            assert provider.interrupt() == 0
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("smtp", "--events-url", "http://127.0.0.1:1/"), "posts no events"),
        (("sendgrid", "--account", "a", "--account", "a"), "Name each --account once"),
        (("sendgrid", "--account", "a", "--account", "b", "--secret", "s"), "for a single account"),
    ],
)
def test_what_cannot_be_served_is_exit_2(
    harness: Harness, tmp_path: Path, arguments: tuple[str, ...], told: str
) -> None:
    ended = harness("provider", *arguments, "--dir", tmp_path)
    assert ended.code == 2 and told in ended.err


def test_a_fault_is_put_in_and_taken_out_with_the_commands_of_the_banner(tmp_path: Path) -> None:
    with foreground("provider", "smtp", "--dir", str(tmp_path)) as provider:
        banner = provider.until("Every attempt")
        for label in ("fault", "no fault"):
            line = next(line for line in banner.splitlines() if line.startswith(f"  {label} "))
            command = line.strip().removeprefix(label).strip().replace("curl", "curl -sf", 1)
            subprocess.run(command, shell=True, capture_output=True, check=True)


def test_an_unknown_provider_or_limit_is_exit_2_with_the_valid_ones(harness: Harness, tmp_path: Path) -> None:
    ended = harness("provider", "sendgird")
    assert ended.code == 2
    assert "sendgrid" in ended.err
    ended = harness("provider", "smtp", "--dir", tmp_path, "--limit", "conections=1")
    assert ended.code == 2
    assert "connections" in ended.err


def test_a_port_that_is_taken_is_exit_2(harness: Harness, tmp_path: Path) -> None:
    with foreground("provider", "smtp", "--dir", str(tmp_path)) as provider:
        port = port_after("listens", provider.until("Every attempt"))
        ended = harness("provider", "smtp", "--port", port, "--dir", tmp_path / "other")
    assert ended.code == 2
    assert str(port) in ended.err


def test_the_embedded_proxy_answers_as_toxiproxy_does() -> None:
    with foreground("proxy", "--port", "0") as proxy:
        said = proxy.until("Toxiproxy API")
        found = re.search(r"http://127\.0\.0\.1:\d+", said)
        assert found is not None
        body = json.dumps({"name": "mail", "listen": "127.0.0.1:0", "upstream": "127.0.0.1:9"}).encode()
        with urllib.request.urlopen(f"{found[0]}/proxies", data=body, timeout=5) as answer:
            assert answer.status == 201
        assert proxy.interrupt() == 0


def test_the_providers_are_listed_with_their_limits_and_answers(harness: Harness) -> None:
    ended = harness("providers")
    assert ended.code == 0
    for said in ("microsoft365-smtp", "sendgrid", "messages_per_minute 30", "server-busy"):
        assert said in ended.out
    listed = json.loads(harness("providers", "--json").out)
    assert {"microsoft365-smtp", "sendgrid", "smtp", "mailpit"} <= {one["name"] for one in listed}
