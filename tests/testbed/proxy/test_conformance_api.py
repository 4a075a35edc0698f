"""Codes and bodies of the HTTP API: the real Toxiproxy and the embedded server must answer the same."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.testbed.proxy.bench import Bench, Proxied, taken_port

UPSTREAM = "127.0.0.1:9"


@pytest.fixture
async def proxy(bench: Bench) -> Proxied:
    return await bench.proxy(9)


def refusal(reply: httpx.Response) -> tuple[int, str]:
    """Status and text of an error, after checking the shape that all errors have."""
    assert reply.headers["content-type"] == "text/plain; charset=utf-8"
    assert reply.json().keys() == {"error", "status"}
    assert reply.json()["status"] == reply.status_code
    return reply.status_code, reply.json()["error"]


class TestProxies:
    async def test_creating_shows_the_whole_proxy(self, bench: Bench) -> None:
        body = {"name": "primary", "listen": "127.0.0.1:0", "upstream": UPSTREAM}
        reply = await bench.api.post("/proxies", json=body)
        assert reply.status_code == 201
        assert reply.headers["content-type"] == "application/json"
        shown = reply.json()
        host, _, port = shown.pop("listen").rpartition(":")
        assert host == "127.0.0.1"
        assert int(port) > 0
        assert shown == {"name": "primary", "upstream": UPSTREAM, "enabled": True, "Logger": {}, "toxics": []}

    async def test_a_disabled_one_keeps_the_address_as_given(self, bench: Bench) -> None:
        body = {"name": "idle", "listen": "localhost:0", "upstream": "nonsense", "enabled": False}
        shown = (await bench.api.post("/proxies", json=body)).json()
        assert (shown["listen"], shown["upstream"], shown["enabled"]) == ("localhost:0", "nonsense", False)

    async def test_without_an_address_it_listens_on_all_of_them(self, bench: Bench) -> None:
        shown = (await bench.api.post("/proxies", json={"name": "open", "upstream": UPSTREAM})).json()
        assert shown["listen"].rpartition(":")[0] in ("[::]", "0.0.0.0")

    async def test_the_index_has_them_by_name(self, bench: Bench, proxy: Proxied) -> None:
        reply = await bench.api.get("/proxies")
        assert reply.status_code == 200
        assert reply.json() == {proxy.name: await proxy.shown()}

    @pytest.mark.parametrize(
        ("body", "error"),
        [
            ("", "bad request body: EOF"),
            ('{"name": "a"', "bad request body: unexpected EOF"),
            ('{"name": "a"}', "missing required field: upstream"),
            ('{"upstream": "a:1"}', "missing required field: name"),
            ("null", "missing required field: name"),
            ("{} trailing", "missing required field: name"),
            (
                '{"name": "a", "upstream": "x", "enabled": "yes"}',
                "bad request body: json: cannot unmarshal string "
                "into Go struct field Proxy.enabled of type bool",
            ),
            (
                "[1]",
                "bad request body: json: cannot unmarshal array into Go value of type toxiproxy.Proxy",
            ),
        ],
    )
    async def test_a_bad_body_is_refused(self, bench: Bench, body: str, error: str) -> None:
        assert refusal(await bench.api.post("/proxies", content=body)) == (400, error)

    async def test_keys_count_in_any_case_and_unknown_ones_do_not(self, bench: Bench) -> None:
        body = '{"NAME": "a", "Upstream": "x:1", "enabled": false, "toxics": 5, "colour": "red"} and more'
        reply = await bench.api.post("/proxies", content=body)
        assert (reply.status_code, reply.json()["name"]) == (201, "a")

    async def test_a_name_is_taken_once(self, bench: Bench, proxy: Proxied) -> None:
        reply = await bench.api.post("/proxies", json={"name": proxy.name, "upstream": "other:1"})
        assert refusal(reply) == (409, "proxy already exists")

    @pytest.mark.parametrize(
        ("listen", "error"),
        [
            ("nowhere", "listen tcp: address nowhere: missing port in address"),
            ("127.0.0.1:99999", "listen tcp: address 99999: invalid port"),
        ],
    )
    async def test_an_address_that_is_none(self, bench: Bench, listen: str, error: str) -> None:
        reply = await bench.api.post("/proxies", json={"name": "a", "listen": listen, "upstream": UPSTREAM})
        assert refusal(reply) == (500, error)

    async def test_a_port_in_use_creates_nothing(self, bench: Bench) -> None:
        with taken_port() as port:
            body = {"name": "a", "listen": f"127.0.0.1:{port}", "upstream": UPSTREAM}
            reply = await bench.api.post("/proxies", json=body)
        assert refusal(reply) == (500, f"listen tcp 127.0.0.1:{port}: bind: address already in use")
        assert (await bench.api.get("/proxies/a")).status_code == 404

    @pytest.mark.parametrize("method", ["PATCH", "POST"])
    async def test_updating_changes_what_was_given(self, bench: Bench, proxy: Proxied, method: str) -> None:
        reply = await bench.api.request(
            method, f"/proxies/{proxy.name}", json={"upstream": "127.0.0.1:10", "name": "renamed"}
        )
        assert reply.status_code == 200
        shown = reply.json()
        assert (shown["name"], shown["listen"], shown["enabled"]) == (proxy.name, proxy.listen, True)
        assert shown["upstream"] == "127.0.0.1:10"

    async def test_updating_to_an_address_that_is_none_changes_nothing(
        self, bench: Bench, proxy: Proxied
    ) -> None:
        before = await proxy.shown()
        reply = await bench.api.patch(f"/proxies/{proxy.name}", json={"listen": "nowhere", "enabled": False})
        assert refusal(reply) == (500, "address nowhere: missing port in address")
        assert await proxy.shown() == before

    async def test_deleting_forgets_it(self, bench: Bench, proxy: Proxied) -> None:
        reply = await bench.api.delete(f"/proxies/{proxy.name}")
        assert (reply.status_code, reply.content) == (204, b"")
        for method in ("GET", "PATCH", "DELETE"):
            reply = await bench.api.request(method, f"/proxies/{proxy.name}")
            assert refusal(reply) == (404, "proxy not found")


class TestToxics:
    @pytest.mark.parametrize(
        ("type_", "attributes"),
        [
            ("noop", {}),
            ("latency", {"latency": 1, "jitter": 2}),
            ("bandwidth", {"rate": 3}),
            ("slow_close", {"delay": 4}),
            ("timeout", {"timeout": 5}),
            ("reset_peer", {"timeout": 6}),
            ("slicer", {"average_size": 7, "size_variation": 8, "delay": 9}),
            ("limit_data", {"bytes": 10}),
        ],
    )
    async def test_every_type_is_shown_as_it_was_asked_for(
        self, bench: Bench, proxy: Proxied, type_: str, attributes: dict[str, int]
    ) -> None:
        reply = await bench.api.post(
            f"/proxies/{proxy.name}/toxics", json={"type": type_, "attributes": attributes}
        )
        assert reply.status_code == 200
        assert reply.json() == {
            "attributes": attributes,
            "name": f"{type_}_downstream",
            "type": type_,
            "stream": "downstream",
            "toxicity": 1,
        }
        assert (await bench.api.get(f"/proxies/{proxy.name}/toxics")).json() == [reply.json()]
        assert (
            await bench.api.get(f"/proxies/{proxy.name}/toxics/{type_}_downstream")
        ).json() == reply.json()

    async def test_upstream_ones_come_first(self, bench: Bench, proxy: Proxied) -> None:
        for stream in ("downstream", "upstream"):
            await proxy.add("latency", stream)
            await proxy.add("noop", stream)
        names = [toxic["name"] for toxic in (await proxy.shown())["toxics"]]
        assert names == ["latency_upstream", "noop_upstream", "latency_downstream", "noop_downstream"]

    @pytest.mark.parametrize(
        ("given", "shown"),
        [
            ({"attributes": {"latncy": 100}}, {"attributes": {"latency": 0, "jitter": 0}}),
            ({"attributes": {"LATENCY": 100}}, {"attributes": {"latency": 100, "jitter": 0}}),
            ({"attributes": {"latency": -5}}, {"attributes": {"latency": -5, "jitter": 0}}),
            ({"attributes": None}, {"attributes": {"latency": 0, "jitter": 0}}),
            ({"toxicity": 7}, {"toxicity": 7}),
            ({"toxicity": -1}, {"toxicity": -1}),
            ({"toxicity": 0.3}, {"toxicity": 0.3}),
            ({"toxicity": 0.123456789}, {"toxicity": 0.12345679}),
            ({"stream": "Upstream"}, {"stream": "Upstream", "name": "latency_Upstream"}),
        ],
    )
    async def test_what_is_accepted_without_a_word(
        self, bench: Bench, proxy: Proxied, given: dict[str, Any], shown: dict[str, Any]
    ) -> None:
        reply = await bench.api.post(f"/proxies/{proxy.name}/toxics", json={"type": "latency", **given})
        assert reply.status_code == 200
        assert {key: reply.json()[key] for key in shown} == shown

    @pytest.mark.parametrize(
        ("given", "error"),
        [
            ({"attributes": {"latency": 1.0}}, "bad request body: json: cannot unmarshal number 1.0 into"),
            ({"attributes": {"latency": "100"}}, "bad request body: json: cannot unmarshal string into"),
            ({"attributes": {"latency": 2**63}}, "bad request body: json: cannot unmarshal number 9223"),
            ({"attributes": []}, "bad request body: json: cannot unmarshal array into"),
            ({"toxicity": "high"}, "bad request body: json: cannot unmarshal string into"),
            ({"stream": "sideways"}, "stream was invalid, can be either upstream or downstream"),
            ({"type": "confusion"}, "invalid toxic type"),
            ({"type": ""}, "invalid toxic type"),
        ],
    )
    async def test_what_is_refused(
        self, bench: Bench, proxy: Proxied, given: dict[str, Any], error: str
    ) -> None:
        reply = await bench.api.post(f"/proxies/{proxy.name}/toxics", json={"type": "latency", **given})
        status, text = refusal(reply)
        assert (status, text[: len(error)]) == (400, error)
        assert (await proxy.shown())["toxics"] == []

    async def test_a_name_is_taken_once_even_in_the_other_stream(self, bench: Bench, proxy: Proxied) -> None:
        toxics = f"/proxies/{proxy.name}/toxics"
        assert (await bench.api.post(toxics, json={"type": "noop", "name": "n"})).status_code == 200
        reply = await bench.api.post(toxics, json={"type": "latency", "name": "n", "stream": "upstream"})
        assert refusal(reply) == (409, "toxic already exists")

    @pytest.mark.parametrize("method", ["PATCH", "POST"])
    async def test_updating_changes_attributes_and_toxicity_and_nothing_else(
        self, bench: Bench, proxy: Proxied, method: str
    ) -> None:
        toxic = await proxy.add("latency", latency=100, jitter=10)
        body = {
            "attributes": {"jitter": 5},
            "toxicity": 0.5,
            "name": "n",
            "type": "noop",
            "stream": "upstream",
        }
        reply = await bench.api.request(method, f"/proxies/{proxy.name}/toxics/{toxic}", json=body)
        assert reply.status_code == 200
        assert reply.json() == {
            "attributes": {"latency": 100, "jitter": 5},
            "name": "latency_downstream",
            "type": "latency",
            "stream": "downstream",
            "toxicity": 0.5,
        }

    async def test_a_refused_update_has_taken_effect_by_half(self, bench: Bench, proxy: Proxied) -> None:
        toxic = await proxy.add("latency", latency=100)
        reply = await bench.api.patch(
            f"/proxies/{proxy.name}/toxics/{toxic}", json={"attributes": {"latency": 7, "jitter": "x"}}
        )
        assert refusal(reply)[0] == 400
        assert (await proxy.shown())["toxics"][0]["attributes"] == {"latency": 7, "jitter": 0}

    async def test_removing_forgets_it(self, bench: Bench, proxy: Proxied) -> None:
        toxic = await proxy.add("noop")
        reply = await bench.api.delete(f"/proxies/{proxy.name}/toxics/{toxic}")
        assert (reply.status_code, reply.content) == (204, b"")
        for method in ("GET", "PATCH", "DELETE"):
            reply = await bench.api.request(method, f"/proxies/{proxy.name}/toxics/{toxic}", content="{}")
            assert refusal(reply) == (404, "toxic not found")

    async def test_toxics_of_no_proxy(self, bench: Bench) -> None:
        for method, path in (("GET", ""), ("POST", ""), ("GET", "/t"), ("PATCH", "/t"), ("DELETE", "/t")):
            reply = await bench.api.request(method, f"/proxies/none/toxics{path}")
            assert refusal(reply) == (404, "proxy not found")


class TestPopulate:
    async def test_creates_what_is_missing(self, bench: Bench) -> None:
        entries = [
            {"name": "a", "listen": "127.0.0.1:0", "upstream": UPSTREAM, "toxics": [{"type": "latency"}]},
            {"name": "b", "listen": "127.0.0.1:0", "upstream": UPSTREAM, "enabled": False},
        ]
        reply = await bench.api.post("/populate", json=entries)
        assert reply.status_code == 201
        shown = reply.json()["proxies"]
        assert [(proxy["name"], proxy["enabled"], proxy["toxics"]) for proxy in shown] == [
            ("a", True, []),  # supplied toxics are dropped
            ("b", False, []),
        ]

    async def test_leaves_an_equal_proxy_as_it_is(self, bench: Bench, proxy: Proxied) -> None:
        await proxy.add("latency", latency=100)
        before = await proxy.shown()
        entry = {"name": proxy.name, "listen": proxy.listen, "upstream": UPSTREAM, "enabled": False}
        reply = await bench.api.post("/populate", json=[entry])
        assert reply.json()["proxies"] == [before]  # enabled is ignored, toxics stay

    @pytest.mark.parametrize("change", [{"upstream": "127.0.0.1:10"}, {"listen": "127.0.0.1:0"}])
    async def test_replaces_a_proxy_that_differs(
        self, bench: Bench, proxy: Proxied, change: dict[str, str]
    ) -> None:
        await proxy.add("latency", latency=100)
        entry = {"name": proxy.name, "listen": proxy.listen, "upstream": UPSTREAM, **change}
        reply = await bench.api.post("/populate", json=[entry])
        assert reply.status_code == 201
        assert reply.json()["proxies"][0]["toxics"] == []

    @pytest.mark.parametrize(
        ("body", "status", "error"),
        [
            ("", 400, "bad request body: EOF"),
            ("{}", 400, "bad request body: json: cannot unmarshal object into Go value of type []"),
            ('[{"name": "a"}]', 400, "missing required field: upstream at proxy 1"),
            (
                '[{"name": "a", "upstream": "x"}, {"upstream": "y"}]',
                400,
                "missing required field: name at proxy 2",
            ),
            (
                '[{"name": "a", "upstream": "x", "listen": 5}]',
                400,
                "bad request body: json: cannot unmarshal number",
            ),
        ],
    )
    async def test_a_bad_body_creates_nothing(self, bench: Bench, body: str, status: int, error: str) -> None:
        reply = await bench.api.post("/populate", content=body)
        assert reply.status_code == status
        assert reply.headers["content-type"] == "application/json"
        assert reply.json()["error"][: len(error)] == error
        assert (reply.json()["status"], reply.json()["proxies"]) == (status, None)
        assert (await bench.api.get("/proxies")).json() == {}

    async def test_stops_at_the_first_port_in_use(self, bench: Bench) -> None:
        with taken_port() as taken:
            entries = [
                {"name": "a", "listen": "127.0.0.1:0", "upstream": UPSTREAM},
                {"name": "b", "listen": f"127.0.0.1:{taken}", "upstream": UPSTREAM},
                {"name": "c", "listen": "127.0.0.1:0", "upstream": UPSTREAM},
            ]
            reply = await bench.api.post("/populate", json=entries)
        assert (reply.status_code, reply.json()["status"]) == (500, 500)
        assert [proxy["name"] for proxy in reply.json()["proxies"]] == ["a"]
        assert (await bench.api.get("/proxies")).json().keys() == {"a"}

    async def test_of_nothing_shows_null(self, bench: Bench) -> None:
        reply = await bench.api.post("/populate", json=[])
        assert (reply.status_code, reply.json()) == (201, {"proxies": None})


class TestServer:
    async def test_version(self, bench: Bench) -> None:
        reply = await bench.api.get("/version")
        assert reply.status_code == 200
        assert reply.headers["content-type"] == "application/json;charset=utf-8"
        assert reply.json().keys() == {"version"}

    async def test_replies_carry_a_request_id(self, bench: Bench) -> None:
        ids = {(await bench.api.get("/version")).headers["x-toxiproxy-request-id"] for _ in range(3)}
        assert len(ids) == 3

    @pytest.mark.parametrize("path", ["/", "/nothing", "/proxies/", "/metrics", "/proxies/a/b"])
    async def test_unknown_paths(self, bench: Bench, path: str) -> None:
        reply = await bench.api.get(path)
        assert (reply.status_code, reply.text) == (404, "404 page not found\n")

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("PUT", "/proxies"),
            ("HEAD", "/proxies"),
            ("GET", "/reset"),
            ("GET", "/populate"),
            ("POST", "/version"),
        ],
    )
    async def test_unknown_methods(self, bench: Bench, method: str, path: str) -> None:
        reply = await bench.api.request(method, path)
        assert (reply.status_code, reply.content) == (405, b"")

    async def test_browsers_are_kept_out(self, bench: Bench) -> None:
        reply = await bench.api.get("/proxies", headers={"user-agent": "Mozilla/5.0 (X11)"})
        assert (reply.status_code, reply.text) == (403, "User agent not allowed\n")
        reply = await bench.api.get("/nothing", headers={"user-agent": "Mozilla/5.0 (X11)"})
        assert reply.status_code == 404

    async def test_reset_reports_a_proxy_that_cannot_start(self, bench: Bench) -> None:
        with taken_port() as taken:
            body = {"name": "a", "listen": f"127.0.0.1:{taken}", "upstream": UPSTREAM, "enabled": False}
            await bench.api.post("/proxies", json=body)
            reply = await bench.api.post("/reset")
        assert refusal(reply) == (500, f"listen tcp 127.0.0.1:{taken}: bind: address already in use")
