"""What a status page says, by a fault: proved by the page itself, not where the page says nothing of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.testbed.faults import InjectionError
from tests.testbed.local_bench import SCENARIO, routes_alone


@pytest.mark.parametrize(
    ("fake", "says"), [("statuspage", "major"), ("microsoft-graph", "serviceDegradation")]
)
async def test_it_is_proved_by_the_page_and_gone(tmp_path: Path, fake: str, says: str) -> None:
    text = SCENARIO.replace("{fake: sendgrid}", f"{{fake: {fake}}}")
    async with routes_alone(tmp_path / "run", "embedded", text) as bench:
        injector = bench.injector("backup", "status", "f", named=says)
        with pytest.raises(InjectionError, match=f"has no `{says}` in it"):
            await injector.act()
        await injector.inject()
        await injector.confirm()
        assert (await injector.act())["code"] == 200
        assert (await injector.remove())["canary"]["saw"] == "ok"
        with pytest.raises(InjectionError, match="the provider lists the faults"):
            await injector.confirm()
