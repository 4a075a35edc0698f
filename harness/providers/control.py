"""The control API of a provider: its journal, its faults, its clock, its end.

It is served in the provider's own loop, on a port of its own that no proxy is in front of. `GET
/journal?after=N` streams records as they are written, so that the harness neither polls nor misses one.
`POST /settle` waits until what was taken is passed on: copies to the inbox, events to the sender; with
`last=1` there is no sender any more, and events that have not got through are given up at once.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from harness.providers.clock import Clock
from harness.providers.errors import FaultRefused
from harness.providers.faults import FaultTable
from harness.providers.ledger import Ledger
from harness.providers.preset import Engine
from harness.providers.webhooks import Webhooks
from harness.providers.wire import ProviderFault

LONGEST_SETTLE_S = 60
_EXCERPT_BYTES = 60
_SUCH_AS = 'Send an object such as {"id": "f1", "type": "refuse", "code": 451}'


def control_app(
    *,
    ledger: Ledger,
    faults: FaultTable[Any],
    clock: Clock,
    engine: Engine,
    events: Webhooks,
    stop: asyncio.Event,
) -> Starlette:
    """The application; `stop` is set by POST /shutdown."""

    async def health(_: Request) -> Response:
        return _json({"status": "ok", "provider": ledger.provider})

    async def now(_: Request) -> Response:
        return _json({"now_ns": clock.now_ns()})

    async def journal(request: Request) -> Response:
        after = request.query_params.get("after", "0")
        if not after.isdecimal():
            return _error(400, f"after={after!r} is not a record number")
        endless = request.query_params.get("follow", "1") != "0"
        return StreamingResponse(
            ledger.follow(int(after), endless=endless), media_type="application/x-ndjson"
        )

    def numbers() -> dict[str, Any]:
        return {
            "last_n": ledger.last_n,
            "connections": dict(engine.connections()),
            "accepted": dict(ledger.handed_off),
            **engine.stats(),
            **({"events": events.stats()} if events.are_heard else {}),
        }

    async def stats(_: Request) -> Response:
        return _json(numbers())

    async def settle(request: Request) -> Response:
        try:
            within_s = float(request.query_params.get("within_s", "5"))
        except ValueError:
            within_s = -1
        if not 0 <= within_s <= LONGEST_SETTLE_S:
            return _error(400, f"within_s must be a number of seconds from 0 to {LONGEST_SETTLE_S}")
        last = request.query_params.get("last", "0") != "0"
        settled = all(
            await asyncio.gather(engine.settle(within_s), events.settle(0.0 if last else within_s, last=last))
        )
        return _json({"settled": settled, **numbers()})

    async def list_faults(_: Request) -> Response:
        return _json(faults.list())

    async def put_fault(request: Request) -> Response:
        fault_id = request.path_params["id"]
        body = await request.body()
        try:
            fault = msgspec.json.decode(body, type=ProviderFault)
            if fault.id != fault_id:
                return _error(400, f"the fault calls itself {fault.id!r}, the path {fault_id!r}")
            return _json(faults.put(fault))
        except msgspec.ValidationError as error:
            return _error(400, f"the body of PUT /faults/{fault_id} is no fault: {error}. {_SUCH_AS}")
        except msgspec.DecodeError as error:
            began = body[:_EXCERPT_BYTES].decode("utf-8", "replace")
            shown = f"begins {began!r}" if body else "is empty"
            what = f"the body of PUT /faults/{fault_id} is not JSON: {error}; it {shown}"
            return _error(400, f"{what}. {_SUCH_AS}")
        except FaultRefused as error:
            return _error(400, str(error))

    async def delete_fault(request: Request) -> Response:
        fault_id = request.path_params["id"]
        if faults.delete(fault_id) is None:
            return _error(404, f"there is no fault {fault_id!r}")
        return Response(status_code=204)

    async def shutdown(_: Request) -> Response:
        stop.set()
        return Response(status_code=202)

    return Starlette(
        routes=[
            Route("/health", health),
            Route("/clock", now),
            Route("/journal", journal),
            Route("/stats", stats),
            Route("/settle", settle, methods=["POST"]),
            Route("/faults", list_faults),
            Route("/faults/{id}", put_fault, methods=["PUT"]),
            Route("/faults/{id}", delete_fault, methods=["DELETE"]),
            Route("/shutdown", shutdown, methods=["POST"]),
        ]
    )


def _json(content: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(content), status_code=status, media_type="application/json")


def _error(status: int, message: str) -> Response:
    return _json({"error": message}, status)
