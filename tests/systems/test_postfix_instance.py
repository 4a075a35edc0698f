"""A Postfix of the run's own: its two relays, what it makes of their faults, and what it leaves alone.

Real Postfix against the project's providers. Pytest's folders can be entered by root alone; it runs there.
"""

from __future__ import annotations

import asyncio
import os
import signal
import smtplib
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from harness.history.events import Receipt, ReceiptResult
from harness.providers.tls import make_ca
from tests.ports import free_port
from tests.providers.running import ROUTE, Provider, control_client, message, provider, recipient, token
from tests.requires import require_postfix
from tests.systems.machine import machine
from tests.waiting import until, wait_until

SYSTEMS = Path(__file__).resolve().parents[2] / "fixtures" / "systems"
SENDER = "no-reply@shop.example"


@pytest.fixture(autouse=True)
def _postfix() -> None:
    require_postfix()


@dataclass
class Postfix:
    """One instance, and the client that gives it mail."""

    folder: Path
    env: dict[str, str]
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text("utf-8", "replace")

    @property
    def marker(self) -> str:
        return self.env["HARNESS_RUN_MARKER"]

    def queue(self) -> list[str]:
        command = ["/usr/sbin/postqueue", "-c", str(self.folder / "etc"), "-j"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()

    def processes(self) -> list[int]:
        found = []
        for each in psutil.process_iter():
            try:
                if each.environ().get("HARNESS_RUN_MARKER") == self.marker:
                    found.append(each.pid)
            except psutil.Error:
                continue
        return found

    def start(self) -> None:
        self.folder.mkdir(exist_ok=True)
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "postfix"],
                env=self.env,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    async def up(self) -> None:
        self.start()
        assert self.process is not None
        await until(lambda: "daemon started" in self.log or self.process.poll() is not None, 20)
        assert self.process.poll() is None, self.log

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        assert self.process is not None
        if self.process.poll() is None:
            os.killpg(self.process.pid, number)
            self.process.wait(10)

    async def send(self, *numbers: int) -> None:
        def talk() -> None:
            with smtplib.SMTP("127.0.0.1", self.port, timeout=10) as client:
                for number in numbers:
                    client.sendmail(SENDER, [recipient(number)], message(token(number)))

        await asyncio.to_thread(talk)


@asynccontextmanager
async def postfix(
    folder: Path, primary: int, backup: int | None = None, **env: str
) -> AsyncIterator[Postfix]:
    port = free_port()
    login = f"{ROUTE.username.replace('@', '%40')}:{ROUTE.secret}"
    given = {
        **os.environ,
        "PYTHONPATH": str(SYSTEMS),
        "STATE_DIR": str(folder),
        "PORT": str(port),
        "PRIMARY_URL": f"smtp://{login}@127.0.0.1:{primary}",
        "HARNESS_RUN_MARKER": f"test-{folder}",
    }
    if backup is not None:
        given["BACKUP_URL"] = f"smtp://{login}@127.0.0.1:{backup}"
    instance = Postfix(folder, given | env, port)
    await instance.up()
    try:
        yield instance
    finally:
        instance.end()


async def break_(fake: Provider, **fault: object) -> None:
    async with control_client(fake) as control:
        (await control.put("/faults/f", json={"id": "f", **fault})).raise_for_status()


def taken(fake: Provider) -> list[Receipt]:
    return [r for r in fake.receipts if r.result in (ReceiptResult.ACCEPTED, ReceiptResult.ACK_LOST)]


def tokens(fake: Provider) -> list[str | None]:
    return [receipt.token for receipt in taken(fake)]


async def test_mail_leaves_by_the_primary_with_its_login_and_its_carriers(tmp_path: Path) -> None:
    async with provider() as one, provider() as two, postfix(tmp_path, one.port, two.port) as system:
        await system.send(1)
        await until(lambda: len(taken(one)) == 1)
        receipt = taken(one)[0]
        assert (receipt.account, receipt.recipient) == (ROUTE.username, recipient(1))
        assert receipt.carriers == ["recipient", "header", "nonce"]
        assert not two.receipts


async def test_where_the_primary_refuses_connections_or_logins_the_backup_takes_it(tmp_path: Path) -> None:
    async with provider() as one, provider() as two, postfix(tmp_path, one.port, two.port) as system:
        await break_(one, type="refuse", named="auth-unsuccessful")
        await system.send(1)
        await until(lambda: tokens(two) == [token(1)])
        await one.running.close()
        await system.send(2)
        await until(lambda: tokens(two) == [token(1), token(2)])
        assert f"]:{one.port}: Connection refused" in system.log
        assert not taken(one)


async def test_after_a_lost_acknowledgement_the_backup_gets_a_second_copy_and_the_log_says_so(
    tmp_path: Path,
) -> None:
    async with provider() as one, provider() as two, postfix(tmp_path, one.port, two.port) as system:
        await break_(one, type="ack-loss")
        await system.send(1)
        await until(lambda: tokens(two) == [token(1)])
        assert [receipt.result for receipt in taken(one)] == [ReceiptResult.ACK_LOST]
        await until(lambda: "message may be sent more than once" in system.log)


