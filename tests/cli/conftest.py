from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """Commands configure logging for their whole process."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)
