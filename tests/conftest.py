"""Fixtures for tests of several parts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from tests.scripted_server import ScriptedServer


@pytest.fixture
def outside() -> Iterator[ScriptedServer]:
    """An outside system; by default it responds with an empty 200."""
    system = ScriptedServer()
    system.start()
    yield system
    system.stop()


@pytest.fixture
def eventually() -> Callable[[Callable[[], object]], None]:
    """Wait until a condition holds, for 10 s at most."""

    def wait(condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + 10.0
        while not condition():
            assert time.monotonic() < deadline, "condition does not come true"
            time.sleep(0.005)

    return wait
