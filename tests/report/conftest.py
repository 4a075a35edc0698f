"""One sample of each kind of run, made once; tests read them and write nothing into their folders."""

from __future__ import annotations

import pytest

from tests.report import samples

KINDS = ("passing", "failing", "inconclusive", "baseline_unmet", "hostile")


@pytest.fixture(scope="session")
def sample_of(tmp_path_factory: pytest.TempPathFactory) -> dict[str, samples.Sample]:
    parent = tmp_path_factory.mktemp("samples")
    return {kind: getattr(samples, kind)(parent / kind) for kind in KINDS}
