"""A provider as a process: the line it prints, the signals it takes, the journal it leaves behind."""

from __future__ import annotations

import os
import signal
import smtplib
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import msgspec
import pytest

from harness.history.events import Receipt
from harness.providers.wire import ProviderConfig, Ready, RouteListener
from tests.providers.running import CANARY, RECIPIENT, ROUTE, message


def config(folder: Path, **changes: object) -> ProviderConfig:
    made = ProviderConfig(
        name="fake",
        preset="smtp",
        listeners=[RouteListener(route="primary", account=ROUTE)],
        canary_account=CANARY,
        journal_path=str(folder / "fake.jsonl"),
        pack_path=str(folder / "fake.pack"),
    )
    return msgspec.structs.replace(made, **changes)


@contextmanager
def process(folder: Path, settings: ProviderConfig) -> Iterator[tuple[subprocess.Popen[bytes], bytes]]:
    path = folder / "config.json"
    path.write_bytes(msgspec.json.encode(settings))
    command = [sys.executable, "-m", "harness.providers", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        try:
            assert running.stdout is not None
            yield running, running.stdout.readline()
        finally:
            running.kill()


def send(port: int) -> None:
    with smtplib.SMTP("127.0.0.1", port, timeout=10) as client:
        client.sendmail("sender@sender.example", [RECIPIENT], message())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_listens_and_ends_on_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    with process(tmp_path, config(tmp_path)) as (running, line):
        ready = msgspec.json.decode(line, type=Ready)
        (listener,) = ready.listeners
        assert (ready.provider, listener.route, listener.endpoint) == ("fake", "primary", "smtp")
        assert len({ready.control_port, listener.port, listener.rejecting_port}) == 3
        send(listener.port)
        running.send_signal(number)
        assert running.wait(10) == 0
        assert running.stderr is not None and running.stderr.read() == b""


def test_it_ends_when_the_control_api_says_so(tmp_path: Path) -> None:
    with process(tmp_path, config(tmp_path)) as (running, line):
        ready = msgspec.json.decode(line, type=Ready)
        answer = httpx.post(f"http://127.0.0.1:{ready.control_port}/shutdown", trust_env=False)
        assert answer.status_code == 202
        assert running.wait(10) == 0


def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    with process(tmp_path, config(tmp_path)) as (running, line):
        port = msgspec.json.decode(line, type=Ready).listeners[0].port
        with smtplib.SMTP("127.0.0.1", port, timeout=10) as client:
            for _ in range(20):
                client.sendmail("sender@sender.example", [RECIPIENT], message())
            os.kill(running.pid, signal.SIGKILL)
            running.wait(10)
    lines = (tmp_path / "fake.jsonl").read_bytes().splitlines()
    receipts = [msgspec.json.decode(line, type=Receipt) for line in lines]
    assert [receipt.n for receipt in receipts] == list(range(1, 21))
    pack = (tmp_path / "fake.pack").read_bytes()
    for receipt in receipts:
        assert receipt.body_offset is not None and receipt.body_bytes is not None
        assert pack[receipt.body_offset :][: receipt.body_bytes] == message()


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"preset": "microsoft365-smpt"}, "Did you mean 'microsoft365-smtp'?"),
        ({"limits": {"messages_per_minut": 3}}, "Valid limits: connections, messages_per_minute"),
        ({"limits": {"connections": 0}}, "connections"),
        ({"preset": "microsoft365-smtp"}, "needs tls_cert_path"),
        ({"tls_cert_path": "absent.pem", "tls_key_path": "absent.key"}, "cannot load certificate"),
        ({"relay": "nowhere"}, "not host:port"),
        ({"control_port": 1, "control_host": "192.0.2.1"}, "cannot listen on 192.0.2.1:1"),
    ],
)
def test_what_cannot_be_served_is_said_on_standard_error(
    tmp_path: Path, changes: dict[str, object], complaint: str
) -> None:
    with process(tmp_path, config(tmp_path, **changes)) as (running, line):
        assert line == b""
        assert running.wait(10) == 2
        assert running.stderr is not None
        errors = running.stderr.read().decode()
        assert complaint in errors
        assert "Traceback" not in errors
