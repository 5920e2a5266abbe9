"""Fixtures for tests of several parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.scripted_server import ScriptedServer
from tests.waiting import wait_for


@pytest.fixture
def outside() -> Iterator[ScriptedServer]:
    """An outside system; by default it responds with an empty 200."""
    system = ScriptedServer()
    system.start()
    yield system
    system.stop()


@pytest.fixture
def eventually() -> Callable[[Callable[[], object]], None]:
    """Wait until a condition holds."""
    return wait_for
