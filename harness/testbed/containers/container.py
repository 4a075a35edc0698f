"""A run's container and network: testcontainers' own, labelled and named for the run.

A container is in all its networks before its first instruction, so that nothing in it ever sees a name that
does not resolve yet; ports are published on 127.0.0.1 at numbers that the harness chose. Every call blocks:
from a loop, call through `asyncio.to_thread`. Imports testcontainers, so it is imported by who needs it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from docker.types import EndpointConfig
from testcontainers.core.container import DockerContainer
from testcontainers.core.docker_client import DockerClient
from testcontainers.core.labels import create_labels

from harness.testbed.containers.engine import Engine
from harness.testbed.containers.names import RunNames

WITHOUT_THIS_MACHINE = {"com.docker.network.bridge.inhibit_ipv4": "true"}
"""Else the machine has an address in the network, and whatever listens on all of its addresses is reached."""


@dataclass(frozen=True)
class Membership:
    """A network that a container is in, and the names that it has there."""

    network: str
    aliases: tuple[str, ...] = ()


class _JoiningClient(DockerClient):
    """Connects a container that was created in one network to its others, then starts it.

    The API takes several networks at creation only since 1.44.
    """

    others: Sequence[Membership] = ()

    def start(self, container: Any) -> None:
        for membership in self.others:
            network = self.client.networks.get(membership.network)
            network.connect(container, aliases=list(membership.aliases))
        super().start(container)


class RunContainer(DockerContainer):
    """`start()` and `stop()` as testcontainers has them; `with_copy_into_container` before `start`.

    `publish` maps a port of the container to the port of 127.0.0.1 that leads there. That needs one network
    that is not internal. What `options` names goes to docker's `containers.create`.
    """

    def __init__(
        self,
        run: RunNames,
        part: str,
        image: str,
        *,
        networks: Sequence[Membership],
        command: list[str] | None = None,
        env: Mapping[str, str] | None = None,
        publish: Mapping[int, int] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(image, env=dict(env or {}))
        self._docker.client.close()  # testcontainers has made a client of its own kind
        self._docker = _JoiningClient()
        self._docker.others = networks[1:]
        if command is not None:
            self.with_command(command)
        self.with_name(run.object_name(part))
        self.ports = {
            f"{inside}/tcp": ("127.0.0.1", outside)  # type: ignore[misc]  # docker takes pairs too
            for inside, outside in (publish or {}).items()
        }
        first = networks[0]
        self.with_kwargs(
            labels=run.labels(part),
            network=first.network,
            networking_config={
                first.network: EndpointConfig(self._docker.client.api._version, aliases=list(first.aliases))
            },
            **options,
        )


def create_network(
    engine: Engine, run: RunNames, part: str, *, internal: bool = True, masquerade: bool = True
) -> Any:
    """A bridge network of the run. `internal` has no way out, this machine itself included, and publishes
    nothing; without `masquerade` there is no way out either, yet ports are published."""
    return engine.client.networks.create(
        run.object_name(part),
        driver="bridge",
        internal=internal,
        options={
            **(WITHOUT_THIS_MACHINE if internal else {}),
            **({} if masquerade else {"com.docker.network.bridge.enable_ip_masquerade": "false"}),
        },
        labels=create_labels("", run.labels(part)),
    )
