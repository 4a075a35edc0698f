"""A proxy server as a process on this machine: Toxiproxy, or the embedded server as a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

import psutil

from harness.testbed.discover import find_tool
from harness.testbed.proxy.client import TIMEOUT_S, ProxyClient
from harness.testbed.proxy.errors import ProxyServerError, ProxyUnreachable
from harness.testbed.proxy.server import POLL_S, ProxyServer
from harness.testbed.proxy.state import ProxyKind

TOXIPROXY = "toxiproxy-server"
START_TIMEOUT_S = 10.0
STOP_TIMEOUT_S = 1.0  # a hanging Toxiproxy would wait 30 s for its own requests


class ProxyProcess(ProxyServer):
    """The life of one server process."""

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
        super().__init__()
        self.kind = kind
        self.log_path = log_path
        self._environ = dict(environ)
        self._seed = seed
        self._program = _program(kind, binary, environ)
        self._on_process = on_process
        self._timeout_s = timeout_s
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        """The process, while there is one."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    @property
    def is_running(self) -> bool:
        return self.pid is not None

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
                await self._first_answer(self._client)
        except TimeoutError as error:
            await self.kill()
            raise ProxyServerError(
                f"{self._program.name} did not get ready within {START_TIMEOUT_S:g} s; see {self.log_path}"
            ) from error
        except BaseException:
            await self.kill()
            raise
        return self._client

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
        await self.drop_client()

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
            await asyncio.sleep(POLL_S)

    async def _first_answer(self, client: ProxyClient) -> None:
        while True:
            try:
                await client.version()
                return
            except ProxyUnreachable:
                await asyncio.sleep(POLL_S)

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
