"""The starter's mailer is small, and right: a clear no moves a message on, an unknown fate holds it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.foreground import foreground, port_after
from tests.ports import free_port

LOGIN = "mailer%40contoso.example:app-password"
MAILER = Path(__file__).resolve().parents[2] / "harness" / "cli" / "starter" / "mailer.py"


class Rig:
    """The mailer between two real fakes."""

    def __init__(self, port: int, journals: dict[str, Path], control: dict[str, str]) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.journals = journals
        self.control = control

    def send(self, key: str) -> tuple[int, str]:
        """Hand it one message; the code and the state that it answers."""
        order = {"from": "a@contoso.example", "to": f"c.{key}@customer.example", "subject": "s", "text": "t"}
        request = urllib.request.Request(
            f"{self.url}/messages",
            json.dumps({**order, "headers": {"X-Harness-Token": key}}).encode(),
            {"Idempotency-Key": key},
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, json.loads(answer.read())["state"]
        except urllib.error.HTTPError as refused:
            refused.close()
            return refused.code, ""

    def status(self) -> dict[str, object]:
        with urllib.request.urlopen(f"{self.url}/status", timeout=10) as answer:
            return dict(json.loads(answer.read()))

    def results(self, route: str) -> list[str]:
        """What the provider of that route recorded, attempt by attempt."""
        lines = self.journals[route].read_text().splitlines()
        return [record["result"] for record in map(json.loads, lines) if record["kind"] == "receipt"]

    def fault(self, route: str, **attributes: object) -> None:
        body = json.dumps({"id": "f", **attributes}).encode()
        request = urllib.request.Request(f"http://{self.control[route]}/faults/f", body, method="PUT")
        urllib.request.urlopen(request, timeout=10).close()

    def no_fault(self, route: str) -> None:
        request = urllib.request.Request(f"http://{self.control[route]}/faults/f", method="DELETE")
        urllib.request.urlopen(request, timeout=10).close()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with (
        foreground(
            "provider", "smtp", "--secret", "app-password", "--dir", str(tmp_path / "primary")
        ) as primary,
        foreground(
            "provider", "smtp", "--secret", "app-password", "--dir", str(tmp_path / "backup")
        ) as backup,
    ):
        banners = {"primary": primary.until("Every attempt"), "backup": backup.until("Every attempt")}
        urls = {
            f"{route.upper()}_URL": f"smtp://{LOGIN}@127.0.0.1:{port_after('listens', banner)}"
            for route, banner in banners.items()
        }
        port = free_port()
        mailer = subprocess.Popen([sys.executable, MAILER], env=os.environ | urls | {"PORT": str(port)})
        try:
            until(lambda: socket.create_connection(("127.0.0.1", port), timeout=1).close())
            yield Rig(
                port,
                {route: tmp_path / route / "journal.jsonl" for route in banners},
                {route: f"127.0.0.1:{port_after('fault +curl -X PUT', b)}" for route, b in banners.items()},
            )
        finally:
            mailer.kill()
            mailer.wait()


def until(attempt: Callable[[], object], deadline_s: float = 10) -> None:
    """Try until it raises nothing, or the deadline is over."""
    end = time.monotonic() + deadline_s
    while True:
        try:
            attempt()
            return
        except (OSError, AssertionError):
            if time.monotonic() > end:
                raise
            time.sleep(0.02)


def test_mail_goes_by_the_primary_and_the_same_key_goes_once(rig: Rig) -> None:
    assert rig.send("one") == (202, "sent")
    assert rig.send("one") == (202, "sent")
    assert rig.results("primary") == ["accepted"]
    assert rig.results("backup") == []


def test_a_clear_no_moves_it_to_the_backup_and_the_status_says_so(rig: Rig) -> None:
    rig.fault("primary", type="refuse", code=451)
    assert rig.send("one") == (202, "sent")
    assert rig.results("primary") == ["deferred"]
    assert rig.results("backup") == ["accepted"]
    assert rig.status()["routes"] == {"primary": "down", "backup": "up"}


def test_it_comes_back_when_the_primary_does(rig: Rig) -> None:
    rig.fault("primary", type="refuse", code=451)
    rig.send("one")
    rig.no_fault("primary")
    keys = iter(range(1000))

    def is_back() -> None:
        rig.send(f"more{next(keys)}")
        assert rig.status()["routes"] == {"primary": "up", "backup": "up"}

    until(is_back)
    assert rig.results("primary")[-1] == "accepted"


def test_a_message_of_unknown_fate_is_held_and_never_sent_again(rig: Rig) -> None:
    rig.fault("primary", type="ack-loss")
    assert rig.send("one") == (202, "held")
    assert rig.send("one") == (202, "held")
    assert rig.results("primary") == ["ack-lost"]
    assert rig.results("backup") == []
    assert rig.status()["messages"] == [{"token": "one", "state": "held"}]


def test_with_no_route_left_the_caller_is_told_to_ask_again(rig: Rig) -> None:
    rig.fault("primary", type="refuse", code=451)
    rig.fault("backup", type="refuse", code=451)
    assert rig.send("one") == (503, "")
    rig.no_fault("backup")

    def is_taken() -> None:
        assert rig.send("one") == (202, "sent")

    until(is_taken)
    assert rig.results("backup")[-1] == "accepted"
