"""The whole service: gunicorn in front of the embedded cluster."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from nublado.sandbox.kubernetes.releases import DEFAULT_RELEASE
from nublado.sandbox.stack import Stack
from tests.chart import rights
from tests.e2e.users import User

CONFIG = Path(__file__).parent.parent / "data" / "configs" / "e2e.yaml"
SETTINGS = {"pull_seconds": 0.05, "init_seconds": 0.01, "termination_delay": 0.01}

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def shared_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One stack for all tests that only need users of their own."""
    with make_stack(tmp_path_factory.mktemp("shared")) as stack:
        yield stack


@pytest.fixture
def stack(shared_stack: Stack) -> Iterator[Stack]:
    """The shared stack, without the faults of earlier tests."""
    yield shared_stack
    shared_stack.control("DELETE", "/faults")
    shared_stack.control.settings(failing_pulls=[])


@pytest.fixture
def own_stack(tmp_path: Path) -> Iterator[Stack]:
    """A stack for one test, which may kill the service or break the cluster."""
    with make_stack(tmp_path) as stack:
        yield stack


@pytest.fixture
def user(stack: Stack) -> User:
    """A user nobody else is."""
    return User(stack, f"user{next(_numbers)}")


def make_stack(directory: Path, kubernetes: str = DEFAULT_RELEASE) -> Stack:
    """Make a stack that writes its log to a directory.

    The service has the rights that the chart gives it, and no others.
    """
    return Stack(
        CONFIG,
        *("--settings", json.dumps(SETTINGS)),
        kubernetes=kubernetes,
        rbac=rights(CONFIG, directory),
        log=(directory / "service.log").open("w+"),
    )
