"""A system under test that is one container, of an image that is there or was built for the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.testbed.containers.ground import Ground, Net, Part
from harness.testbed.containers.system_host import (
    FRONT_NAME,
    STATE_DIR,
    ContainedHost,
    Member,
    Surface,
)
from harness.testbed.resources import ResourceLedger

PART = "system"


@dataclass(frozen=True)
class ContainerPlan:
    """The container, its templates filled in. Without a command it runs what its image says."""

    image: str
    command: tuple[str, ...]
    env: Mapping[str, str]
    files: Mapping[str, bytes]
    """What lies in it besides, by path."""


class ContainerHost(ContainedHost):
    def __init__(
        self, plan: ContainerPlan, ground: Ground, surface: Surface, run_dir: Path, ledger: ResourceLedger
    ) -> None:
        super().__init__(ground, surface, run_dir, ledger)
        self.plan = plan

    def _parts(self) -> Sequence[str]:
        return (PART,)

    async def _make(self) -> Sequence[Member]:
        started = await self._ground.start(
            Part(
                name=PART,
                image=self.plan.image,
                networks={Net.FRONT: (FRONT_NAME,), Net.ROUTES: ()},
                command=self.plan.command,
                env=self.plan.env,
                files=self.plan.files,
                folders=(STATE_DIR,),
            )
        )
        return (Member(started, PART),)
