"""The status page's management API: what a system posts there is on the page for everybody, and recorded."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest

from harness.history.events import EndpointCalled
from harness.providers import presets
from harness.providers.errors import FaultRefused
from harness.providers.http.board import MOST, Board, Posted
from harness.providers.preset import ApiRequest
from harness.providers.wire import ProviderFault
from tests.providers.proxied import Proxied, proxied

PAGE = "/v1/pages/8kbf7d35c070"
INCIDENTS = f"{PAGE}/incidents"
OUTAGE = {"name": "Mail is late", "status": "investigating", "impact_override": "major", "body": "We look."}


class Owner:
    """Whose page it is."""

    def __init__(self, fake: Proxied, http: httpx.AsyncClient) -> None:
        self.fake = fake
        self.http = http
        self.key = {"Authorization": f"OAuth {fake.account.secret}"}

    def url(self, path: str) -> str:
        return self.fake.url(path, "manage")

    async def get(self, path: str) -> Any:
        answer = await self.http.get(self.url(path), headers=self.key)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def post(self, incident: object = OUTAGE, **more: Any) -> httpx.Response:
        given = {"incident": incident}
        return await self.http.post(self.url(INCIDENTS), json=given, headers=self.key, **more)

    async def patch(self, id_: str, method: str = "PATCH", **incident: object) -> httpx.Response:
        given = {"incident": incident}
        return await self.http.request(method, self.url(f"{INCIDENTS}/{id_}"), json=given, headers=self.key)

    async def read(self, path: str) -> Any:
        """The page, as everybody sees it."""
        answer = await self.http.get(self.fake.url(f"/api/v2/{path}.json"))
        assert answer.status_code == 200
        return answer.json()

    async def indicator(self) -> str:
        shown: str = (await self.read("status"))["status"]["indicator"]
        return shown

    def calls(self) -> list[EndpointCalled]:
        return [
            msgspec.json.decode(line, type=EndpointCalled)
            for line in self.fake.sink.records
            if msgspec.json.decode(line)["kind"] == "endpoint.called"
        ]

    def announced(self) -> list[bool | None]:
        return [each.announced for each in self.calls()]


@pytest.fixture
async def owner() -> AsyncIterator[Owner]:
    async with proxied("statuspage") as fake, httpx.AsyncClient(trust_env=False, timeout=10) as http:
        yield Owner(fake, http)


class TestAnIncident:
    async def test_from_its_announcement_to_its_end(self, owner: Owner) -> None:
        created = await owner.post()
        assert created.status_code == 201
        told = created.json()
        assert (told["name"], told["status"], told["impact"]) == ("Mail is late", "investigating", "major")
        assert (told["impact_override"], told["page_id"]) == ("major", "8kbf7d35c070")
        assert [each["body"] for each in told["incident_updates"]] == ["We look."]
        assert (await owner.read("status"))["status"] == {
            "indicator": "major",
            "description": "Partial System Outage",
        }
        (shown,) = (await owner.read("incidents/unresolved"))["incidents"]
        assert (shown["id"], shown["name"], shown["resolved_at"]) == (told["id"], "Mail is late", None)
        assert "impact_override" not in shown
        assert (await owner.read("components"))["components"][0]["status"] == "partial_outage"

        assert (await owner.patch(told["id"], status="monitoring", body="Better.")).status_code == 200
        resolved = await owner.patch(told["id"], "PUT", status="resolved")
        assert resolved.status_code == 200
        assert resolved.json()["resolved_at"] >= resolved.json()["monitoring_at"] >= told["created_at"]
        assert await owner.indicator() == "none"
        assert (await owner.read("incidents/unresolved"))["incidents"] == []
        (over,) = (await owner.read("incidents"))["incidents"]
        assert over["resolved_at"] == resolved.json()["resolved_at"]
        assert [each["status"] for each in over["incident_updates"]] == [
            "resolved",
            "monitoring",
            "investigating",
        ]
        assert len({each["id"] for each in over["incident_updates"]}) == 3

    async def test_it_is_read_by_its_owner(self, owner: Owner) -> None:
        first, second = [(await owner.post({**OUTAGE, "name": name})).json() for name in ("one", "two")]
        assert first["id"] != second["id"]
        assert await owner.get(f"{INCIDENTS}/{first['id']}") == first
        assert await owner.get(INCIDENTS) == [second, first]
        assert await owner.get(f"{INCIDENTS}.json?limit=1&page=2") == [first]
        assert await owner.get(f"{INCIDENTS}?page=2") == []
        await owner.patch(second["id"], status="resolved")
        assert await owner.get(f"{INCIDENTS}/unresolved") == [first]
        assert await owner.get(f"{INCIDENTS}/unresolved.json") == [first]
        page = await owner.get(PAGE)
        assert (page["id"], page["name"]) == ("8kbf7d35c070", "Mail Service")

    async def test_it_stands_beside_those_of_faults_which_are_somebody_elses(self, owner: Owner) -> None:
        owner.fake.put(type="status", named="critical", text="Theirs")
        ours = (await owner.post()).json()
        assert [each["name"] for each in (await owner.read("incidents/unresolved"))["incidents"]] == [
            "Mail is late",
            "Theirs",
        ]
        assert await owner.indicator() == "critical"
        assert [each["id"] for each in await owner.get(INCIDENTS)] == [ours["id"]]
        await owner.patch(ours["id"], status="resolved")
        assert await owner.indicator() == "critical"
        assert owner.announced() == [True, None, False]

    async def test_without_more_than_a_name_and_changed_in_part(self, owner: Owner) -> None:
        bare = (await owner.post({"name": "x"})).json()
        assert (bare["status"], bare["impact"]) == ("investigating", "none")
        assert await owner.indicator() == "none"
        await owner.patch(bare["id"], impact_override="critical", name="y")
        assert await owner.indicator() == "critical"
        (shown,) = await owner.get(INCIDENTS)
        assert (shown["name"], len(shown["incident_updates"])) == ("y", 1)
        assert owner.announced() == [True, True, None]

    async def test_a_form_and_a_key_in_the_query_do_as_well(self, owner: Owner) -> None:
        form = {"incident[name]": "Späte Mail", "incident[impact_override]": "minor"}
        url = owner.url(f"{INCIDENTS}.json?api_key={owner.fake.account.secret}")
        answer = await owner.http.post(url, data=form)
        assert (answer.status_code, answer.json()["name"]) == (201, "Späte Mail")
        assert await owner.indicator() == "minor"

    async def test_a_scheduled_maintenance_is_listed_and_is_no_outage(self, owner: Owner) -> None:
        told = (await owner.post({"name": "Move", "status": "scheduled"})).json()
        summary = await owner.read("summary")
        assert [each["id"] for each in summary["scheduled_maintenances"]] == [told["id"]]
        assert (summary["incidents"], summary["status"]["indicator"]) == ([], "none")
        await owner.patch(told["id"], status="completed")
        assert (await owner.read("summary"))["scheduled_maintenances"] == []
        assert owner.announced() == [False, False]


class TestWhatIsRefused:
    @pytest.mark.parametrize(
        "headers", [{}, {"Authorization": "OAuth wrong"}, {"Authorization": "Bearer {key}"}]
    )
    async def test_no_key_or_a_wrong_one(self, owner: Owner, headers: dict[str, str]) -> None:
        given = {name: value.format(key=owner.fake.account.secret) for name, value in headers.items()}
        answer = await owner.http.post(owner.url(INCIDENTS), json={"incident": OUTAGE}, headers=given)
        assert (answer.status_code, answer.json()) == (401, {"error": "Could not authenticate"})
        assert await owner.indicator() == "none"
        (call,) = owner.calls()
        assert (call.code, call.announced) == (401, None)

    async def test_every_key_at_the_twin(self, owner: Owner) -> None:
        url = owner.fake.rejecting_url(INCIDENTS, "manage")
        assert (await owner.http.get(url, headers=owner.key)).status_code == 401

    async def test_the_old_key_after_its_rotation(self, owner: Owner) -> None:
        owner.fake.put(type="key-rotated", endpoint="manage")
        assert (await owner.post()).status_code == 401
        owner.key = {"Authorization": f"OAuth {owner.fake.account.next_secret}"}
        assert (await owner.post()).status_code == 201

    @pytest.mark.parametrize(
        ("incident", "said"),
        [
            ({}, "Name can't be blank"),
            ({"name": " "}, "Name can't be blank"),
            ({"name": "x" * 256}, "Name is too long (maximum is 255 characters)"),
            ({"name": "x", "status": "burning"}, "Status is not included in the list"),
            ({"name": "x", "impact_override": "huge"}, "Impact override is not included in the list"),
            ({"name": "x", "body": "x" * 25_001}, "Body is too long (maximum is 25000 characters)"),
            ({"name": 7}, "incident[name] is invalid"),
            (None, "incident is missing"),
        ],
    )
    async def test_an_incident_that_is_none(self, owner: Owner, incident: object, said: str) -> None:
        answer = await owner.post(incident)
        assert (answer.status_code, answer.json()) == (422, {"error": [said]})
        assert await owner.get(INCIDENTS) == []
        assert owner.announced() == [None, None]

    async def test_a_change_that_is_wrong_changes_nothing(self, owner: Owner) -> None:
        told = (await owner.post()).json()
        assert (await owner.patch(told["id"], name="", status="resolved")).status_code == 422
        assert await owner.get(INCIDENTS) == [told]
        assert owner.announced() == [True, None, None]

    @pytest.mark.parametrize("body", [b"{", b"[]", b"\xff", b'{"incident": "\\ud800"}', b"[" * 5_000])
    async def test_what_is_no_json(self, owner: Owner, body: bytes) -> None:
        headers = {**owner.key, "Content-Type": "application/json"}
        answer = await owner.http.post(owner.url(INCIDENTS), content=body, headers=headers)
        assert answer.status_code == 400 and isinstance(answer.json()["error"], str)
        assert owner.announced() == [None]

    async def test_an_incident_that_is_not_there_and_a_path_that_is_none(self, owner: Owner) -> None:
        answer = await owner.patch("nowhere", status="resolved")
        assert (answer.status_code, answer.json()) == (404, {"error": "Not found"})
        assert (await owner.http.get(owner.url(f"{INCIDENTS}/nowhere"), headers=owner.key)).status_code == 404
        assert (await owner.http.get(owner.url("/v1/nothing"), headers=owner.key)).json()["error"]
        wrong = await owner.http.delete(owner.url(INCIDENTS), headers=owner.key)
        assert (wrong.status_code, wrong.headers["Allow"]) == (405, "GET, POST")
        assert (await owner.http.get(owner.fake.url(PAGE), headers=owner.key)).status_code == 404
        assert owner.announced() == [None, None]

    async def test_more_than_the_key_may(self) -> None:
        async with (
            proxied("statuspage", rate=0.01, burst=2) as fake,
            httpx.AsyncClient(trust_env=False, timeout=10) as http,
        ):
            owner = Owner(fake, http)
            await owner.post()
            await owner.get(INCIDENTS)  # all paths count together
            answer = await owner.post()
            assert (answer.status_code, answer.json()) == (429, {"error": "Too Many Requests"})
            assert "Retry-After" not in answer.headers
            assert len((await owner.read("incidents"))["incidents"]) == 1  # the page itself has no limit


class TestFaultsThere:
    async def test_one_that_refuses_keeps_the_page_as_it_is(self, owner: Owner) -> None:
        told = (await owner.post()).json()
        owner.fake.put(type="refuse", named="manage-rate-limited", endpoint="manage")
        answer = await owner.patch(told["id"], status="resolved")
        assert (answer.status_code, answer.json()) == (420, {"error": "Rate limit exceeded"})
        owner.fake.put(type="refuse", code=503, endpoint="manage", retry_after_s=7)
        answer = await owner.post()
        assert (answer.json(), answer.headers["Retry-After"]) == ({"error": "Service Unavailable"}, "7")
        assert await owner.indicator() == "major"  # the page itself knows nothing of it
        assert len((await owner.read("incidents/unresolved"))["incidents"]) == 1
        assert [(each.code, each.announced, each.fault) for each in owner.calls()] == [
            (201, True, None),
            (420, None, "f"),
            (503, None, "f"),
        ]

    @pytest.mark.parametrize("fault", [{"type": "disconnect"}, {"type": "throttle", "quota": 0}])
    async def test_nor_does_any_other_that_takes_nothing(self, owner: Owner, fault: dict[str, Any]) -> None:
        owner.fake.put(**fault, endpoint="manage")
        try:
            assert (await owner.post()).status_code == 429
        except httpx.TransportError:
            assert fault["type"] == "disconnect"
        owner.fake.heal()
        assert await owner.get(INCIDENTS) == []
        assert owner.announced() == [None, None]

    @pytest.mark.parametrize("more", [{}, {"stage": "mid-reply"}, {"code": 504}])
    async def test_a_lost_acknowledgement_is_of_what_the_page_tells(
        self, owner: Owner, more: dict[str, Any]
    ) -> None:
        owner.fake.put(type="ack-loss", endpoint="manage", **more)
        try:
            assert (await owner.post()).status_code == 504
        except httpx.TransportError:
            assert "code" not in more
        assert await owner.indicator() == "major"
        (call,) = owner.calls()
        assert (call.code, call.announced, call.fault) == (201, True, "f")

    async def test_a_fault_of_the_page_leaves_it_alone(self, owner: Owner) -> None:
        owner.fake.put(type="refuse", code=503)
        assert (await owner.post()).status_code == 201
        assert owner.announced() == [True]

    def test_it_tells_of_no_incident_by_itself(self) -> None:
        fault = ProviderFault(id="f", type="status", named="major", endpoint="manage")
        with pytest.raises(FaultRefused, match="tells of no incidents"):
            presets.load("statuspage").place_fault(fault)


class TestTheRecord:
    async def test_it_tells_what_the_page_told_of_the_systems_own_incidents(self, owner: Owner) -> None:
        first, second = (await owner.post()).json(), (await owner.post()).json()
        await owner.patch(first["id"], status="resolved")
        await owner.get(INCIDENTS)
        await owner.patch(second["id"], status="resolved")
        await owner.patch(second["id"], status="identified")  # it was not over
        assert owner.announced() == [True, True, True, None, False, True]
        assert {(each.route, each.endpoint, each.account) for each in owner.calls()} == {
            ("primary", "manage", owner.fake.account.username)
        }

    async def test_what_is_asked_of_the_page_is_not_in_it(self, owner: Owner) -> None:
        await owner.read("summary")
        assert owner.calls() == [] and owner.fake.receipts() == []

    async def test_the_canary_announces_nothing(self, owner: Owner) -> None:
        asked = presets.load("statuspage").endpoint_canaries["manage"](owner.fake.canary)
        assert asked.method == "GET"
        answers = [
            await owner.http.request(each.method, owner.url(each.path), headers=each.headers)
            for each in (asked, ApiRequest(method="GET", path=INCIDENTS, headers=asked.headers))
        ]
        assert [each.status_code for each in answers] == [200, 200]
        posted = await owner.http.post(owner.url(INCIDENTS), json={"incident": OUTAGE}, headers=asked.headers)
        assert posted.status_code == 201  # answered as anybody, but the page is as it was
        assert await owner.indicator() == "none"
        assert [(each.canary, each.announced) for each in owner.calls()] == [("harness", None)] * 3


class TestTheBoard:
    def posted(self, number: int, until_s: float | None = None) -> Posted:
        return Posted(
            id=str(number),
            name="x",
            status="investigating",
            impact="none",
            impact_override=None,
            going_on=until_s is None,
            since_s=number,
            updated_s=number,
            until_s=until_s,
        )

    def test_it_forgets_what_is_over_first(self) -> None:
        board = Board()
        for number in range(MOST):
            board.put(self.posted(number, until_s=1.0 if number in (3, 5) else None))
        assert len(board.posted) == MOST
        for number in range(3):
            board.put(self.posted(MOST + number))
        ids = {each.id for each in board.posted}
        assert len(ids) == MOST and ids.isdisjoint({"0", "3", "5"})

    def test_a_change_keeps_its_place(self) -> None:
        board = Board()
        for number in range(3):
            board.put(self.posted(number))
        board.put(self.posted(1, until_s=9.0))
        assert [each.id for each in board.posted] == ["0", "1", "2"]
        assert board.tells
        for number in (0, 2):
            board.put(self.posted(number, until_s=9.0))
        assert not board.tells
