from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.providers.http.sample import Sample, sample


@pytest.fixture
async def fake() -> AsyncIterator[Sample]:
    async with sample() as fake:
        yield fake


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=20, trust_env=False) as client:
        yield client
