"""A compose file closed for a run: what goes, what comes, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from harness.testbed.containers import names
from harness.testbed.containers.compose_file import Closing, ComposeRefused, closed, in_order, may_end
from harness.testbed.containers.names import RunNames

CLOSING = Closing(
    names=RunNames(marker="ab" * 16, run_name="run", owner="me", pid=1, started_s=2.0),
    service="web",
    front="run-front",
    routes="run-routes",
    given={"PORT": "8080", "SSL_CERT_FILE": "/harness/ca.pem"},
    env={"PRIMARY_URL": "smtp://a:b$c@primary:587"},
    ca="-----BEGIN\n",
    taken=frozenset({"primary", "smtp.office365.com"}),
)


def file(**web: Any) -> dict[str, Any]:
    return {
        "name": "shop",
        "services": {
            "web": {"image": "web", "networks": {"default": None}, "depends_on": {"db": {}}, **web},
            "db": {"image": "db", "networks": {"default": {"aliases": ["data"]}, "far": None}},
        },
        "networks": {
            "default": {"name": "shop_default", "ipam": {"config": [{"subnet": "10.9.0.0/24"}]}},
            "far": {"external": True, "name": "somebody-elses"},
        },
        "volumes": {"data": {"name": "shop_data"}},
    }


def test_what_would_meet_other_runs_or_the_machine_is_left_out() -> None:
    web = closed(file(ports=[{"target": 80}], container_name="web", restart="always"), CLOSING)["services"][
        "web"
    ]
    assert "ports" not in web and "container_name" not in web
    assert web["restart"] == "no"


def test_every_network_of_the_file_is_internal_and_the_runs_own() -> None:
    networks = closed(file(), CLOSING)["networks"]
    for name in ("default", "far"):
        assert networks[name]["internal"] is True
        assert networks[name].keys() == {"internal", "driver_opts", "labels"}
    assert networks["harness-routes"] == {"external": True, "name": "run-routes"}


def test_every_service_is_on_the_routes_and_only_the_target_at_the_front() -> None:
    services = closed(file(), CLOSING)["services"]
    assert services["web"]["networks"].keys() == {"default", "harness-routes", "harness-front"}
    assert services["db"]["networks"].keys() == {"default", "far", "harness-routes"}
    assert services["db"]["networks"]["default"] == {"aliases": ["data"]}


def test_everything_that_is_made_carries_the_runs_labels() -> None:
    made = closed(file(labels={"of": "the file"}), CLOSING)
    assert made["services"]["web"]["labels"]["of"] == "the file"
    for part in (*made["services"].values(), made["volumes"]["data"], made["networks"]["default"]):
        assert part["labels"][names.RUN] == "ab" * 16
    assert "name" not in made["volumes"]["data"]


def test_variables_stand_in_their_order_and_dollars_stay_dollars() -> None:
    environment = {"PORT": "80", "PRIMARY_URL": "smtp://the-real-one"}
    web = closed(file(environment=environment), CLOSING)["services"]["web"]
    assert web["environment"] == {
        "PORT": "80",
        "SSL_CERT_FILE": "/harness/ca.pem",
        "PRIMARY_URL": "smtp://a:b$$c@primary:587",
    }


def test_what_is_built_has_a_name_of_its_own_that_is_the_same_next_time() -> None:
    first, second = (
        closed({**file(), "services": {"web": {"build": {"context": "/shop"}}}}, CLOSING) for _ in range(2)
    )
    assert first["services"]["web"]["image"] == second["services"]["web"]["image"]
    assert first["services"]["web"]["image"].startswith("mail-failover-harness/compose-web:")


@pytest.mark.parametrize(
    ("read", "said"),
    [
        ({"services": {"api": {}}}, "no service `web`; there are: api"),
        ({}, "there are: none"),
        (file(network_mode="host"), "`network_mode: host`, and would be past the proxies"),
        (file() | {"volumes": {"data": {"external": True}}}, "volume `data` is external"),
        (file(extra_hosts=["smtp.office365.com=192.0.2.1"]), "`smtp.office365.com`, which is to lead"),
        (file(networks={"default": {"aliases": ["Primary"]}}), "`primary`, which is to lead to a proxy"),
        (file(hostname="primary"), "`primary`, which is to lead to a proxy"),
    ],
)
def test_what_cannot_be_closed_is_refused(read: dict[str, Any], said: str) -> None:
    with pytest.raises(ComposeRefused, match=said):
        closed(read, CLOSING)


def test_services_come_behind_those_that_they_need() -> None:
    assert in_order(file()) == ["db", "web"]


def test_only_those_that_others_wait_for_may_end() -> None:
    read = file(depends_on={"db": {"condition": "service_completed_successfully"}})
    assert may_end(read) == {"db"}
    assert may_end(file()) == frozenset()
