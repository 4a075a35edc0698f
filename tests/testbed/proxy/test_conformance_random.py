"""Random conversations with the API: both servers give the same codes and the same bodies.

Toxics come and go without traffic, so none of the real server's deadlocks can be met. Ports that a server
picked itself are compared by whether they are the same as before, not by number.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.testbed.proxy.embedded import serve_embedded
from tests.testbed.proxy.conftest import SharedToxiproxy, api_of

Call = tuple[str, str, Any]

NAMES = st.sampled_from(["a", "b"])
TOXIC_NAMES = st.sampled_from(["t", "latency_downstream", "slicer_upstream"])
LISTENS = st.sampled_from(["127.0.0.1:0", "localhost:0", "nowhere", "127.0.0.1:70000", ":0", "[::1]x", ""])
UPSTREAMS = st.sampled_from(["127.0.0.1:9", "localhost:9", "nonsense", ""])
NUMBERS = st.one_of(
    st.integers(-5, 5), st.sampled_from([2**63 - 1, 2**63, 1.0, 1.5, "1", None, True, [], {}])
)
KEYS = st.sampled_from(
    ["latency", "jitter", "LATENCY", "rate", "timeout", "average_size", "delay", "bytes", "colour"]
)
ATTRIBUTES = st.one_of(st.dictionaries(KEYS, NUMBERS, max_size=3), st.sampled_from([None, [], "x", 1]))
TYPES = st.sampled_from(
    [
        "latency",
        "bandwidth",
        "slow_close",
        "timeout",
        "reset_peer",
        "slicer",
        "limit_data",
        "noop",
        "x",
        "",
        5,
    ]
)
TOXICITIES = st.one_of(st.floats(-2, 8, width=32), st.sampled_from([0.1, 1, 7, 1e39, 1e-7, "1", None, True]))


def bodies(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Objects with any of the fields, and sometimes no object at all."""
    objects = st.fixed_dictionaries({}, optional=fields)
    return st.one_of(objects, objects, objects, st.sampled_from([None, [], 5, "text"]))


PROXY = {
    "name": NAMES,
    "listen": LISTENS,
    "upstream": UPSTREAMS,
    "enabled": st.sampled_from([True, False, None, 1]),
}
TOXIC = {
    "name": TOXIC_NAMES,
    "type": TYPES,
    "stream": st.sampled_from(["upstream", "downstream", "Upstream", "", "x", None]),
    "toxicity": TOXICITIES,
    "attributes": ATTRIBUTES,
}
GOOD_PROXY = st.fixed_dictionaries(
    {"name": NAMES, "listen": st.just("127.0.0.1:0"), "upstream": st.just("127.0.0.1:9")},
    optional={"enabled": st.booleans()},
)
GOOD_TOXIC = st.fixed_dictionaries(
    {"type": st.sampled_from(["latency", "slicer"]), "attributes": st.just({"latency": 3, "delay": 4})},
    optional={"stream": st.sampled_from(["upstream", "downstream"])},
)

CALLS: st.SearchStrategy[Call] = st.one_of(
    st.tuples(st.just("POST"), st.just("/proxies"), GOOD_PROXY),
    st.tuples(st.just("POST"), st.just("/proxies"), bodies(**PROXY)),
    st.tuples(st.sampled_from(["PATCH", "POST"]), NAMES.map("/proxies/{}".format), bodies(**PROXY)),
    st.tuples(st.sampled_from(["GET", "DELETE"]), NAMES.map("/proxies/{}".format), st.none()),
    st.tuples(st.just("POST"), NAMES.map("/proxies/{}/toxics".format), GOOD_TOXIC),
    st.tuples(st.just("POST"), NAMES.map("/proxies/{}/toxics".format), bodies(**TOXIC)),
    st.tuples(
        st.sampled_from(["PATCH", "POST"]),
        st.builds("/proxies/{}/toxics/{}".format, NAMES, TOXIC_NAMES),
        bodies(**TOXIC),
    ),
    st.tuples(
        st.sampled_from(["GET", "DELETE"]),
        st.builds("/proxies/{}/toxics/{}".format, NAMES, TOXIC_NAMES),
        st.none(),
    ),
    st.tuples(st.just("POST"), st.just("/populate"), st.lists(bodies(**PROXY), max_size=2)),
    st.tuples(st.just("POST"), st.just("/populate"), st.lists(GOOD_PROXY, max_size=2)),
    st.tuples(st.sampled_from(["GET", "PUT"]), st.sampled_from(["/proxies", "/reset", "/x"]), st.none()),
)


class Conversation:
    """One server's side of a conversation, with what legitimately differs taken out."""

    def __init__(self, api: httpx.AsyncClient) -> None:
        self._api = api
        self._ports: dict[str, str] = {}

    async def say(self, call: Call) -> tuple[int, str | None, Any]:
        method, path, content = call
        reply = await self._api.request(method, path, json=content)
        kind = reply.headers.get("content-type")
        if kind == "application/json":
            return reply.status_code, kind, self._comparable(reply.json())
        # The wording of Go's decoder after this is its own affair.
        text = re.sub(r"(bad request body: json: cannot unmarshal).*", r"\1", reply.text)
        return reply.status_code, kind, text

    async def clear(self) -> None:
        for name in (await self._api.get("/proxies")).json():
            await self._api.delete(f"/proxies/{name}")

    def _comparable(self, content: Any) -> Any:
        if isinstance(content, list):
            return [self._comparable(item) for item in content]
        if not isinstance(content, dict):
            return content
        shown = {key: self._comparable(value) for key, value in content.items()}
        if "listen" in shown:
            host, colon, port = shown["listen"].rpartition(":")
            if colon and port not in ("0", ""):
                shown["listen"] = f"{host}:{self._ports.setdefault(port, f'port-{len(self._ports)}')}"
        if str(shown.get("error", "")).startswith("bad request body: json:"):
            shown["error"] = "bad request body: json:"
        return shown


async def test_any_conversation_goes_the_same_way(shared_toxiproxy: SharedToxiproxy) -> None:
    loop = asyncio.get_running_loop()

    async with (
        serve_embedded(seed=0) as embedded,
        api_of(shared_toxiproxy.port()) as real_api,
        api_of(embedded.port) as embedded_api,
    ):

        async def converse(calls: list[Call]) -> None:
            with_real, with_embedded = Conversation(real_api), Conversation(embedded_api)
            try:
                for call in calls:
                    assert await with_embedded.say(call) == await with_real.say(call), call
            finally:
                await with_real.clear()
                await with_embedded.clear()

        @settings(
            max_examples=120,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        )
        @given(st.lists(CALLS, min_size=3, max_size=12))
        def holds(calls: list[Call]) -> None:
            # Hypothesis is synchronous, the servers live in the test's loop: it runs beside it.
            asyncio.run_coroutine_threadsafe(converse(calls), loop).result()

        await asyncio.to_thread(holds)
