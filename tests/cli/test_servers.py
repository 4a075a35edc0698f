"""`harness provider` and `harness proxy`: real processes, used by real clients, ended by Ctrl-C."""

from __future__ import annotations

import json
import re
import smtplib
import subprocess
import urllib.request
from pathlib import Path

import pytest

from tests.cli.conftest import Harness
from tests.cli.foreground import foreground, port_after


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
