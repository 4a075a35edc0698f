"""Where runs in containers are made for tests of what they leave: where nobody else is, if possible.

On an engine of the tests' own everything can be compared; on another, only what carries a run's label.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from harness.testbed.containers.images import PINNED, Kind
from harness.testbed.containers.names import of_run
from harness.testbed.containers.prepare import ensure_images
from harness.testbed.resources import standing
from tests.conduct.ending_runs import HARNESS, SCENARIO, Running
from tests.testbed.containers.own_engine import OwnEngine, own_engine

LISTS = (
    ("ps", "--all", "--no-trunc", "--format", "container {{.Names}}"),
    ("network", "ls", "--no-trunc", "--format", "network {{.Name}}"),
    ("volume", "ls", "--format", "volume {{.Name}}"),
)


@dataclass(frozen=True)
class Place:
    """An engine, and where the harness has to be to use it. It is looked at with Docker's own client."""

    own: OwnEngine | None
    provider_image: str
    env: dict[str, str] = field(default_factory=dict)

    @property
    def within(self) -> list[str]:
        return self.own.enter if self.own else []

    def harness(self, out: Path, scenario: Path = SCENARIO, **env: str) -> Running:
        """A run, with this in its environment."""
        return Running(
            out,
            "-q",
            scenario=scenario,
            on="containers",
            proxy="auto",
            within=self.within,
            env={**self.env, **env},
        )

    def heal(self, folder: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.within, *HARNESS, "heal", str(folder)],
            env=os.environ | self.env,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def docker(self, *arguments: str) -> str:
        """What Docker's own client prints."""
        done = subprocess.run(
            ["docker", *arguments], env=os.environ | self.env, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def objects(self, *filters: str) -> list[str]:
        """What `docker ps -a`, `docker network ls` and `docker volume ls` list."""
        found: list[str] = []
        for command in LISTS:
            chosen = [word for each in filters for word in ("--filter", each)]
            found += self.docker(*command, *chosen).splitlines()
        return sorted(found)

    def left_of(self, folder: Path) -> list[str]:
        marker = standing(folder).marker
        return self.objects(f"label={of_run(marker)}") if marker else []


@contextmanager
def place_for_runs() -> Iterator[Place]:
    """With the images of a run on its engine."""
    images = ensure_images(Console(stderr=True))
    references = [image.reference for image in images.values()] + [PINNED[Kind.PYTHON]]
    if os.geteuid() != 0:
        yield Place(None, images[Kind.PROVIDER].reference)
        return
    with own_engine(references) as own:
        # Named, since it would otherwise be looked for by what it was built on, which is not there.
        provider = images[Kind.PROVIDER].reference
        yield Place(own, provider, {"DOCKER_HOST": own.host, Kind.PROVIDER.variable: provider})
