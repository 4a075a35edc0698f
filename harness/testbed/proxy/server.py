"""One proxy server process for one endpoint: Toxiproxy, or the embedded server as a process of its own.

One process per endpoint, so that two endpoints may use the same port number on different addresses, and
killing one that hangs spares the others. A started server has no proxy; `apply` makes the one it is there
for, and `restart` kills whatever is left of the old process and brings the proxy back on the same port.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

from harness.testbed.discover import find_tool
from harness.testbed.proxy.client import TIMEOUT_S, ProxyClient
from harness.testbed.proxy.errors import ProxyRefused, ProxyServerError, ProxyUnreachable
from harness.testbed.proxy.ports import candidate_ports
from harness.testbed.proxy.state import ProxyKind, ProxyState

TOXIPROXY = "toxiproxy-server"
START_TIMEOUT_S = 10.0
STOP_TIMEOUT_S = 1.0  # a hanging Toxiproxy would wait 30 s for its own requests
PORT_TIMEOUT_S = 5.0
_POLL_S = 0.02


@dataclass(frozen=True, slots=True)
class ProxyBinary:
    """Which program it was. The version is the server's own word; the hash says more."""

    kind: ProxyKind
    path: Path
    version: str
    sha256: str


class ProxyServer:
    """The life of one server process. `client` is valid while it runs."""

    def __init__(
        self,
        kind: ProxyKind,
        *,
        log_path: Path,
        environ: Mapping[str, str],
        seed: int = 0,
        binary: Path | None = None,
        on_process: Callable[[int], None] | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        """`binary` is the Toxiproxy to run, else it is looked for; `on_process` hears each new process's pid.

        Raises ProxyServerError if there is no Toxiproxy where one is asked for.
        """
        self.kind = kind
        self.log_path = log_path
        self._environ = dict(environ)
        self._seed = seed
        self._program = _program(kind, binary, environ)
        self._on_process = on_process
        self._timeout_s = timeout_s
        self._process: asyncio.subprocess.Process | None = None
        self._client: ProxyClient | None = None
        self._version = ""

    @property
    def client(self) -> ProxyClient:
        """The client of the running server. Raises ProxyServerError when there is none."""
        if self._client is None:
            raise ProxyServerError("the proxy server is not running")
        return self._client

    @property
    def pid(self) -> int | None:
        """The process, while there is one."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    async def binary(self) -> ProxyBinary:
        """The program and the version that its API told at the start."""
        sha256 = await asyncio.to_thread(_sha256, self._program)
        return ProxyBinary(self.kind, self._program, self._version, sha256)

    async def start(self) -> ProxyClient:
        """Start the process and wait for its API. Raises ProxyServerError."""
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        with self.log_path.open("ab") as log:
            self._process = await self._spawn(log)
        try:
            if self._on_process is not None:
                self._on_process(self._process.pid)
            async with asyncio.timeout(START_TIMEOUT_S):
                host, port = await self._api_address(self._process)
                self._client = ProxyClient(host, port, self._timeout_s)
                self._version = await self._first_answer(self._client)
        except TimeoutError as error:
            await self.kill()
            raise ProxyServerError(
                f"{self._program.name} did not get ready within {START_TIMEOUT_S:g} s; see {self.log_path}"
            ) from error
        except BaseException:
            await self.kill()
            raise
        return self._client

    async def apply(self, wanted: ProxyState) -> ProxyState:
        """Make the proxy on a server that has none, and return it as it came out.

        It listens only when all its toxics are in place, so no connection slips by them. Port 0 means any
        port that no outgoing connection can happen to occupy while the proxy does not listen.
        """
        host, _, port = wanted.listen.rpartition(":")
        if port == "0":
            return await self._apply_on_a_free_port(wanted, host)
        await self.client.create(wanted.name, wanted.listen, wanted.upstream, enabled=False)
        for toxic in wanted.toxics:
            await self.client.add_toxic(wanted.name, toxic)
        if wanted.enabled:
            await self.enable(wanted.name)
        return await self.client.read(wanted.name)

    async def enable(self, name: str) -> None:
        """Let the proxy listen; waits a while for a port that is taken. Raises ProxyRefused."""
        deadline_s = asyncio.get_running_loop().time() + PORT_TIMEOUT_S
        while True:
            try:
                await self.client.set_enabled(name, True)
            except ProxyRefused as error:
                if not error.is_port_in_use or asyncio.get_running_loop().time() > deadline_s:
                    raise
                await asyncio.sleep(_POLL_S)
            else:
                return

    async def restart(self, wanted: ProxyState) -> ProxyState:
        """Kill the process, however it is, start another, and bring the proxy back as `wanted`."""
        await self.kill()
        await self.start()
        return await self.apply(wanted)

    async def stop(self) -> None:
        """End the process: asked to first, killed if it does not."""
        if self._process is not None and self._process.returncode is None:
            _signal_group(self._process.pid, signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), STOP_TIMEOUT_S)
        await self.kill()

    async def kill(self) -> None:
        """End the process at once."""
        if self._process is not None:
            if self._process.returncode is None:
                _signal_group(self._process.pid, signal.SIGKILL)
            await self._process.wait()
            self._process = None
        if self._client is not None:
            await self._client.close()
            self._client = None

    async def _apply_on_a_free_port(self, wanted: ProxyState, host: str) -> ProxyState:
        refused: ProxyRefused | None = None
        for port in candidate_ports(wanted.name):
            try:
                await self.client.create(wanted.name, f"{host}:{port}", wanted.upstream)
            except ProxyRefused as error:
                if not error.is_port_in_use:
                    raise
                refused = error
                continue
            for toxic in wanted.toxics:
                await self.client.add_toxic(wanted.name, toxic)
            if not wanted.enabled:
                await self.client.set_enabled(wanted.name, False)
            return await self.client.read(wanted.name)
        raise ProxyServerError(f"no free port for the proxy {wanted.name} on {host}") from refused

    async def _spawn(self, log: IO[bytes]) -> asyncio.subprocess.Process:
        try:
            return await asyncio.create_subprocess_exec(
                *self._command(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE if self.kind is ProxyKind.EMBEDDED else log,
                stderr=log,
                env=self._environ,
                start_new_session=True,
            )
        except OSError as error:
            raise ProxyServerError(f"{self._program} cannot be run: {error.strerror}") from error

    def _command(self) -> Sequence[str]:
        # Port 0: the kernel picks the API's port when it is bound, so nobody can take it in between.
        if self.kind is ProxyKind.TOXIPROXY:
            return [str(self._program), "-host", "127.0.0.1", "-port", "0"]
        module = ["-m", "harness.testbed.proxy", "--host", "127.0.0.1", "--port", "0"]
        return [str(self._program), *module, "--seed", str(self._seed)]

    async def _api_address(self, process: asyncio.subprocess.Process) -> tuple[str, int]:
        if process.stdout is not None:
            line = await process.stdout.readline()
            if not line:
                raise await self._exited(process)
            ready = json.loads(line)
            return ready["host"], ready["port"]
        while True:
            if process.returncode is not None:
                raise await self._exited(process)
            # Toxiproxy does not tell which port it got; the kernel does.
            if (address := _listens_on(process.pid)) is not None:
                return address
            await asyncio.sleep(_POLL_S)

    async def _first_answer(self, client: ProxyClient) -> str:
        while True:
            try:
                return await client.version()
            except ProxyUnreachable:
                await asyncio.sleep(_POLL_S)

    async def _exited(self, process: asyncio.subprocess.Process) -> ProxyServerError:
        code = await process.wait()
        return ProxyServerError(f"{self._program.name} ended with {code} at its start; see {self.log_path}")


def proxy_program(kind: ProxyKind, environ: Mapping[str, str]) -> tuple[Path, str]:
    """The program that a proxy of this kind would run, and its SHA-256. Raises ProxyServerError."""
    path = _program(kind, None, environ)
    return path, _sha256(path)


def _program(kind: ProxyKind, binary: Path | None, environ: Mapping[str, str]) -> Path:
    if kind is ProxyKind.EMBEDDED:
        return Path(sys.executable)
    found = binary or find_tool(TOXIPROXY, environ)
    if found is None:
        raise ProxyServerError(f"{TOXIPROXY} is not in $HARNESS_TOOLS, not in ./.tools and not on PATH")
    return found


def _listens_on(pid: int) -> tuple[str, int] | None:
    try:
        connections = psutil.Process(pid).net_connections(kind="tcp")
    except psutil.NoSuchProcess:
        return None
    for connection in connections:
        if connection.status == psutil.CONN_LISTEN:
            return connection.laddr.ip, connection.laddr.port
    return None


def _signal_group(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, number)


def _sha256(path: Path) -> str:
    with path.open("rb") as program:
        return hashlib.file_digest(program, "sha256").hexdigest()
