"""Remove everything of one run from a Docker engine, by its label alone: containers, networks, volumes.

Used by the testbed's own tear-down, by the watchdog and by `harness heal`. It may be called at any time,
twice, and by two at once. A harness that was killed may have left a request with the engine that makes an
object a moment later, so whoever heals after a death looks until nothing has appeared for a while.
"""

from __future__ import annotations

import contextlib
import shlex
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotInTime
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from docker import APIClient
from docker.errors import APIError, DockerException, NotFound
from requests.exceptions import RequestException

from harness.testbed.containers import names
from harness.testbed.containers.engine import Engine, EngineMissing, connect
from harness.testbed.resources import ResourceLedger, What

AFTER_A_DEATH_S = 2.0
"""How long nothing may appear before a dead run counts as gone. Measured on Docker 20.10 and two busy cores,
with 16 requests under way: the last object appeared within a second of its client's death."""

WITHIN_S = 20.0
UNANSWERED_S = 5.0
"""How long an engine may be out of reach: one that is being restarted comes back in less."""

REQUEST_S = 10.0
LOOK_EVERY_S = 0.1


class Kind(StrEnum):
    """In the order in which they have to go."""

    CONTAINER = "container"
    NETWORK = "network"
    VOLUME = "volume"


AT_ONCE = {Kind.CONTAINER: 1, Kind.NETWORK: 8, Kind.VOLUME: 8}
"""Containers go one after the other: where several join or leave a network at once, Docker 20.10 now and then
miscounts those in it, and then holds it until the engine is restarted. On two cores it takes no longer."""

REMOVE_BY_HAND = {
    Kind.CONTAINER: "docker rm -f -v",
    Kind.NETWORK: "docker network rm",
    Kind.VOLUME: "docker volume rm -f",
}


@dataclass(frozen=True)
class Thing:
    """One object on the engine. `name` is what people and commands know it by."""

    kind: Kind
    id: str
    name: str
    labels: dict[str, str] = field(compare=False, hash=False)

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"

    @property
    def is_to_be_kept(self) -> bool:
        return self.labels.get(names.KEEP) == "true"


@dataclass(frozen=True)
class Reaped:
    """What went, and what could not be removed: in words, with the command that does it by hand."""

    removed: list[str]
    left: list[str]

    @property
    def ok(self) -> bool:
        return not self.left


def look(api: APIClient, label: str) -> list[Thing]:
    """Everything on the engine with this label (`name` or `name=value`), containers in any state included."""
    of = {"label": label}
    found = [
        Thing(Kind.CONTAINER, each["Id"], _container_name(each), each.get("Labels") or {})
        for each in api.containers(all=True, filters=of)
    ]
    found += [
        Thing(Kind.NETWORK, each["Id"], each["Name"], each.get("Labels") or {})
        for each in api.networks(filters=of)
    ]
    found += [
        Thing(Kind.VOLUME, each["Name"], each["Name"], each.get("Labels") or {})
        for each in api.volumes(filters=of)["Volumes"] or []
    ]
    return found


def _container_name(container: dict[str, Any]) -> str:
    # One that is just being removed has no name any more; one with links has several.
    called = [name.strip("/") for name in container.get("Names") or [] if name.count("/") == 1]
    return called[0] if called else str(container["Id"])[:12]


def reap_at(docker_host: str, marker: str, *, again: str, quiet_s: float = AFTER_A_DEATH_S) -> Reaped:
    """As `reap`, for whoever has no engine in hand and knows only where the run had its objects."""
    until = time.monotonic() + UNANSWERED_S
    while True:
        try:
            engine = connect(REQUEST_S, host=docker_host)
        except EngineMissing as error:
            if time.monotonic() >= until:
                return Reaped([], [unanswered(error.what, again)])
            time.sleep(LOOK_EVERY_S)
            continue
        with contextlib.closing(engine):
            return reap(engine, marker, again=again, quiet_s=quiet_s)


