"""A testbed on the bench: real providers, proxies and clients, and a stub for a system if one is
wanted.
"""

from __future__ import annotations

import asyncio
import itertools
import ssl
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any, TypeVar

import aiosmtplib
import httpx
import msgspec

from harness.history.events import AnyEvent, Receipt
from harness.history.journal import Journal
from harness.scenario.loader import load_text
from harness.scenario.models import Scenario
from harness.scenario.timeline import Fault
from harness.testbed.address import RouteAddress
from harness.testbed.assembled import AssembledTestbed
from harness.testbed.faults import Endpoint, FaultInjector
from harness.testbed.local.testbed import LocalTestbed
from harness.testbed.resources import ResourceLedger

CONTAINERS = "containers"
"""In place of the name of a proxy: the testbed that brings its own."""

STUB = Path(__file__).with_name("stub_system.py")
SCENARIO = f"""\
scenario: bench
summary: Two routes, and a system that does as it is told.
baseline: {{for: 1s}}
providers:
  m365: {{fake: microsoft365-smtp, limits: {{messages_per_minute: 6000, connections: 20}}}}
  sendgrid: {{fake: sendgrid}}
routes:
  primary: {{provider: m365}}
  backup: {{provider: sendgrid}}
system:
  process: [python, {STUB}, "{{{{ routes.primary.port }}}}"]
  path: systems
  env:
    PRIMARY: "{{{{ routes.primary.url }}}}"
    BACKUP: "{{{{ routes.backup.url }}}}"
    FOLDER: "{{{{ scenario_dir }}}}"
  submit: {{http: "POST /messages", timeout: 500ms}}
  ready: {{http: /status}}
  longest_retry: 1s
  signals: {{detected: {{http: /status, when: "down"}}}}
  states: {{http: "/messages?state=held", items: "messages[].{{token: key, state: state}}"}}
  canaries: [probe@canary.example]
workload:
  - {{stream: receipts, class: transactional, rate: 1/s, for: 2s, within: 1s}}
faults:
  - {{at: 0s, for: 1s, on: primary, fault: outage}}
drain: {{deadline: 5s}}
expect: {{delivered: all}}
"""

OneOf = TypeVar("OneOf", bound=AnyEvent)


@dataclass(frozen=True)
class Outcome:
    """What became of one attempt of a client's: in a word, or the code it was refused with."""

    what: str | int
    elapsed_s: float


@dataclass
class Bench:
    testbed: AssembledTestbed
    journal: Journal
    run_dir: Path
    addresses: dict[str, RouteAddress] = field(default_factory=dict)
    _ids: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def endpoint(self, route: str) -> Endpoint:
        return self.testbed.endpoint(route)

    def events(self, kind: type[OneOf]) -> list[OneOf]:
        lines = self.journal.path.read_bytes().splitlines()
        events = [msgspec.json.decode(line, type=AnyEvent) for line in lines]
        return [event for event in events if isinstance(event, kind)]

    def receipts(self, token: str) -> list[Receipt]:
        return [receipt for receipt in self.events(Receipt) if receipt.token == token]

    def injector(self, target: str, type_: str, id_: str = "", **attributes: Any) -> FaultInjector:
        return self.testbed.injector(self.fault(target, type_, id_, **attributes))

    def fault(self, target: str, type_: str, id_: str = "", **attributes: Any) -> Fault:
        name = id_ or f"f{next(self._ids)}"
        if "class_" in attributes:
            attributes["class"] = attributes.pop("class_")
        return Fault(id=name, incident=name, type=type_, target=target, at_ns=0, attributes=attributes)

    def felt(self, what: str | int) -> str | int:
        """What a client meets here: Docker takes a connection first, and then hangs up."""
        behind_docker = self.testbed.name == CONTAINERS and what == "connection refused"
        return "connection lost" if behind_docker else what

    async def restore(self) -> None:
        """Whatever a failed test left in place."""
        for endpoint in map(self.endpoint, self.addresses):
            endpoint.holding.clear()
            await endpoint.proxy.restore()
            for fault_id in await endpoint.provider.fault_ids():
                await endpoint.provider.delete_fault(fault_id)

    async def send(
        self,
        route: str,
        token: str = "tokentokentokent",
        class_: str = "transactional",
        timeout_s: float = 5.0,
    ) -> Outcome:
        """One message as a system would send it, by a client that knows nothing of the harness."""
        address = self.addresses[route]
        began = time.monotonic()
        try:
            async with asyncio.timeout(timeout_s):
                what: str | int = await (
                    _by_http(address, token, class_, self.run_dir / "tls" / "ca.pem")
                    if address.is_http
                    else _by_smtp(address, token, class_, self.run_dir / "tls" / "ca.pem")
                )
        except TimeoutError:
            what = "no answer"
        return Outcome(what, time.monotonic() - began)

    async def behind_its_back(self, route: str, method: str, path: str = "", content: Any = None) -> Any:
        """Speak to the route's proxy server past the harness; `path` is below the proxy's own."""
        proxy = self.endpoint(route).proxy
        async with httpx.AsyncClient(trust_env=False, timeout=5, verify=False) as client:
            url = f"{proxy._server.client.base_url}/proxies/{proxy.name}{path}"
            answer = await client.request(method, url, json=content)
        answer.raise_for_status()
        return answer.json() if answer.content else None


