"""The client of one proxy server's API: every call has a timeout, every failure is a ProxyError.

toxiproxy-python does what it can do (create, list, add and remove toxics, enable and disable, reset); plain
HTTP does what it cannot (read one proxy at a time, change an upstream, version). The library keeps the
server's address in class globals, waits for ever, and overlooks refusals other than 400, 404 and 409;
`_Consumer` takes the place of its HTTP layer and cures all three. Its calls block, so they run in threads of
this client.
"""

from __future__ import annotations

import asyncio
import contextvars
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx
import requests
import toxiproxy.api
import toxiproxy.proxy
import toxiproxy.server

from harness.testbed.proxy.errors import ProxyRefused, ProxyTimeout, ProxyUnreachable
from harness.testbed.proxy.state import ProxyState, Toxic

TIMEOUT_S = 2.0
_GRACE_S = 0.5  # for a thread to report the timeout that it met

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Target:
    base_url: str
    timeout_s: float


_target: contextvars.ContextVar[_Target] = contextvars.ContextVar("harness_proxy_target")


class _Consumer(toxiproxy.api.APIConsumer):  # type: ignore[misc]
    """The library's HTTP layer, for the server that the calling context names.

    Outside a ProxyClient's call no server is named, and it is the library's own layer, with the library's own
    globals: other users of toxiproxy-python in this process notice nothing.
    """

    @classmethod
    def get(cls, url: str, params: Any = None, **kwargs: Any) -> Any:
        if target := _target.get(None):
            return _request(target, "GET", url, params=params, **kwargs)
        return super().get(url, params, **kwargs)

    @classmethod
    def delete(cls, url: str, **kwargs: Any) -> Any:
        if target := _target.get(None):
            return _request(target, "DELETE", url, **kwargs)
        return super().delete(url, **kwargs)

    @classmethod
    def post(cls, url: str, data: Any = None, json: Any = None, **kwargs: Any) -> Any:  # the library's names
        if target := _target.get(None):
            return _request(target, "POST", url, data=data, json=json, **kwargs)
        return super().post(url, data, json, **kwargs)


toxiproxy.proxy.APIConsumer = _Consumer
toxiproxy.server.APIConsumer = _Consumer


