"""The proxy servers under test: one real Toxiproxy for the whole session, and embedded ones in-process."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from harness.testbed.proxy.embedded import serve_embedded
from harness.testbed.proxy.state import ProxyKind
from tests.requires import require_tool
from tests.testbed.proxy.bench import GENEROUS_S, Bench
from tests.waiting import wait_until


class SharedToxiproxy:
    """A Toxiproxy that is started when first asked for, and replaced when a test has left it unwell."""

    def __init__(self, log_path: Path) -> None:
        self._log_path = log_path
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0

    def port(self) -> int:
        """The port of its API; it has no proxies."""
        if self._process is not None and not self._is_cleared():
            self.stop()
        if self._process is None:
            self._start()
        return self._port

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _start(self) -> None:
        command = [require_tool("toxiproxy-server"), "-host", "127.0.0.1", "-port", "0"]
        with self._log_path.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_until(lambda: bool(self._listening()))
        (self._port,) = self._listening()

    def _listening(self) -> list[int]:
        assert self._process is not None
        connections = psutil.Process(self._process.pid).net_connections("tcp")
        return [each.laddr.port for each in connections if each.status == psutil.CONN_LISTEN]

    def _is_cleared(self) -> bool:
        """Whether it took away the proxies that the last test made."""
        try:
            with httpx.Client(timeout=2, trust_env=False, verify=False) as client:
                for name in client.get(f"http://127.0.0.1:{self._port}/proxies").json():
                    client.delete(f"http://127.0.0.1:{self._port}/proxies/{name}")
            return len(self._listening()) == 1
        except (httpx.HTTPError, psutil.Error, ValueError):
            return False


@pytest.fixture(scope="session")
def shared_toxiproxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedToxiproxy]:
    shared = SharedToxiproxy(tmp_path_factory.mktemp("toxiproxy") / "server.log")
    yield shared
    shared.stop()


@pytest.fixture(params=list(ProxyKind))
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    """A running server of each kind, without proxies."""
    if request.param is ProxyKind.TOXIPROXY:
        port = request.getfixturevalue("shared_toxiproxy").port()
        async with api_of(port) as api:
            yield Bench(api, "127.0.0.1", port)
    else:
        async with serve_embedded(seed=7) as embedded, api_of(embedded.port) as api:
            yield Bench(api, "127.0.0.1", embedded.port)


def api_of(port: int) -> httpx.AsyncClient:
    """A client of the API at a local port."""
    return httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{port}", timeout=GENEROUS_S, trust_env=False, verify=False
    )