def letter(token: str, class_: str) -> EmailMessage:
    message = EmailMessage()
    message["From"] = "shop@shop.example"
    message["To"] = f"c.{token}@customer.example"
    message["Subject"] = "Your order"
    message["X-Harness-Token"] = token
    message["X-Harness-Class"] = class_
    message.set_content(f"Thank you.\nref: hn-{token}-nh\n")
    return message


def smtp_client(address: RouteAddress, ca_path: Path) -> aiosmtplib.SMTP:
    return aiosmtplib.SMTP(
        hostname=address.host,
        port=address.port,
        start_tls="starttls" in address.scheme,
        tls_context=ssl.create_default_context(cafile=str(ca_path)),
        username=address.username or None,
        password=address.password or None,
        timeout=20,
    )


async def _by_smtp(address: RouteAddress, token: str, class_: str, ca_path: Path) -> str | int:
    client = smtp_client(address, ca_path)
    try:
        await client.connect()
        await client.send_message(letter(token, class_))
        await client.quit()
    except aiosmtplib.SMTPRecipientsRefused as error:
        return error.recipients[0].code
    except aiosmtplib.SMTPResponseException as error:
        return error.code
    except aiosmtplib.SMTPConnectError as error:
        refused = isinstance(error.__cause__, ConnectionRefusedError)
        return "connection refused" if refused else "connection lost"
    except ssl.SSLCertVerificationError:
        return "untrusted"
    except aiosmtplib.SMTPServerDisconnected:
        return "connection lost"
    except ConnectionError:
        return "connection lost"
    finally:
        client.close()
    return "sent"


async def _by_http(address: RouteAddress, token: str, class_: str, ca_path: Path) -> str | int:
    tls = ssl.create_default_context(cafile=str(ca_path)) if address.is_https else False
    content = {
        "personalizations": [{"to": [{"email": f"c.{token}@customer.example"}]}],
        "from": {"email": "shop@shop.example"},
        "subject": "Your order",
        "content": [{"type": "text/plain", "value": f"Thank you.\nref: hn-{token}-nh\n"}],
        "headers": {"X-Harness-Token": token, "X-Harness-Class": class_},
    }
    headers = {"Authorization": f"Bearer {address.api_key}"}
    async with httpx.AsyncClient(
        base_url=address.base_url, headers=headers, timeout=20, trust_env=False, verify=tls
    ) as client:
        try:
            answer = await client.post("/v3/mail/send", json=content)
        except httpx.ConnectError:
            return "connection refused"
        except httpx.TransportError:
            return "connection lost"
    return "sent" if answer.is_success else answer.status_code


def _testbed(scenario: Scenario, run_dir: Path, proxy: str) -> AssembledTestbed:
    if proxy != CONTAINERS:
        return LocalTestbed(scenario, run_dir, proxy, seed=7)
    from harness.testbed.containers.testbed import ContainersTestbed

    return ContainersTestbed.on_this_machine(scenario, run_dir, seed=7)


@asynccontextmanager
async def _bench(
    run_dir: Path, proxy: str, text: str, claims: Mapping[str, tuple[str, ...]] | None = None
) -> AsyncIterator[tuple[Bench, ResourceLedger]]:
    run_dir.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 - nothing runs beside it yet
    scenario = load_text(text, run_dir / "scenario.yaml")
    # A file may claim hosts only for a system in a container; the routes themselves do not mind.
    routes = {
        name: route.model_copy(update={"as_": (claims or {}).get(name, route.as_)})
        for name, route in scenario.routes.items()
    }
    scenario = scenario.model_copy(update={"routes": routes})
    started_ns = time.monotonic_ns()
    journal = Journal(run_dir / "history.jsonl", "bench", lambda: time.monotonic_ns() - started_ns)
    ledger = ResourceLedger(run_dir, marker=uuid.uuid4().hex)
    testbed = _testbed(scenario, run_dir, proxy)
    try:
        yield Bench(testbed, journal, run_dir), ledger
    finally:
        await testbed.stop_system()
        await testbed.finish()
        await testbed.stop()
        journal.close()
        ledger.close()


@asynccontextmanager
async def routes_alone(
    run_dir: Path, proxy: str, text: str = SCENARIO, claims: Mapping[str, tuple[str, ...]] | None = None
) -> AsyncIterator[Bench]:
    """Providers and proxies, without a system; `claims` are the host names that routes claim."""
    async with _bench(run_dir, proxy, text, claims) as (bench, ledger):
        bench.addresses = await bench.testbed.start_routes(bench.journal, ledger)
        yield bench


@asynccontextmanager
async def whole(run_dir: Path, proxy: str, text: str = SCENARIO) -> AsyncIterator[Bench]:
    """The testbed with its system running."""
    async with _bench(run_dir, proxy, text) as (bench, ledger):
        await bench.testbed.start(bench.journal, ledger)
        bench.addresses = {route: bench.endpoint(route).canary.address for route in ("primary", "backup")}
        await bench.testbed.system.start()
        yield bench
