"""What a signal looks for in the log may name the run's addresses, which nobody knows before the run."""

from __future__ import annotations

import os
from pathlib import Path

from harness.testbed.commands import Surround
from harness.testbed.signals.log import LogWatch
from harness.testbed.signals.readings import Reach, readings_of
from tests.scenario.writing import changed, loaded, problem

POLLED = """    detected: {http: /status, when: "routes.primary.state == 'down'"}"""
LOGGED = r"""    detected:
      log: 'connect to \S+:{{ routes.primary.port }}: \w+ refused'
      until: 'relay=\S+:{{ routes.primary.port }},'"""


def test_the_port_of_a_route_tells_whose_trouble_a_line_is(tmp_path: Path) -> None:
    context = {"routes": {"primary": {"port": 2525}}}
    surround = Surround(dict(os.environ), tmp_path, "marker")
    reach = Reach(base_url="", log_path=tmp_path / "system.log", context=context, commands=surround)
    (reading,) = readings_of(loaded((POLLED, LOGGED)), reach, {})
    watch = reading.question
    assert isinstance(watch, LogWatch)

    def after(line: str) -> object:
        watch.take(line)
        return watch.values(None)[-1]

    assert after("connect to 127.0.0.1[127.0.0.1]:2526: Connection refused") is False
    assert after("connect to 127.0.0.1[127.0.0.1]:2525: Connection refused") is True
    assert after("to=<a@b.example>, relay=127.0.0.1[127.0.0.1]:2526, status=sent") is True
    assert after("to=<a@b.example>, relay=127.0.0.1[127.0.0.1]:2525, status=sent") is False


def test_a_route_that_is_not_there_is_found_at_load() -> None:
    found = problem(changed((POLLED, LOGGED.replace("primary", "elsewhere", 1))))
    assert "elsewhere" in found.message
