"""Ctrl-C in the middle of a query ends the query.

DuckDB lets the thread that asks work on the answer, too, and does not look for signals while it does: Ctrl-C
would wait until the end, which may be hours away. A signal's number, though, is written into a pipe at once;
a thread reads it there and interrupts the connection.
"""

from __future__ import annotations

import os
import signal
import threading

import duckdb


class Interruptible:
    """Signals interrupt what `con` does until `end`. Only the main thread hears signals; in another one, and
    where somebody else waits for them, as a loop does, this changes nothing."""

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        self._con = con
        self._write_fd: int | None = None
        if threading.current_thread() is threading.main_thread():
            self._listen()

    def _listen(self) -> None:
        read_fd, write_fd = os.pipe()
        os.set_blocking(write_fd, False)
        before = signal.set_wakeup_fd(write_fd, warn_on_full_buffer=False)
        if before != -1:
            signal.set_wakeup_fd(before)
            os.close(read_fd)
            os.close(write_fd)
            return
        self._write_fd = write_fd
        self._thread = threading.Thread(target=self._follow, args=(read_fd,), daemon=True)
        self._thread.start()

    def _follow(self, read_fd: int) -> None:
        while numbers := os.read(read_fd, 64):
            if {signal.SIGINT, signal.SIGTERM} & set(numbers):
                self._con.interrupt()
        os.close(read_fd)

    def end(self) -> None:
        if self._write_fd is None:
            return
        if (now := signal.set_wakeup_fd(-1)) != self._write_fd:
            signal.set_wakeup_fd(now)
        os.close(self._write_fd)
        self._write_fd = None
        self._thread.join()


def is_interruption(error: BaseException) -> bool:
    """Whether an error stands for Ctrl-C: DuckDB makes one of its own of it, or one without a class."""
    told = isinstance(error, RuntimeError) and str(error) == "Query interrupted"
    return told or isinstance(error, duckdb.InterruptException)
