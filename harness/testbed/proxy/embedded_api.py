"""Toxiproxy's HTTP API over the embedded proxies: the same paths, codes, bodies and leniency as version 2.12.

Errors are `{"error": …, "status": …}` served as text/plain, as Toxiproxy does it. What it answers where it
crashes or hangs (an attribute that makes it panic, a request that never ends) is not imitated.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from harness.testbed.proxy.embedded_address import AddressError
from harness.testbed.proxy.embedded_json import (
    BodyError,
    Decoded,
    GoType,
    decode,
    mistyped,
    parse,
    to_float32,
)
from harness.testbed.proxy.embedded_proxies import EmbeddedProxy, ListenError, ProxyCollection, ProxyInput
from harness.testbed.proxy.embedded_toxics import TOXIC_TYPES, LiveToxic

VERSION = "2.12.0-embedded"

_PROXY_FIELDS = {
    "name": GoType.STRING,
    "listen": GoType.STRING,
    "upstream": GoType.STRING,
    "enabled": GoType.BOOL,
    "Logger": GoType.STRUCT,
}
_TOXIC_FIELDS = {
    "attributes": GoType.STRUCT,
    "name": GoType.STRING,
    "type": GoType.STRING,
    "stream": GoType.STRING,
    "toxicity": GoType.FLOAT32,
}

Handler = Callable[[Request], Awaitable[Response]]


class ApiError(Exception):
    """A request that is refused with a status and an `error` text."""

    def __init__(self, status: int, error: str) -> None:
        super().__init__(error)
        self.status = status
        self.error = error

    def to_json(self) -> dict[str, Any]:
        """The fields of the reply."""
        return {"error": self.error, "status": self.status}


def create_app(collection: ProxyCollection) -> Starlette:
    """The API as an ASGI application."""
    api = _Api(collection)
    handlers = [
        ("POST", "/reset", api.reset),
        ("GET", "/proxies", api.proxy_index),
        ("POST", "/proxies", api.proxy_create),
        ("POST", "/populate", api.populate),
        ("GET", "/proxies/{proxy}", api.proxy_show),
        ("POST PATCH", "/proxies/{proxy}", api.proxy_update),
        ("DELETE", "/proxies/{proxy}", api.proxy_delete),
        ("GET", "/proxies/{proxy}/toxics", api.toxic_index),
        ("POST", "/proxies/{proxy}/toxics", api.toxic_create),
        ("GET", "/proxies/{proxy}/toxics/{toxic}", api.toxic_show),
        ("POST PATCH", "/proxies/{proxy}/toxics/{toxic}", api.toxic_update),
        ("DELETE", "/proxies/{proxy}/toxics/{toxic}", api.toxic_delete),
        ("GET", "/version", api.version),
    ]
    routes = []
    for methods, path, handler in handlers:
        route = Route(path, api.answer(handler), methods=methods.split())
        route.methods = set(methods.split())  # Starlette adds HEAD to every GET; Toxiproxy has none
        routes.append(route)
    app = Starlette(routes=routes, exception_handlers={404: _no_page, 405: _no_method})
    app.router.redirect_slashes = False
    return app


class _Api:
    def __init__(self, collection: ProxyCollection) -> None:
        self._collection = collection
        self._requests = itertools.count(1)

    def answer(self, handler: Handler) -> Handler:
        """A handler with what all of them share: browsers kept out, request ids, errors as replies."""

        async def respond(request: Request) -> Response:
            if request.headers.get("user-agent", "").startswith("Mozilla/"):
                response = _text(403, "User agent not allowed\n")
            else:
                try:
                    response = await handler(request)
                except ApiError as error:
                    response = _text(error.status, _dump(error.to_json()) + "\n")
            response.headers["X-Toxiproxy-Request-Id"] = f"embedded-{next(self._requests)}"
            return response

        return respond

    async def proxy_index(self, request: Request) -> Response:
        return _json(200, {name: proxy.to_json() for name, proxy in sorted(self._collection.proxies.items())})

    async def proxy_create(self, request: Request) -> Response:
        values = _values(await request.body(), _PROXY_FIELDS, "toxiproxy.Proxy")
        for field in ("name", "upstream"):
            if not values.get(field):
                raise ApiError(400, f"missing required field: {field}")
        wanted = _proxy_input(values)
        async with self._collection.lock:
            if wanted.name in self._collection.proxies:
                raise ApiError(409, "proxy already exists")
            try:
                proxy = await self._collection.add(wanted)
            except ListenError as error:
                raise ApiError(500, str(error)) from error
        return _json(201, proxy.to_json())

    async def proxy_show(self, request: Request) -> Response:
        return _json(200, self._proxy(request).to_json())

    async def proxy_update(self, request: Request) -> Response:
        body = await request.body()
        async with self._collection.lock:
            proxy = self._proxy(request)
            now = {"listen": proxy.listen, "upstream": proxy.upstream, "enabled": proxy.enabled}
            asked = _values(body, _PROXY_FIELDS, "toxiproxy.Proxy")
            wanted = _proxy_input({**now, **asked, "name": proxy.name})
            try:
                await proxy.update(wanted)
            except (ListenError, AddressError) as error:
                raise ApiError(500, str(error)) from error
        return _json(200, proxy.to_json())

    async def proxy_delete(self, request: Request) -> Response:
        async with self._collection.lock:
            self._collection.remove(self._proxy(request).name)
        return Response(status_code=204)

    async def populate(self, request: Request) -> Response:
        made: list[EmbeddedProxy] = []
        refused: ApiError | None = None
        async with self._collection.lock:
            try:
                for wanted in _populate_input(await request.body()):
                    made.append(await self._collection.add_or_replace(wanted))
            except ApiError as error:
                refused = error
            except (ListenError, AddressError) as error:
                refused = ApiError(500, str(error))
        # Toxiproxy says null, not [], where there is none.
        proxies = [proxy.to_json() for proxy in made] or None
        if refused is not None:
            return _json(refused.status, {**refused.to_json(), "proxies": proxies})
        return _json(201, {"proxies": proxies})

    async def reset(self, request: Request) -> Response:
        async with self._collection.lock:
            try:
                await self._collection.reset()
            except ListenError as error:
                raise ApiError(500, str(error)) from error
        return Response(status_code=204)

    async def toxic_index(self, request: Request) -> Response:
        return _json(200, self._proxy(request).toxics_json())

    async def toxic_create(self, request: Request) -> Response:
        body = await request.body()
        proxy = self._proxy(request)
        values: dict[str, Any] = {"name": "", "type": "", "stream": "downstream", "toxicity": 1.0}
        values |= _values(body, _TOXIC_FIELDS, "toxics.ToxicWrapper")
        if values["stream"].lower() not in ("upstream", "downstream"):
            raise ApiError(400, "stream was invalid, can be either upstream or downstream")
        toxic_type = TOXIC_TYPES.get(values["type"])
        if toxic_type is None:
            raise ApiError(400, "invalid toxic type")
        name = values["name"] or f"{values['type']}_{values['stream']}"
        if proxy.toxic(name) is not None:
            raise ApiError(409, "toxic already exists")
        toxic = LiveToxic(toxic_type, name, values["stream"], to_float32(values["toxicity"]))
        _set_attributes(toxic, values.get("attributes"))
        proxy.add_toxic(toxic)
        return _json(200, toxic.to_json())

    async def toxic_show(self, request: Request) -> Response:
        return _json(200, self._toxic(request)[1].to_json())

    async def toxic_update(self, request: Request) -> Response:
        body = await request.body()
        proxy, toxic = self._toxic(request)
        fields = {"attributes": GoType.STRUCT, "toxicity": GoType.FLOAT32}
        decoded = _decoded(body, fields, "struct")
        _set_attributes(toxic, decoded.values.get("attributes"))
        _refuse_mistyped(decoded)
        toxic.toxicity = to_float32(decoded.values.get("toxicity", toxic.toxicity))
        proxy.toxic_changed(toxic)
        return _json(200, toxic.to_json())

    async def toxic_delete(self, request: Request) -> Response:
        proxy, toxic = self._toxic(request)
        proxy.remove_toxic(toxic)
        return Response(status_code=204)

    async def version(self, request: Request) -> Response:
        return Response(f'{{"version": "{VERSION}"}}\n', media_type="application/json;charset=utf-8")

    def _proxy(self, request: Request) -> EmbeddedProxy:
        proxy = self._collection.proxies.get(request.path_params["proxy"])
        if proxy is None:
            raise ApiError(404, "proxy not found")
        return proxy

    def _toxic(self, request: Request) -> tuple[EmbeddedProxy, LiveToxic]:
        proxy = self._proxy(request)
        toxic = proxy.toxic(request.path_params["toxic"])
        if toxic is None:
            raise ApiError(404, "toxic not found")
        return proxy, toxic


def _decoded(body: bytes, fields: dict[str, GoType], go_type: str) -> Decoded:
    try:
        return decode(parse(body), fields, go_type)
    except BodyError as error:
        raise _bad_body(error) from error


def _values(body: bytes, fields: dict[str, GoType], go_type: str) -> dict[str, Any]:
    decoded = _decoded(body, fields, go_type)
    _refuse_mistyped(decoded)
    return decoded.values


def _refuse_mistyped(decoded: Decoded) -> None:
    if decoded.error is not None:
        raise _bad_body(decoded.error)


def _set_attributes(toxic: LiveToxic, attributes: Any) -> None:
    """Set what can be set and refuse the request if there was more: a PATCH does take effect by halves."""
    fields = dict.fromkeys(toxic.type.attributes, GoType.INT64)
    decoded = decode(attributes, fields, f"{toxic.type.name}.attributes")
    toxic.attributes.update(decoded.values)
    _refuse_mistyped(decoded)


def _proxy_input(values: dict[str, Any]) -> ProxyInput:
    return ProxyInput(
        name=values["name"],
        listen=values.get("listen", ""),
        upstream=values["upstream"],
        enabled=values.get("enabled", True),
    )


def _populate_input(body: bytes) -> list[ProxyInput]:
    try:
        entries = parse(body)
        if entries is None:
            entries = []
        if not isinstance(entries, list):
            raise mistyped(entries, "[]toxiproxy.Proxy")
        decoded = [decode(entry, _PROXY_FIELDS, "toxiproxy.Proxy") for entry in entries]
    except BodyError as error:
        raise _bad_body(error) from error
    for entry in decoded:
        _refuse_mistyped(entry)
    for number, entry in enumerate(decoded, start=1):
        for field in ("name", "upstream"):
            if not entry.values.get(field):
                raise ApiError(400, f"missing required field: {field} at proxy {number}")
    return [_proxy_input(entry.values) for entry in decoded]


def _bad_body(error: BodyError) -> ApiError:
    return ApiError(400, f"bad request body: {error}")


def _dump(content: Any) -> str:
    return json.dumps(content, separators=(",", ":"), ensure_ascii=False)


def _json(status: int, content: Any) -> Response:
    return Response(_dump(content), status, media_type="application/json")


def _text(status: int, content: str) -> Response:
    return Response(content, status, {"X-Content-Type-Options": "nosniff"}, media_type="text/plain")


async def _no_page(request: Request, error: Exception) -> Response:
    return _text(404, "404 page not found\n")


async def _no_method(request: Request, error: Exception) -> Response:
    return Response(status_code=405)
