"""`docker`: a Docker engine with a run's images on it; the test is skipped where there is none."""

from __future__ import annotations

import pytest

from tests.requires import require_docker

docker = pytest.fixture(require_docker)