class ProxyClient:
    """One server's API. Safe to use for several servers at once; `close` it when done."""

    def __init__(self, api_host: str, api_port: int, timeout_s: float = TIMEOUT_S) -> None:
        self.base_url = f"http://{api_host}:{api_port}"
        self._timeout_s = timeout_s
        # Plain HTTP to a server of our own: no proxy from the environment, no CA bundle to load for nothing.
        self._http = httpx.AsyncClient(
            base_url=self.base_url, timeout=timeout_s, trust_env=False, verify=False
        )
        # Threads of its own: a server that hangs must not use up those of the rest of the process.
        self._threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="proxy-client")

    async def close(self) -> None:
        """Drop the connections to the API."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        await self._http.aclose()

    async def create(self, name: str, listen: str, upstream: str, enabled: bool = True) -> ProxyState:
        """Make a proxy; port 0 in `listen` lets the server pick one, the reply tells which."""
        wanted = ProxyState(name=name, listen=listen, upstream=upstream, enabled=enabled)

        def create() -> ProxyState:
            made = toxiproxy.server.Toxiproxy().create(upstream, wanted.name, listen, enabled)
            return ProxyState(
                name=made.name, listen=made.listen, upstream=made.upstream, enabled=made.enabled
            )

        return await self._in_thread(create)

    async def names(self) -> list[str]:
        """The names of all proxies of this server."""
        return await self._in_thread(lambda: sorted(toxiproxy.server.Toxiproxy().proxies()))

    async def read(self, name: str) -> ProxyState:
        """The proxy with its toxics, all of one moment."""
        return _proxy_state(await self._send("GET", f"/proxies/{name}"))

    async def set_enabled(self, name: str, enabled: bool) -> None:
        """Listen or not; disabling closes the connections and keeps the toxics."""
        proxy = _library_proxy(name)
        await self._in_thread(proxy.enable if enabled else proxy.disable)

    async def set_upstream(self, name: str, upstream: str) -> None:
        """Lead somewhere else (`host:port`); closes the connections."""
        change = {"upstream": upstream}
        try:
            await self._send("PATCH", f"/proxies/{name}", change)
        except ProxyRefused as error:
            if error.status != httpx.codes.METHOD_NOT_ALLOWED:
                raise
            await self._send("POST", f"/proxies/{name}", change)  # PATCH came with Toxiproxy 2.6

    async def toxics(self, name: str) -> list[Toxic]:
        """The proxy's toxics."""
        found = await self._in_thread(_library_proxy(name).toxics)
        return [
            Toxic(
                name=toxic.name,
                type=toxic.type,
                stream=toxic.stream,
                toxicity=float(toxic.toxicity),
                attributes=toxic.attributes,
            )
            for toxic in found.values()
        ]

    async def add_toxic(self, name: str, toxic: Toxic) -> None:
        """Let a toxic act, on open connections too."""
        proxy = _library_proxy(name)
        await self._in_thread(
            lambda: proxy.add_toxic(
                name=toxic.name,
                type=toxic.type,
                stream=toxic.stream,
                toxicity=toxic.toxicity,
                attributes=toxic.attributes,
            )
        )

    async def remove_toxic(self, name: str, toxic_name: str) -> None:
        """End a toxic. This is the call that real servers hang on."""
        await self._in_thread(lambda: _library_proxy(name).destroy_toxic(toxic_name))

    async def reset(self) -> None:
        """Enable every proxy of this server and remove all toxics."""
        await self._in_thread(lambda: toxiproxy.server.Toxiproxy().reset())

    async def version(self) -> str:
        """What the server calls its version; one built from source says `git`."""
        answer = await self._send("GET", "/version")
        return str(answer["version"])

    async def _in_thread(self, call: Callable[[], T]) -> T:
        """Run a call of the library against this server."""
        context = contextvars.copy_context()
        context.run(_target.set, _Target(self.base_url, self._timeout_s))
        running = asyncio.get_running_loop().run_in_executor(self._threads, context.run, call)
        try:
            # The library's timeout counts from byte to byte; this one counts the whole.
            return await asyncio.wait_for(running, self._timeout_s + _GRACE_S)
        except TimeoutError as error:
            raise ProxyTimeout(f"{self.base_url} did not answer within {self._timeout_s:g} s") from error

    async def _send(self, method: str, path: str, content: dict[str, Any] | None = None) -> Any:
        request = f"{method} {self.base_url}{path}"
        try:
            async with asyncio.timeout(self._timeout_s):
                reply = await self._http.request(method, path, json=content)
        except (TimeoutError, httpx.TimeoutException) as error:
            raise ProxyTimeout(f"{request}: no answer within {self._timeout_s:g} s") from error
        except httpx.TransportError as error:
            raise ProxyUnreachable(f"{request}: {error or type(error).__name__}") from error
        return _checked(request, reply.status_code, reply.text)


def _request(target: _Target, method: str, path: str, **kwargs: Any) -> requests.Response:
    request = f"{method} {target.base_url}{path}"
    try:
        reply = requests.request(
            method,
            target.base_url + path,
            timeout=target.timeout_s,
            proxies={"http": ""},  # whatever HTTP_PROXY says: this is a server of our own
            **kwargs,
        )
    except requests.Timeout as error:
        raise ProxyTimeout(f"{request}: no answer within {target.timeout_s:g} s") from error
    except requests.RequestException as error:
        raise ProxyUnreachable(f"{request}: {error}") from error
    _checked(request, reply.status_code, reply.text)
    return reply


def _checked(request: str, status: int, text: str) -> Any:
    """The answer's content. Raises ProxyRefused for a refusal, ProxyUnreachable for what is no answer."""
    try:
        content = json.loads(text) if text.strip() else None
    except json.JSONDecodeError as error:
        if status < httpx.codes.BAD_REQUEST:
            raise ProxyUnreachable(f"{request}: {text[:80]!r} is not an answer of this API") from error
        content = None
    if status >= httpx.codes.BAD_REQUEST:
        reason = content.get("error", text) if isinstance(content, dict) else text.strip()
        raise ProxyRefused(request, status, reason or "no reason given")
    return content


def _library_proxy(name: str) -> Any:
    # The library wants the whole proxy; its calls use the name alone.
    return toxiproxy.proxy.Proxy(name=name, upstream="", listen="", enabled=True)


def _proxy_state(content: dict[str, Any]) -> ProxyState:
    return ProxyState(
        name=content["name"],
        listen=content["listen"],
        upstream=content["upstream"],
        enabled=content["enabled"],
        toxics=tuple(
            Toxic(
                name=toxic["name"],
                type=toxic["type"],
                stream=toxic["stream"],
                toxicity=float(toxic["toxicity"]),
                attributes=toxic["attributes"],
            )
            for toxic in content["toxics"]
        ),
    )
