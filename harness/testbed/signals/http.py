"""Signals by HTTP from the system's own port: a JSON document, or Prometheus text."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from harness.testbed.signals.prometheus import parse_samples
from harness.testbed.signals.source import POLL, Bounds, Garbage, Unreachable, parse_json


class HttpSource:
    """A path that answers JSON. `base_url` is the SUT's."""

    word = "http"

    def __init__(self, base_url: str, path: str, bounds: Bounds = POLL) -> None:
        self._path = path
        self._bounds = bounds
        self._client = httpx.AsyncClient(
            base_url=base_url,
            timeout=bounds.timeout_s,
            trust_env=False,
            verify=False,  # plain HTTP: no CA bundle to load for nothing
        )

    @property
    def how(self) -> str:
        return f"{self.word} {self._path}"

    async def read(self) -> Any:
        try:
            async with asyncio.timeout(self._bounds.timeout_s):
                answer = await self._get()
        except TimeoutError as error:
            raise Unreachable(f"no whole answer within {self._bounds.timeout_s:g} s") from error
        except httpx.TransportError as error:
            raise Unreachable(type(error).__name__) from error
        except httpx.HTTPError as error:
            raise Garbage(str(error)) from error
        if answer.status_code != 200:
            raise Garbage(f"HTTP {answer.status_code}")
        return self._document(answer)

    async def _get(self) -> httpx.Response:
        """The whole answer, unless it is longer than any sensible one. Raises Garbage."""
        body = bytearray()
        async with self._client.stream("GET", self._path) as answer:
            async for chunk in answer.aiter_bytes():
                body += chunk
                if len(body) > self._bounds.size_bytes:
                    raise Garbage(f"an answer of more than {self._bounds.size_bytes} bytes")
            return httpx.Response(answer.status_code, content=bytes(body))

    def _document(self, answer: httpx.Response) -> Any:
        return parse_json(answer.content)

    async def close(self) -> None:
        await self._client.aclose()


class PrometheusSource(HttpSource):
    """A path that answers Prometheus text."""

    word = "prometheus"

    def _document(self, answer: httpx.Response) -> Any:
        try:
            samples = parse_samples(answer.text)
        except ValueError as error:
            raise Garbage(str(error)) from error
        if not samples:
            raise Garbage("no Prometheus sample in the answer")
        return samples