def reap(
    engine: Engine,
    marker: str,
    *,
    again: str,
    quiet_s: float = 0.0,
    within_s: float = WITHIN_S,
    keep: bool = False,
) -> Reaped:
    """Remove what carries the marker of one run, and look again until nothing has been there for `quiet_s`.

    `keep` spares what is labelled to be kept. An engine that does not answer is something left, not an error;
    `again` is the command that does the same once more.
    """
    api = engine.client.api
    begun = time.monotonic()
    removed: dict[Thing, None] = {}
    problems: dict[Thing, str] = {}
    silent_since: float | None = None
    quiet_since: float | None = None
    while True:
        try:
            found = [each for each in look(api, names.of_run(marker)) if not (keep and each.is_to_be_kept)]
            silent_since = None
        except (DockerException, RequestException) as error:
            now = time.monotonic()
            silent_since = silent_since or now
            if now - silent_since >= UNANSWERED_S or now - begun >= within_s:
                return Reaped(_words(removed), [unanswered(short(error), again)])
            time.sleep(LOOK_EVERY_S)
            continue
        now = time.monotonic()
        if not found:
            quiet_since = quiet_since or now
            if now - quiet_since >= quiet_s:
                return Reaped(_words(removed), [])
            time.sleep(min(LOOK_EVERY_S, quiet_s))
            continue
        quiet_since = None
        if now - begun >= within_s:
            left = [_left(each, problems.get(each, "it appeared at the last moment")) for each in found]
            return Reaped(_words({each: None for each in removed if each not in found}), left)
        problems = _remove(api, found, within_s - (now - begun))
        removed.update(dict.fromkeys(each for each in found if each not in problems))
        if problems:
            time.sleep(LOOK_EVERY_S)


def clear(engine: Engine, ledger: ResourceLedger, *, keep: bool = False) -> Reaped:
    """The orderly end, when no request of ours is under way: remove, and write down that it is gone.

    With `keep`, what is labelled so stays, and that is written down.
    """
    again = f"harness heal {shlex.quote(str(ledger.path.parent))}"
    reaped = reap(engine, ledger.marker, again=again, keep=keep)
    if reaped.ok:
        (ledger.kept if keep else ledger.gone)(What.DOCKER, engine.host)
    return reaped


def _words(things: dict[Thing, None]) -> list[str]:
    return [str(each) for each in sorted(things, key=lambda each: (list(Kind).index(each.kind), each.name))]


def _left(thing: Thing, problem: str) -> str:
    first = ""
    if thing.kind is Kind.NETWORK and "has active endpoints" in problem:
        # Whatever was in it has just been taken off it: see AT_ONCE.
        first = "Docker counts a container in it that is gone; restart the Docker engine, then "
    return f"{thing} is still there ({problem}): {first}{REMOVE_BY_HAND[thing.kind]} {thing.name}"


def unanswered(why: str, again: str) -> str:
    return (
        f"the Docker engine does not answer ({why}): containers, networks and volumes of the run may "
        f"still be on it. When it answers again: {again}"
    )


def _remove(api: APIClient, things: list[Thing], within_s: float) -> dict[Thing, str]:
    """Containers, then networks, then volumes. What would not go, and why."""
    problems: dict[Thing, str] = {}
    until = time.monotonic() + within_s
    for kind in Kind:
        threads = ThreadPoolExecutor(AT_ONCE[kind], thread_name_prefix="reaper")
        running = {each: threads.submit(_remove_one, api, each) for each in things if each.kind is kind}
        for each, end in running.items():
            try:
                end.result(max(0.0, until - time.monotonic()))
            except NotInTime:
                problems[each] = "the engine has not answered yet"
            except (DockerException, RequestException) as error:
                problems[each] = short(error)
        # Without waiting for a request that hangs.
        threads.shutdown(wait=False, cancel_futures=True)
    return problems


def _remove_one(api: APIClient, thing: Thing) -> None:
    """Removes it, or raises. That it is gone is as good; that it is just going (409), the next look sees."""
    with contextlib.suppress(NotFound):
        match thing.kind:
            case Kind.CONTAINER:
                api.remove_container(thing.id, force=True, v=True)
            case Kind.NETWORK:
                _empty(api, thing)
                api.remove_network(thing.id)
            case Kind.VOLUME:
                api.remove_volume(thing.id, force=True)


def _empty(api: APIClient, network: Thing) -> None:
    """A container of somebody else's that was attached, or one that died while it was, would hold it."""
    for container in _attached(api, network):
        with contextlib.suppress(NotFound):
            api.disconnect_container_from_network(container, network.id, force=True)


def _attached(api: APIClient, network: Thing) -> Iterator[str]:
    yield from api.inspect_network(network.id).get("Containers") or {}


def short(error: Exception) -> str:
    """The engine's own words where it said any, else the innermost of what went wrong underneath."""
    if isinstance(error, APIError) and error.explanation:
        return f"{error.status_code}: {str(error.explanation).strip().splitlines()[0]}"
    cause: BaseException = error
    while (inner := cause.__cause__ or cause.__context__) is not None:
        cause = inner
    return str(cause).strip() or type(cause).__name__
