"""stub"""

from __future__ import annotations

from harness.scenario.document import Document
from harness.scenario.errors import Problem
from harness.scenario.models import Scenario


def infeasible(scenario: Scenario, document: Document) -> list[Problem]:
    return []
