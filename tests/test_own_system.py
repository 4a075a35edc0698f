"""The scenarios by which docs/your-own-system.md begins, and a system as an image, as the page says it.

Those of the other ways in and out are run by test_any_system.py and by the tests in systems/ and testbed/.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.ran import run_harness
from tests.requires import require_docker

docker = pytest.fixture(require_docker)

pytestmark = pytest.mark.e2e


def test_the_shortest_scenario_gives_a_verdict(tmp_path: Path) -> None:
    ran = run_harness("systems/shortest", {}, tmp_path)
    assert ran.exit_code == 0, ran.said


@pytest.mark.parametrize(
    ("settings", "exit_code", "says"),
    [
        ({"system.process": "[python, -c, 'raise SystemExit(3)']"}, 4, "before it was ready"),
        ({"system.env.PRIMARY_URL": "smtp://a:b@127.0.0.1:1"}, 3, "never met"),
        ({"workload.receipts.for": "1s"}, 3, "never met"),
    ],
    ids=["ends at once", "never sends by the primary", "sends nothing during the fault"],
)
def test_what_does_not_work_at_once_is_told_as_the_page_says(
    settings: dict[str, str], exit_code: int, says: str, tmp_path: Path
) -> None:
    ran = run_harness("systems/shortest", settings, tmp_path)
    assert ran.exit_code == exit_code, ran.said
    told = [ran.run["detail"], *(f["summary"] + f["reason"] for f in ran.run["findings"])]
    assert any(says in each for each in told), told


def test_a_system_as_an_image_passes_and_is_closed_in(docker: object, tmp_path: Path) -> None:
    ran = run_harness("systems/container", {}, tmp_path, proxy="auto", on="containers")
    assert ran.exit_code == 0, ran.said
    assert not [warning for warning in ran.run["warnings"] if "egress" in warning]