async def test_what_a_provider_refuses_for_good_is_given_back_by_a_notice(tmp_path: Path) -> None:
    async with provider() as one, provider() as two, postfix(tmp_path, one.port, two.port) as system:
        await break_(one, type="refuse", named="rejected", count=1)
        await system.send(1)
        await until(lambda: len(taken(one)) == 1)
        notice = taken(one)[0]
        assert (notice.notice, notice.token, notice.recipient) == ("failed", token(1), SENDER)
        assert not two.receipts  # a refusal for good is no reason to try another relay


async def test_the_queue_is_kept_over_a_kill_and_told_by_postqueue(tmp_path: Path) -> None:
    async with provider() as one:
        closed = free_port()
        async with postfix(tmp_path, closed, closed) as system:
            await system.send(1, 2)
            await until(lambda: sum('"deferred"' in line for line in system.queue()) == 2)
            system.end(signal.SIGKILL)
            await until(lambda: not system.processes())
            system.env["BACKUP_URL"] = system.env["BACKUP_URL"].replace(str(closed), str(one.port))
            await system.up()
            await until(lambda: sorted(tokens(one)) == [token(1), token(2)], 20)
            await until(lambda: not system.queue())


async def test_two_at_once_do_not_meet(tmp_path: Path) -> None:
    async with (
        provider() as one,
        provider() as two,
        postfix(tmp_path / "a", one.port) as first,
        postfix(tmp_path / "b", two.port) as second,
    ):
        await first.send(1)
        await second.send(2)
        await until(lambda: tokens(one) == [token(1)] and tokens(two) == [token(2)])
        first.end()
        await second.send(3)
        await until(lambda: tokens(two) == [token(2), token(3)])


async def test_nothing_is_left_and_the_machine_s_own_mail_system_is_as_it_was(tmp_path: Path) -> None:
    before = machine()
    async with provider() as one, postfix(tmp_path, one.port) as system:
        await system.send(1)
        await until(lambda: tokens(one) == [token(1)])
        assert len(system.processes()) > 3  # by the marker each daemon is found, should the harness die
    await until(lambda: not system.processes())
    assert machine() == before


async def test_a_configuration_of_one_s_own_is_used_and_what_would_lead_mail_elsewhere_is_not(
    tmp_path: Path,
) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "transport").write_text("* smtp:[203.0.113.9]:25\n")
    (mine / "main.cf").write_text(
        "compatibility_level = 3.6\nmyhostname = mine.shop.example\n"
        "transport_maps = texthash:$config_directory/transport\n"
    )
    (mine / "master.cf").write_text(
        (SYSTEMS / "postfix" / "config" / "master.cf").read_text() + "smtp inet n - y - - smtpd\n"
    )
    async with provider() as one, postfix(tmp_path / "it", one.port, POSTFIX_CONFIG=str(mine)) as system:
        await system.send(1)
        await until(lambda: tokens(one) == [token(1)])
        assert "mine postfix/smtp" in system.log
        master = psutil.Process(system.process.pid)
        assert {c.laddr.port for c in master.net_connections("tcp")} == {system.port}  # not 25


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"POSTFIX_CONFIG": "/nowhere"}, "/nowhere holds no main.cf"),
        ({"PRIMARY_URL": "sendgrid+http://apikey:x@127.0.0.1:8080"}, "Postfix speaks SMTP"),
        ({"PRIMARY_URL": ""}, "Postfix speaks SMTP"),
        ({"STATE_DIR": "/tmp/" + 82 * "x"}, "1 bytes longer than a socket's path can be"),
    ],
)
def test_what_cannot_work_is_said_before_anything_starts(
    env: dict[str, str], said: str, tmp_path: Path
) -> None:
    given = {
        "PYTHONPATH": str(SYSTEMS),
        "STATE_DIR": str(tmp_path),
        "PORT": "1",
        "PRIMARY_URL": "smtp://127.0.0.1:1",
    }
    system = Postfix(tmp_path, {**os.environ, **given, **env}, 1)
    system.start()
    assert system.process is not None
    wait_until(lambda: system.process.poll() is not None)
    assert (system.process.returncode, said in system.log) == (2, True), system.log


async def test_tls_is_as_the_configuration_has_it_and_the_run_s_authority_is_trusted(tmp_path: Path) -> None:
    ca, cert, key = make_ca(tmp_path, ["smtp.office365.com"])
    tls = {"tls_cert_path": str(cert), "tls_key_path": str(key)}
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "main.cf").write_text(
        "compatibility_level = 3.6\nsmtp_tls_security_level = secure\n"
        "smtp_tls_secure_cert_match = smtp.office365.com\n"
    )
    async with (
        provider("microsoft365-smtp", **tls) as one,
        provider("smtp") as two,  # it speaks without TLS, so it is never given mail
        postfix(tmp_path / "a", one.port, CA_FILE=str(ca), POSTFIX_CONFIG=str(mine)) as first,
        postfix(tmp_path / "b", two.port, CA_FILE=str(ca), POSTFIX_CONFIG=str(mine)) as second,
    ):
        await first.send(1)
        await until(lambda: tokens(one) == [token(1)])
        await second.send(2)
        await until(lambda: "TLS is required, but was not offered" in second.log)
        assert not taken(two)
