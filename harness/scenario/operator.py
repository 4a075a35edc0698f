"""What an operator does to the system under test, and when: approve, pause, switch, by HTTP or a command.

`system.operator` says how an action is done, the scenario's `operator` at what time. The names `approve`,
`resume` and `switch` let a backlog go, and `pause` stops it; others are for the history alone.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, model_validator

from harness.scenario.part import Command, Name, Part, Time, exactly_one, wrong
from harness.scenario.submission import HttpRequest, method_and_path

RELEASING = ("approve", "resume", "switch")


class OperatorAction(Part):
    """How one action is done."""

    model_config = exactly_one("http", "command")

    http: HttpRequest | None = None
    """Method and path on the system's port, such as `POST /operator/approve`; done when a 2xx answers."""
    body: dict[str, Any] | None = None
    """The JSON body of the request, with templates."""
    command: Command | None = None
    """A command on this machine; done when it ends with 0."""

    @model_validator(mode="after")
    def _one_way(self) -> OperatorAction:
        if (self.http is None) == (self.command is None):
            raise wrong("an action is done by `http` or by `command`, one of them")
        if self.body is not None and self.http is None:
            raise wrong("`body` goes with `http`", key="body")
        return self

    @property
    def request(self) -> tuple[str, str] | None:
        """Method and path of `http`."""
        return None if self.http is None else method_and_path(self.http)


class OperatorStep(Part):
    """One action at one time."""

    at: Time
    """When, counted from the end of the baseline."""
    action: Name
    """One of `system.operator`."""
    class_: Annotated[Name | None, Field(alias="class")] = None
    """Whose mail it is about, such as `marketing`; that of every class by default."""
