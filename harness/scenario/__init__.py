"""The scenario file: `load` reads and checks it, and plan.py turns it into a timeline.

The names here are imported only when they are asked for, so that the command line starts at once.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.scenario.errors import Problem as Problem
    from harness.scenario.errors import ScenarioError as ScenarioError
    from harness.scenario.loader import load as load
    from harness.scenario.loader import load_text as load_text
    from harness.scenario.models import Scenario as Scenario

_HOMES = {
    "Problem": "errors",
    "ScenarioError": "errors",
    "load": "loader",
    "load_text": "loader",
    "Scenario": "models",
}
__all__ = ["Problem", "Scenario", "ScenarioError", "load", "load_text"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
