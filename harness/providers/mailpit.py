"""Mailpit as a program: how to start it, when it is ready, how it ends. What it holds: mailpit_mail.py."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import httpx
import psutil

from harness.providers.mailpit_mail import MailpitUnavailable

MOST_RECIPIENTS = 100_000  # of one message; a provider has a limit of its own
END_POLL_S = 0.01


@dataclass(frozen=True, kw_only=True)
class MailpitLaunch:
    """One Mailpit of one run. Ports are chosen by the caller: Mailpit does not say which it took for 0."""

    binary: Path
    smtp_port: int
    http_port: int
    database: Path
    host: str = "127.0.0.1"

    @property
    def base_url(self) -> str:
        return f"http://{self.host}:{self.http_port}"

    def argv(self) -> list[str]:
        """Everything is kept (`--max 0`), repeated Message-IDs too: they are the duplicates to be counted."""
        return [
            str(self.binary),
            *("--smtp", f"{self.host}:{self.smtp_port}"),
            *("--listen", f"{self.host}:{self.http_port}"),
            *("--max", "0"),
            *("--smtp-max-recipients", str(MOST_RECIPIENTS)),
            *("--database", str(self.database)),
            "--smtp-disable-rdns",
            "--disable-version-check",
        ]

    def env(self) -> dict[str, str]:
        """Nothing of the caller's environment: any MP_* variable there would change what Mailpit does."""
        return {}


class MailpitProcess:
    """A running Mailpit. `async with MailpitProcess(launch, log_path)` returns when it takes mail."""

    def __init__(
        self,
        launch: MailpitLaunch,
        log_path: Path,
        ready_within_s: float = 10,
        *,
        environ: Mapping[str, str] | None = None,
        on_process: Callable[[int], None] | None = None,
    ) -> None:
        """`environ` is added to the launch's own; `on_process` hears the pid as soon as there is one."""
        self.launch = launch
        self._environ = dict(environ or {})
        self._on_process = on_process
        self._log_path = log_path
        self._ready_within_s = ready_within_s
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    async def start(self) -> None:
        """Raises MailpitUnavailable, with the end of its log, when it is not ready in time."""
        self._process = self._spawn()
        if self._on_process is not None:
            self._on_process(self._process.pid)
        try:
            async with asyncio.timeout(self._ready_within_s):
                await self._ready()
        except TimeoutError:
            await self.stop()
            raise self._unavailable(f"was not ready after {self._ready_within_s:g} s") from None

    def _spawn(self) -> subprocess.Popen[bytes]:
        # Not asyncio's own, which ends with the loop: an inbox may be kept for people to look into.
        with self._log_path.open("ab") as log:
            return subprocess.Popen(
                self.launch.argv(),
                env={**self.launch.env(), **self._environ},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the harness, which ends its parts in order
            )

    async def stop(self, grace_s: float = 5) -> None:
        """End it, by force if it does not end by itself. Its database is then complete."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        if not await self._ended(grace_s):
            self._process.kill()
            await self._ended(grace_s)

    async def _ended(self, within_s: float) -> bool:
        assert self._process is not None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while self._process.poll() is None:
                    await asyncio.sleep(END_POLL_S)
        return self._process.poll() is not None

    def leave(self) -> None:
        """Let it run on when its starter is gone; whoever heals the run ends it."""
        if self._process is not None:
            self._process.returncode = 0  # nobody waits for it any more
            self._process = None

    async def __aenter__(self) -> MailpitProcess:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def _ready(self) -> None:
        assert self._process is not None
        async with httpx.AsyncClient(timeout=1, trust_env=False) as client:
            while True:
                if self._process.poll() is not None:
                    raise self._unavailable(f"exited with {self._process.returncode}")
                # Whose ports? When SMTP's is taken, Mailpit's API is up for a moment before it gives up.
                if self._listens(self._process.pid):
                    with contextlib.suppress(httpx.TransportError):  # until the deadline around us
                        if (await client.get(f"{self.launch.base_url}/readyz")).status_code == httpx.codes.OK:
                            return
                await asyncio.sleep(0.02)

    def _listens(self, pid: int) -> bool:
        """Whether both ports are this very process's."""
        try:
            connections = psutil.Process(pid).net_connections(kind="tcp")
        except psutil.NoSuchProcess:
            return False
        listening = {each.laddr.port for each in connections if each.status == psutil.CONN_LISTEN}
        return {self.launch.smtp_port, self.launch.http_port} <= listening

    def _unavailable(self, what: str) -> MailpitUnavailable:
        tail = "\n".join(self._log_path.read_text("utf-8", "replace").splitlines()[-10:])
        return MailpitUnavailable(f"{self.launch.binary} {what}; its log:\n{tail}")
