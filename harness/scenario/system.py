"""The system under test: how it is run, given mail and asked how it is.

The testbed starts `process`, submits through `submit` (submission.py), polls `signals` and reads `states`
(signals.py). Values of `process`, `env` and `submit.body` are templates (templates.py).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from harness.scenario.part import Address, EnvText, Length, Name, Part, Text
from harness.scenario.signals import Ready, Signal, States
from harness.scenario.submission import Submit

ENV_NAME = r"^[A-Za-z_][A-Za-z0-9_]*$"


class System(Part):
    """The system under test."""

    process: Annotated[tuple[Text, ...], Field(min_length=1)]
    """The command; `python` is the interpreter that runs the harness."""
    path: Text | None = None
    """Put on PYTHONPATH; relative to the scenario file."""
    env: dict[Annotated[str, Field(pattern=ENV_NAME)], EnvText] = Field(default_factory=dict)
    """Its environment, with templates such as `{{ routes.primary.url }}`."""
    submit: Submit
    """How mail is handed in."""
    ready: Ready | None = None
    """When it is up; by default, when its port takes a connection."""
    longest_retry: Length
    """The longest the system waits before it tries again: twice this in silence is quiescence."""
    signals: dict[Name, Signal] = Field(default_factory=dict)
    """What it tells: detected, acknowledged, queue_depth, …"""
    states: States | None = None
    """Where it tells which messages it holds back."""
    canaries: tuple[Address, ...] = ("probe@canary.example",)
    """Recipients of the system's own probes; they count for nothing."""
