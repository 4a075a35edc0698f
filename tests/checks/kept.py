"""Runs with their mail beside them: a folder with history, zone, and what left the providers.

`Kept` is a `Run` whose copies have messages. By default each is right: signed with its route's own key, from
an address that SPF allows, aligned. A test changes the message, the zone, or what its receiver's server saw.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from harness.checks import CHECKS, parse_params
from harness.checks.finding import Finding, Verdict
from harness.history.journal import write_events
from harness.history.store import History
from harness.testbed.mail.departure import FOLDER, INDEX, Departed, signed
from harness.testbed.mail.keys import public_route_key, route_key
from tests.checks.histories import Run

SEED = 7
DOMAIN = "shop.example"
EGRESS = {"primary": "192.0.2.10", "backup": "198.51.100.7"}
START_S = 1_795_521_600.0  # 2026-11-24T12:00:00Z, when a `Run` begins
Change = Callable[[bytes], bytes]


def key_record(route: str) -> str:
    return f"v=DKIM1; k=rsa; p={public_route_key(SEED, route)}"


def records() -> dict[str, str]:
    """What the zone of a run has where all is well."""
    return {
        f"primary._domainkey.{DOMAIN}": key_record("primary"),
        f"backup._domainkey.{DOMAIN}": key_record("backup"),
        DOMAIN: "v=spf1 ip4:192.0.2.10 ip4:198.51.100.7 -all",
        f"_dmarc.{DOMAIN}": "v=DMARC1; p=reject; adkim=r; aspf=r",
    }


def by(selector: str, domain: str = DOMAIN, key: str = "") -> Change:
    """Signs with the key of that route; by default the one that the selector is called after."""
    return lambda message: signed(message, selector, domain, route_key(SEED, key or selector), START_S)


class Kept(Run):
    def __init__(self, name: str = "run", **more: Any) -> None:
        super().__init__(name, baseline=0, **more)
        self.zone = records()
        self.pack = b""
        self.index: list[Departed] = []

    def mail(
        self,
        via: str = "primary",
        at: float = 1,
        *,
        class_: str = "transactional",
        author: str = f"no-reply@{DOMAIN}",
        name: str = "Shop",
        mail_from: str | None = None,
        egress: str | None = None,
        fields: str = "",
        sign: Change | None = None,
        afterwards: Change = lambda message: message,
        kept: bool = True,
    ) -> None:
        """One copy. `fields` are more header fields; `afterwards` is done to what was signed."""
        message = self.message(at, class_)
        receipt = self.copy(message, at + 0.1, via)
        if not kept:
            return
        written = (
            f"From: {name} <{author}>\r\nTo: {message.recipient}\r\nSubject: Receipt\r\n"
            f"Date: Tue, 24 Nov 2026 12:00:00 GMT\r\nMessage-ID: <{message.token}@{DOMAIN}>\r\n{fields}"
            f"\r\nref: hn-{message.token}-nh\r\n"
        ).encode()
        whole = afterwards((sign or by(via))(written))
        self.index.append(
            Departed(
                source=receipt.source,
                n=receipt.n,
                file="kept.pack",
                offset=len(self.pack),
                bytes=len(whole),
                mail_from=author if mail_from is None else mail_from,
                egress=egress or EGRESS[via],
            )
        )
        self.pack += whole

    def write(self, folder: Path) -> None:
        write_events(
            folder / "history.jsonl", self.name, sorted(self.events, key=lambda event: int(event.t_ns))
        )
        lines = [f'{name}. 3600 IN TXT "{text[:200]}" "{text[200:]}"' for name, text in self.zone.items()]
        (folder / "dns.zone").write_text("\n".join([*lines, ""]))
        (folder / FOLDER).mkdir()
        (folder / FOLDER / "kept.pack").write_bytes(self.pack)
        (folder / FOLDER / INDEX).write_bytes(
            b"".join(msgspec.json.encode(each) + b"\n" for each in self.index)
        )


@contextmanager
def opened(run: Kept) -> Iterator[History]:
    with tempfile.TemporaryDirectory() as folder:
        run.write(Path(folder))
        with History.open(folder) as history:
            yield history


def judge(history: History, run: str = "run", params: Any = "all") -> Finding:
    return CHECKS["authentication"].evaluate(history, run, parse_params("authentication", params))


def judged(run: Kept, params: Any = "all") -> Finding:
    with opened(run) as history:
        return judge(history, run.name, params)


def a_run(via: str = "primary", **more: Any) -> Kept:
    run = Kept()
    run.mail(via, **more)
    return run


def causes(finding: Finding) -> set[str]:
    return {offender.cause for offender in finding.offenders}


def why(finding: Finding) -> str:
    assert finding.verdict is Verdict.FAIL, finding
    return finding.offenders[0].why
