from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.providers.clients.observations import TABLES, Table


@pytest.fixture(scope="module")
def observed(request: pytest.FixtureRequest) -> Iterator[Table]:
    """The table of the module, which names it by `TABLE`."""
    table = Table(TABLES / f"{request.module.TABLE}.json", write=os.environ.get("HARNESS_OBSERVE") == "write")
    yield table
    options = request.config.option
    chosen = options.keyword or options.markexpr or getattr(options, "lf", False)
    named = any("::" in argument for argument in request.config.args)
    table.close(whole=not (chosen or named or request.session.testsfailed or request.session.shouldstop))
