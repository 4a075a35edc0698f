"""A system under test that does as it is told: run as a process, it keeps what it saw in STATE_DIR.

The text of a submitted message says how to answer: a status code, `close`, or `hang`.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path

STATE = Path(os.environ["STATE_DIR"])
STATES = {
    "messages": [{"key": "tokenaaaaaaaaaaa", "to": "c.tokenaaaaaaaaaaa@customer.example", "state": "held"}]
}


def note(name: str, what: object) -> None:
    with (STATE / name).open("a", encoding="utf-8") as file:
        file.write(json.dumps(what) + "\n")


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            lines = head.decode().split("\r\n")
            method, path, _ = lines[0].split(" ")
            headers = {key.lower(): value for key, _, value in (line.partition(": ") for line in lines[1:])}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            answer: object = {"path": path}
            status = "200"
            if method == "POST":
                content = json.loads(body)
                if isinstance(content, list):
                    note("events.jsonl", content)
                    content = {"text": "200"}
                note(
                    "submissions.jsonl",
                    {"key": headers.get("idempotency-key"), "path": path, "body": content},
                )
                status = str(content["text"]).partition("\n")[0]
                if status == "close":
                    return
                if status == "hang":
                    await asyncio.Event().wait()
            elif path.startswith("/messages"):
                answer = STATES
            payload = json.dumps(answer).encode()
            writer.write(
                f"HTTP/1.1 {status} Said\r\nContent-Length: {len(payload)}\r\n\r\n".encode() + payload
            )
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        return
    finally:
        writer.close()


async def main() -> None:
    note("starts.jsonl", {"pid": os.getpid(), "env": dict(os.environ), "cwd": str(Path.cwd())})
    stop = asyncio.Event()
    if "IGNORE_SIGTERM" in os.environ:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    else:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await asyncio.start_server(serve, "127.0.0.1", int(os.environ["PORT"]))
    print("the stub system listens", flush=True)
    await stop.wait()
    os._exit(0)  # a hanging answer must not hold the end up


if __name__ == "__main__":
    asyncio.run(main())
