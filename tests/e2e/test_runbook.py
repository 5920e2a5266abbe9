"""What to do, told by the service itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from nublado.models.domain.problem import ProblemKind
from nublado.sandbox.stack import Stack
from tests.e2e.browser import Browser, start_browser
from tests.e2e.users import SECONDS, User
from tests.waiting import wait_for

_RULES = Path(__file__).parents[2] / "conf" / "monitoring" / "rules.yaml"
_OWN = "{{ $labels.kind }}"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with start_browser() as browser:
        yield browser


def entries(stack: Stack) -> dict[str, str]:
    """Sections of the page, read by somebody who has not logged in."""
    answer = requests.get(f"{stack.ingress_url}/runbook", timeout=SECONDS)
    assert answer.status_code == 200
    parts = re.split(r'<section id="([a-z-]+)"', answer.text)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def test_each_problem_has_an_entry(stack: Stack) -> None:
    found = entries(stack)
    for kind in ProblemKind:
        assert kind.headline in found[kind.value]
        assert "For users:" in found[kind.value]


def test_each_alert_has_an_entry(stack: Stack) -> None:
    found = entries(stack)
    groups = yaml.safe_load(_RULES.read_text())["groups"]
    rules: list[dict[str, Any]] = [r for group in groups for r in group["rules"]]
    links = {rule["annotations"]["runbook_url"].partition("#")[2] for rule in rules}
    assert _OWN in links
    assert links - {_OWN} <= found.keys()


def test_metrics_and_programs_are_told_where_it_is(stack: Stack) -> None:
    metrics = requests.get(f"{stack.service.url}/metrics", timeout=SECONDS).text
    url = re.search(
        r'^nublado_runbook_info\{url="([^"]+)"\} 1\.0$', metrics, re.MULTILINE
    )
    assert url
    assert url[1].endswith("/nublado/runbook")
    assert url[1].startswith("http")


@pytest.mark.parametrize("width", [400, 1200])
def test_page_can_be_used_by_everybody(
    browser: Browser, stack: Stack, width: int
) -> None:
    browser.driver.set_window_size(width, 900)
    browser.driver.get(f"{stack.ingress_url}/runbook")
    browser.find('nav a[href="#registry"]').click()
    browser.find("section:target#registry")
    assert browser.barriers() == []
    assert browser.complaints() == []
    script = "return document.documentElement.scrollWidth <= window.innerWidth"
    assert browser.driver.execute_script(script)


def test_status_page_links_to_what_to_do(browser: Browser, own_stack: Stack) -> None:
    own_stack.control.faults({"method": "POST", "path": "/pods$", "status": 422})
    for name in ("rachel", "mary"):
        User(own_stack, name).spawn()
    wait_for(lambda: problems(own_stack))
    browser.visit(own_stack.endpoints.ingress, "admin", "/nublado/admin")
    browser.find(".problems a")
    # In one step, since the page shows its problems anew as they change.
    script = "const a = document.querySelector('.problems a'); a.click();"
    target = browser.driver.execute_script(f"{script} return a.getAttribute('href')")
    assert target.startswith("/nublado/runbook#")
    browser.find("section:target")


def problems(stack: Stack) -> list[Any]:
    url = f"{stack.api_url}/admin/v1/status"
    found: list[Any] = requests.get(url, timeout=SECONDS).json()["service"]["problems"]
    return found
