"""The process in which a Python function is called with each message: `python -m … FILE FUNCTION`.

One JSON line in for each message, `{"id", "message"}`; one out for each end, `{"id", "error", "unsure"}`. A
first line says whether the function is there. A sync function gets a thread for each call: one that hangs
holds up nobody else. What the function prints goes to standard error.

With `--check` the file is only imported: the exit code is 1 where that cannot work on any account.
"""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import json
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

MOST_CALLS = 200
LINE_LIMIT = 16 * 1024 * 1024


class NotThere(Exception):
    """The file or the function in it cannot be had; the message says why."""


def function_of(file: Path, name: str) -> Callable[[dict[str, Any]], Any]:
    """Import a file by its path. Raises NotThere, or whatever the file raises."""
    spec = importlib.util.spec_from_file_location(file.stem, file)
    if spec is None or spec.loader is None:
        raise NotThere(f"{file} is no Python file")
    sys.path.insert(0, str(file.parent))
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    spec.loader.exec_module(module)
    function = getattr(module, name, None)
    if not callable(function):
        raise NotThere(f"there is no function `{name}` in {file}")
    return function  # type: ignore[no-any-return]


class Worker:
    def __init__(self, function: Callable[[dict[str, Any]], Any], answers: BinaryIO) -> None:
        self._function = function
        self._answers = answers
        self._loop = asyncio.get_running_loop()
        self._calls: set[asyncio.Task[None]] = set()

    def call(self, number: int, message: dict[str, Any]) -> None:
        if len(self._calls) >= MOST_CALLS:
            self._say(number, RuntimeError(f"{MOST_CALLS} calls have not returned"))
            return
        task = asyncio.create_task(self._call(number, message))
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    async def _call(self, number: int, message: dict[str, Any]) -> None:
        try:
            if inspect.iscoroutinefunction(self._function):
                await self._function(message)
            else:
                answer = await self._in_a_thread(message)
                if inspect.isawaitable(answer):  # a coroutine function in a wrapper is called like any other
                    await answer
        except Exception as error:  # noqa: BLE001  whatever it raises is its answer
            self._say(number, error)
        else:
            self._say(number, None)

    def _in_a_thread(self, message: dict[str, Any]) -> asyncio.Future[Any]:
        ended: asyncio.Future[Any] = self._loop.create_future()

        def run() -> None:
            try:
                answer = self._function(message)
            except BaseException as error:  # noqa: BLE001  SystemExit too is the answer of one call
                failure = error if isinstance(error, Exception) else RuntimeError(repr(error))
                self._loop.call_soon_threadsafe(ended.set_exception, failure)
            else:
                self._loop.call_soon_threadsafe(ended.set_result, answer)

        threading.Thread(target=run, daemon=True).start()
        return ended

    def _say(self, number: int, error: Exception | None) -> None:
        text = None if error is None else f"{type(error).__name__}: {error}"[:500]
        unsure = isinstance(error, TimeoutError)
        self._answers.write(json.dumps({"id": number, "error": text, "unsure": unsure}).encode() + b"\n")


async def serve(function: Callable[[dict[str, Any]], Any], requests: BinaryIO, answers: BinaryIO) -> None:
    """Until the requests end."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=LINE_LIMIT)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), requests)
    worker = Worker(function, answers)
    while line := await reader.readline():
        request = json.loads(line)
        worker.call(request["id"], request["message"])


def check(file: Path, name: str) -> int:
    """Only what no setting can put right is an error: a module that is missing, a file that is not Python."""
    try:
        function_of(file, name)
    except (ImportError, SyntaxError, NotThere) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    except BaseException:  # noqa: BLE001  it may need what it is given only in a run
        return 0
    return 0


def main(arguments: list[str]) -> int:
    checking = arguments[0] == "--check"
    file, name = Path(arguments[-2]), arguments[-1]
    if checking:
        return check(file, name)
    # The function may read and print: neither must meet the wire.
    requests, answers = os.fdopen(os.dup(0), "rb", 0), os.fdopen(os.dup(1), "wb", 0)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    try:
        function = function_of(file, name)
    except BaseException as error:
        answers.write(json.dumps({"error": f"{type(error).__name__}: {error}"[:500]}).encode() + b"\n")
        raise
    answers.write(b'{"error": null}\n')
    asyncio.run(serve(function, requests, answers))
    os._exit(0)  # threads that hang must not hold up the end


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
