"""A system under test that is a child process, its output bounded by a pump.

The pump is a process of its own: it ends when nobody is left to write, so the last words are in the log then.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path

import psutil

from harness.testbed.processes import ChildProcess, ProcessError
from harness.testbed.resources import ResourceLedger
from harness.testbed.system.host import KILL, PAUSE, RESTART, HostError
from harness.testbed.system.plan import ProcessPlan

LAST_WORDS_S = 1.0
"""How long the last lines of a log may take from the system's end to the file."""
SIGNALLED_WITHIN_S, SIGNALLED_POLL_S = 2.0, 0.005
_NO_NETWORK = "a process on this machine has no network of its own that it could be cut off from"


class ProcessHost:
    is_ours = True

    def __init__(self, plan: ProcessPlan, port: int, run_dir: Path, ledger: ResourceLedger) -> None:
        self.plan = plan
        self.log_path = run_dir / "system.log"
        self._port = port
        self._ledger = ledger
        self._child: ChildProcess | None = None
        self._pump: ChildProcess | None = None

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self._port

    @property
    def faults(self) -> frozenset[str]:
        return frozenset({KILL, RESTART, PAUSE})

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child else None

    @property
    def is_running(self) -> bool:
        return self._child is not None and self._child.is_running

    @property
    def exit_code(self) -> int | None:
        return self._child.returncode if self._child else None

    async def start(self) -> None:
        read_fd, write_fd = os.pipe()
        try:
            pump = ChildProcess(self._ledger, "system log", self.log_path.with_name("system.logpump.log"))
            pump_argv = [sys.executable, "-m", "harness.testbed.logpump", str(self.log_path)]
            await pump.start(pump_argv, env=os.environ, stdin=read_fd)
            child = ChildProcess(self._ledger, "system", self.log_path)
            await child.start(self.plan.argv, env=self.plan.env, cwd=self.plan.cwd, output=write_fd)
        except ProcessError as error:
            raise HostError(str(error)) from error
        finally:
            os.close(read_fd)
            os.close(write_fd)
        self._child, self._pump = child, pump

    async def wait(self) -> None:
        assert self._child is not None
        pump = self._pump
        await self._child.wait()
        if pump is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(pump.wait(), LAST_WORDS_S)

    async def kill(self) -> None:
        assert self._child is not None
        await self._child.kill()

    async def end(self, grace_s: float) -> bool:
        assert self._child is not None
        self._child.signal_group(signal.SIGTERM)
        try:
            await asyncio.wait_for(self._child.wait(), grace_s)
        except TimeoutError:
            return False
        finally:
            await self._child.kill()  # what is left of its group, too
        return True

    async def stop(self) -> None:
        if self._child is not None:
            self._child.signal_group(signal.SIGCONT)  # a frozen one could not comply
            await self._child.stop()
        if self._pump is not None:
            await self._pump.stop()

    async def pause(self) -> None:
        await self._set_paused(True)

    async def resume(self) -> None:
        await self._set_paused(False)

    async def _set_paused(self, paused: bool) -> None:
        self._signal(signal.SIGSTOP if paused else signal.SIGCONT)
        deadline = asyncio.get_running_loop().time() + SIGNALLED_WITHIN_S
        while await self.is_paused() is not paused:
            if asyncio.get_running_loop().time() >= deadline:
                raise HostError(f"the system did not {'freeze' if paused else 'go on'} when it was told to")
            await asyncio.sleep(SIGNALLED_POLL_S)

    async def is_paused(self) -> bool:
        if self._child is None or self._child.pid is None:
            return False
        try:
            return psutil.Process(self._child.pid).status() == psutil.STATUS_STOPPED
        except psutil.NoSuchProcess:
            return False

    async def cut_off(self) -> None:
        raise HostError(_NO_NETWORK)

    async def rejoin(self) -> None:
        raise HostError(_NO_NETWORK)

    async def is_cut_off(self) -> bool:
        raise HostError(_NO_NETWORK)

    async def is_heard_on_routes(self) -> bool:
        raise HostError(_NO_NETWORK)

    def _signal(self, number: signal.Signals) -> None:
        if self._child is None or not self._child.is_running:
            raise HostError(f"the system is not running, so it cannot get {number.name}")
        self._child.signal_group(number)
