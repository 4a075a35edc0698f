"""A system's own compose file, closed for a run: the same services, and no way out but the proxies.

In: the file as `docker compose config` reads it. Out: another one, whole, for this run alone. Published
ports, fixed names and restart policies go; its networks become internal; every service is on `routes`, the
one that takes the mail on `front` as well; what is made carries the run's labels. Pure: nothing is asked or
started.
"""

from __future__ import annotations

import copy
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.testbed.containers.container import WITHOUT_THIS_MACHINE
from harness.testbed.containers.names import RunNames
from harness.testbed.containers.system_host import CA_FILE, FRONT_NAME

FRONT, ROUTES, CA = "harness-front", "harness-routes", "harness-ca"
BUILT = "mail-failover-harness/compose"
_OF_ONE_RUN_ONLY = ("ports", "container_name", "external_links")
_LEADS_OUT = ("host", "bridge", "container:")


class ComposeRefused(Exception):
    """The file cannot be run closed; the message says what in it, and why."""


@dataclass(frozen=True)
class Closing:
    """What a run puts into the file."""

    names: RunNames
    service: str
    """The one that takes the mail."""
    front: str
    routes: str
    """The run's networks, as the engine knows them."""
    given: Mapping[str, str]
    """Variables that a service has unless the file says otherwise."""
    env: Mapping[str, str]
    """Variables that every service has, whatever the file says."""
    ca: str
    taken: frozenset[str] = frozenset()
    """Names that lead to the proxies, and must lead nowhere else."""


def closed(read: Mapping[str, Any], closing: Closing) -> dict[str, Any]:
    """Raises ComposeRefused."""
    file = copy.deepcopy(dict(read))
    services: dict[str, Any] = file.get("services") or {}
    if closing.service not in services:
        raise ComposeRefused(
            f"it has no service `{closing.service}`; there are: {', '.join(services) or 'none'}"
        )
    names = closing.names
    file["name"] = names.object_name("system")
    for name, service in services.items():
        _close_service(name, service, closing)
    file["networks"] = {
        **{
            name: {
                "internal": True,
                "driver_opts": WITHOUT_THIS_MACHINE,
                "labels": names.labels(f"network-{name}"),
            }
            for name in file.get("networks") or {}
        },
        ROUTES: {"external": True, "name": closing.routes},
        FRONT: {"external": True, "name": closing.front},
    }
    file["volumes"] = {
        name: _own_volume(name, volume or {}, names) for name, volume in (file.get("volumes") or {}).items()
    }
    file["configs"] = {**(file.get("configs") or {}), CA: {"content": _literal(closing.ca)}}
    return file


def _close_service(name: str, service: dict[str, Any], closing: Closing) -> None:
    mode = str(service.get("network_mode") or "")
    if mode.startswith(_LEADS_OUT):
        raise ComposeRefused(
            f"service `{name}` has `network_mode: {mode}`, and would be past the proxies; leave it out"
        )
    if wrong := _called(name, service) & closing.taken:
        raise ComposeRefused(
            f"service `{name}` is called, or calls another, `{min(wrong)}`, which is to lead to a proxy; "
            "rename the route or the service, or leave the alias out"
        )
    for key in _OF_ONE_RUN_ONLY:
        service.pop(key, None)
    service["restart"] = "no"  # who is to come back, and when, the run decides
    service.get("deploy", {}).pop("restart_policy", None)
    if "build" in service:
        service.setdefault("image", f"{BUILT}-{name.lower()}:{_digest(service['build'])}")
    own = {key: _literal(value) for key, value in closing.given.items()}
    forced = {key: _literal(value) for key, value in closing.env.items()}
    service["environment"] = {**own, **(service.get("environment") or {}), **forced}
    service["labels"] = {**_labels_of(service), **closing.names.labels(part_of(name))}
    service["configs"] = [*(service.get("configs") or []), {"source": CA, "target": CA_FILE}]
    if not mode:  # else it lives in the network of another service, and is closed with that
        service["networks"] = _networks(name, service, closing)


def _called(name: str, service: Mapping[str, Any]) -> set[str]:
    """Every name for which somebody in the file's networks finds this service, or what it names itself."""
    joined = (service.get("networks") or {}).values()
    aliases = {alias for network in joined for alias in (network or {}).get("aliases") or []}
    hosts = {re.split("[=:]", str(each), maxsplit=1)[0] for each in service.get("extra_hosts") or []}
    return {each.lower() for each in {name, str(service.get("hostname") or name), *aliases, *hosts}}


def _networks(name: str, service: Mapping[str, Any], closing: Closing) -> dict[str, Any]:
    """Its own, without fixed addresses: two runs side by side could not have the same."""
    own = {
        network: {"aliases": (joined or {}).get("aliases") or []}
        for network, joined in (service.get("networks") or {}).items()
    }
    return {
        **own,
        ROUTES: {},
        **({FRONT: {"aliases": [FRONT_NAME]}} if name == closing.service else {}),
    }


def part_of(service: str) -> str:
    """What a service's containers are labelled as."""
    return f"system-{service}"


def may_end(read: Mapping[str, Any]) -> frozenset[str]:
    """Services that others wait for to be done; their end with code 0 is as it should be."""
    return frozenset(
        needed
        for service in (read.get("services") or {}).values()
        for needed, how in (service.get("depends_on") or {}).items()
        if how.get("condition") == "service_completed_successfully"
    )


def in_order(read: Mapping[str, Any]) -> list[str]:
    """The services, each behind those that it depends on."""
    services: Mapping[str, Any] = read.get("services") or {}
    found: dict[str, None] = {}

    def visit(name: str) -> None:
        for needed in services[name].get("depends_on") or {}:
            if needed not in found and needed in services:
                visit(needed)
        found[name] = None

    for name in services:
        if name not in found:
            visit(name)
    return list(found)


def _own_volume(name: str, volume: Mapping[str, Any], names: RunNames) -> dict[str, Any]:
    if volume.get("external"):
        raise ComposeRefused(
            f"volume `{name}` is external, and a run touches no data but its own; leave `external` out"
        )
    kept = {key: value for key, value in volume.items() if key in ("driver", "driver_opts")}
    return {**kept, "labels": names.labels(f"volume-{name}")}


def _labels_of(service: Mapping[str, Any]) -> dict[str, str]:
    labels = service.get("labels") or {}
    if isinstance(labels, list):
        return dict(each.partition("=")[::2] for each in labels)
    return dict(labels)


def _digest(build: object) -> str:
    return hashlib.sha256(repr(build).encode()).hexdigest()[:12]


def _literal(text: str) -> str:
    """As it is: compose takes a dollar for the beginning of a variable."""
    return text.replace("$", "$$")
