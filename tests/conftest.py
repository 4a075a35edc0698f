"""What all tests share. Scenario files below this folder are material, not tests of their own."""

from __future__ import annotations

collect_ignore_glob = ["*.yaml", "*.yml"]
