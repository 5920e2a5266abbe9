"""The whole platform, with a real JupyterHub and real JupyterLabs.

Needs the packages of ``requirements/hub.txt``; see ``make test-hub``.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from nublado.sandbox.platform import Platform
from tests.e2e.browser import start_browser
from tests.hub.pages import Pages
from tests.hub.users import HubUser

CONFIG = Path(__file__).parent.parent / "data" / "configs" / "hub.yaml"
_PACKAGES = ("jupyterhub", "jupyterlab", "httpx_sse")

collect_ignore_glob = [] if all(map(find_spec, _PACKAGES)) else ["test_*.py"]

_numbers = itertools.count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give those who start JupyterLabs time, however busy the machine is."""
    for item in items:
        if "platform" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.timeout(600))


@pytest.fixture(scope="session")
def shared_platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """One platform for all tests, each of which has users of its own."""
    with Platform(CONFIG, directory=tmp_path_factory.mktemp("platform")) as platform:
        yield platform


@pytest.fixture
def platform(shared_platform: Platform) -> Iterator[Platform]:
    """The platform, without what earlier tests have set."""
    yield shared_platform
    shared_platform.stack.control("DELETE", "/faults")
    shared_platform.stack.control.settings(
        init_seconds=0.05, pull_rules={}, failing_pulls=[]
    )


@pytest.fixture
def user(platform: Platform) -> Iterator[HubUser]:
    """A user nobody else is, whose lab is deleted afterwards."""
    user = HubUser(platform, f"user{next(_numbers)}")
    yield user
    user.delete_lab()


@pytest.fixture
def pages(platform: Platform, user: HubUser) -> Iterator[Pages]:
    """A browser in which the user has logged in."""
    with start_browser() as browser:
        yield Pages(browser, platform.url, user.name)
