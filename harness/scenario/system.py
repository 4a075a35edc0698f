"""The system under test: what runs it, how it is given mail, what it tells, what an operator can do to it.

Exactly one of `process`, `container`, `compose` and `external` says what it is. Commands, environment, bodies
and addresses are templates (templates.py).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from harness.scenario.operator import OperatorAction
from harness.scenario.part import (
    Address,
    Command,
    EnvText,
    Length,
    Name,
    Part,
    Port,
    Text,
    exactly_one,
    wrong,
)
from harness.scenario.signals import Ready, Signal, States
from harness.scenario.submission import HttpPost, Submit

ENV_NAME = r"^[A-Za-z_][A-Za-z0-9_]*$"
KINDS = ("process", "container", "compose", "external")
CONTAINED = ("container", "compose")
DEFAULT_PORT = 8080

EnvName = Annotated[str, Field(pattern=ENV_NAME)]


class Container(Part):
    """An image that is there or can be pulled, or one that is built first."""

    model_config = exactly_one("image", "build")

    image: Text | None = None
    """Such as `shop/mailer:1.2`."""
    build: Text | None = None
    """The build context; relative to the scenario file."""
    dockerfile: Text | None = None
    """In the build context; `Dockerfile` by default."""
    args: dict[EnvName, EnvText] = Field(default_factory=dict)
    """Arguments of the build."""
    command: Command | None = None
    """In place of the image's own command."""

    @model_validator(mode="after")
    def _one_image(self) -> Container:
        if (self.image is None) == (self.build is None):
            raise wrong("a container has `image`, or `build` for an image that is built first, one of them")
        for key in ("dockerfile", "args"):
            if self.image is not None and getattr(self, key):
                raise wrong(f"`{key}` goes with `build`", key=key)
        return self


class Compose(Part):
    """A compose file of the system's own, and the service in it that takes the mail."""

    file: Text
    """Relative to the scenario file."""
    service: Name
    """The service that is given mail; `env` goes into all of them."""


class External(Part):
    """A system that runs already. It is only spoken to: nothing is started, nothing is ended."""

    host: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:-]+$")] = "127.0.0.1"
    """Where it listens."""
    port: Port
    """On which port."""


class System(Part):
    """The system under test."""

    model_config = exactly_one(*KINDS)

    process: Command | None = None
    """The command; `python` is the interpreter that runs the harness."""
    container: Container | None = None
    """An image, in place of a command."""
    compose: Compose | None = None
    """A service of a compose file, with all that belongs to it."""
    external: External | None = None
    """The address of a system that runs already."""
    port: Port | None = None
    """Where it listens inside its container; 8080 by default."""
    path: Text | None = None
    """Put on PYTHONPATH; relative to the scenario file."""
    env: dict[EnvName, EnvText] = Field(default_factory=dict)
    """Its environment, with templates such as `{{ routes.primary.url }}`."""
    setup: tuple[Command, ...] = ()
    """Commands that are run on this machine before it starts; each must end with 0."""
    teardown: tuple[Command, ...] = ()
    """Commands that are run after its end, whatever came of the run."""
    submit: Submit
    """How mail is handed in."""
    ready: Ready | None = None
    """When it is up; by default, when its port takes a connection, or at once where nothing uses that."""
    longest_retry: Length
    """The longest the system waits before it tries again: twice this in silence is quiescence."""
    signals: dict[Name, Signal] = Field(default_factory=dict)
    """What it tells: detected, acknowledged, queue_depth, …"""
    states: States | None = None
    """Where it tells which messages it holds back."""
    operator: dict[Name, OperatorAction] = Field(default_factory=dict)
    """What an operator can do to it: approve, pause, resume, switch, …"""
    events: dict[Name, HttpPost] = Field(default_factory=dict)
    """Where providers post what became of the mail, such as `sendgrid: POST /events/sendgrid`."""
    canaries: tuple[Address, ...] = ("probe@canary.example",)
    """Recipients of the system's own probes; they count for nothing."""

    @model_validator(mode="after")
    def _one_of_them(self) -> System:
        said = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(said) > 1:
            raise wrong(f"`{said[0]}` and `{said[1]}` are two systems; keep one", key=said[1])
        if not said:
            raise wrong(
                f"what the system is is missing: one of {', '.join(f'`{kind}`' for kind in KINDS)}",
                advice="Write for example `process: [python, -m, mailrouter]`.",
            )
        if self.path is not None and self.process is None:
            raise wrong("`path` is for a system that is a `process`", key="path")
        if self.port is not None and said[0] not in CONTAINED:
            raise wrong(
                "`port` is where a system listens inside its container; "
                + ("a process is told by PORT" if self.process else "this one has its own under `external`"),
                key="port",
            )
        if self.env and self.external is not None:
            raise wrong(
                "nothing of this reaches a system that runs already",
                key="env",
                advice="Tell it in `setup`, or configure it once and give each route a `listen`.",
            )
        return self

    @property
    def kind(self) -> str:
        """One of KINDS."""
        return next(kind for kind in KINDS if getattr(self, kind) is not None)

    @property
    def is_spoken_to(self) -> bool:
        """Whether anything in the scenario uses its port, so that it must listen there."""
        asked = [*self.signals.values(), *([self.states] if self.states else []), *self.operator.values()]
        by_http = any(getattr(each, key, None) for each in asked for key in ("http", "prometheus"))
        submitted = self.submit.http or "system.port" in (self.submit.smtp or "")
        return bool(by_http or submitted or self.events or self.external)

    @property
    def inner_port(self) -> int:
        """Where it listens inside its container."""
        return self.port or DEFAULT_PORT
