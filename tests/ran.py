"""`harness run` in a process of its own, and what came of it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
HARNESS = str(Path(sys.executable).parent / "harness")


@dataclass(frozen=True)
class Ran:
    exit_code: int
    run: dict[str, Any]
    stderr: str

    def finding(self, check: str) -> dict[str, Any]:
        return next(dict(each) for each in self.run["findings"] if each["check"] == check)

    @property
    def failed(self) -> set[str]:
        return {f["check"] for f in self.run["findings"] if f["decides"] and f["verdict"] == "fail"}

    @property
    def said(self) -> str:
        decisive = [f for f in self.run["findings"] if f["decides"]]
        return json.dumps([self.run["detail"], *decisive, self.run["warnings"]], indent=1)

    def events(self) -> list[dict[str, Any]]:
        history = Path(self.run["run_dir"]) / "history.jsonl"
        return [json.loads(line) for line in history.read_text().splitlines()]


def command_line(
    scenario: str,
    settings: Mapping[str, str],
    out: Path,
    proxy: str = "embedded",
    on: str = "local",
    variant: str = "",
) -> list[str]:
    """`scenario` as under scenarios/, without its suffix; `variant` is empty where it has none."""
    command = [HARNESS, "run", f"scenarios/{scenario}.yaml", "--json", "--on", on]
    command += ["--proxy", proxy, "--out", str(out), *(["--variant", variant] if variant else [])]
    return command + [word for path, value in settings.items() for word in ("--set", f"{path}={value}")]


def run_harness(
    scenario: str,
    settings: Mapping[str, str],
    out: Path,
    proxy: str = "embedded",
    on: str = "local",
    variant: str = "",
) -> Ran:
    command = command_line(scenario, settings, out, proxy, on, variant)
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout, done.stderr
    return Ran(done.returncode, json.loads(done.stdout)["runs"][0], done.stderr)
