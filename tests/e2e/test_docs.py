"""The page about the API."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from html import unescape
from typing import Any

import pytest
import requests

from nublado.sandbox.stack import Stack
from tests.e2e.browser import Browser, start_browser
from tests.e2e.users import SECONDS, User
from tests.waiting import wait_for

_COMMAND = re.compile(r"<code>(curl .*?)</code></pre>", re.DOTALL)
_STATUS = ("-s", "-o", "/dev/null", "-w", "%{http_code}", "-m", str(int(SECONDS)))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with start_browser() as browser:
        yield browser


def page(stack: Stack) -> str:
    return requests.get(f"{stack.ingress_url}/docs", timeout=SECONDS).text


def operations(stack: Stack) -> dict[str, dict[str, Any]]:
    document = requests.get(f"{stack.ingress_url}/openapi.json", timeout=SECONDS).json()
    return {o["operationId"]: o for m in document["paths"].values() for o in m.values()}


def commands(stack: Stack) -> dict[str, str]:
    """The command of each operation."""
    parts = re.split(r'<div id="(\w+)">', page(stack))[1:]
    return {
        name: unescape(found[1])
        for name, part in zip(parts[::2], parts[1::2], strict=True)
        if (found := _COMMAND.search(part))
    }


def visible(browser: Browser) -> list[str]:
    script = (
        "return [...document.querySelectorAll('.entry')]"
        ".filter((entry) => !entry.hidden).map((entry) => entry.dataset.of)"
    )
    found: list[str] = browser.driver.execute_script(script)
    return found


@pytest.mark.parametrize("width", [400, 1300])
def test_page_can_be_used_by_everybody(
    browser: Browser, stack: Stack, width: int
) -> None:
    browser.driver.set_window_size(width, 900)
    browser.driver.get(f"{stack.ingress_url}/docs")
    assert browser.barriers() == []
    browser.find("#fold button").click()
    assert browser.find("#drain").is_displayed()
    assert browser.barriers() == []
    assert browser.complaints() == []
    script = "return document.documentElement.scrollWidth <= window.innerWidth"
    assert browser.driver.execute_script(script)


def test_search_shows_what_has_all_words(browser: Browser, stack: Stack) -> None:
    browser.driver.get(f"{stack.ingress_url}/docs")
    everything = visible(browser)
    assert len(everything) > 60
    browser.find("#query").send_keys("DELETE drain")
    wait_for(lambda: visible(browser) == ["undrain"])
    listed = browser.find_all(".side li")
    assert [line.text for line in listed if line.is_displayed()] == [
        "DELETE\nLet labs be started again"
    ]
    assert browser.find("#found").text == f"1 / {len(everything)}"
    browser.find("#query").clear()
    browser.find("#query").send_keys("zzz")
    wait_for(lambda: visible(browser) == [])


def test_a_link_leads_to_an_open_entry(browser: Browser, stack: Stack) -> None:
    browser.driver.get(f"{stack.ingress_url}/docs#create_lab")
    assert browser.find("#create_lab").is_displayed()
    assert not browser.driver.find_element("css selector", "#drain").is_displayed()
    browser.find("nav a[href='#drain']").click()
    wait_for(lambda: browser.find("#drain").is_displayed())
    browser.find("#drain a[href='#schema-NoticeRequest']").click()
    wait_for(lambda: browser.find("#schema-NoticeRequest").is_displayed())
    assert browser.find("#schema-NoticeRequest a.quiet").text == "#schema-NoticeRequest"


def test_a_link_to_what_the_search_hides_shows_it(
    browser: Browser, stack: Stack
) -> None:
    browser.driver.get(f"{stack.ingress_url}/docs")
    browser.find("#query").send_keys("metrics")
    wait_for(lambda: "drain" not in visible(browser))
    browser.driver.execute_script("location.hash = 'drain'")
    wait_for(lambda: browser.find("#drain").is_displayed())


def test_all_of_it_is_there_without_scripts(stack: Stack) -> None:
    with start_browser(scripts=False) as plain:
        plain.driver.get(f"{stack.ingress_url}/docs")
        assert not plain.find_all("#search")[0].is_displayed()
        assert not plain.find_all("#fold")[0].is_displayed()
        names = operations(stack)
        assert len(plain.find_all(".side a[href^='#']:has(.verb)")) == len(names)
        plain.find(".entry[data-of=drain] > summary").click()
        assert plain.find("#drain").is_displayed()
        plain.find("nav a[href='#create_lab']").click()
        assert plain.find("#create_lab").is_displayed()


def test_each_route_has_a_command(stack: Stack) -> None:
    assert commands(stack).keys() == operations(stack).keys()


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_commands_work_as_they_are_written(stack: Stack) -> None:
    User(stack, "rachel").spawn()
    described = operations(stack)
    found = commands(stack)
    # Deletions come last; what would hold up other tests is left out.
    streams = [name for name, text in found.items() if " -N " in text]
    assert sorted(streams) == ["lab_events", "status_events"]
    chosen = [n for n, text in found.items() if "-X" not in text and n not in streams]
    chosen += ["set_log_level", "reset_log_level", "announce", "withdraw"]
    assert len(chosen) > 30
    for name in chosen:
        assert run(stack, found[name]) in described[name]["responses"], name
    assert run(stack, found["lab_events"]) == "200"
    assert run(stack, found["remove_lab"]) == "204"


def run(stack: Stack, command: str) -> str:
    """Run a command as somebody who may do it; returns the status of the response."""
    is_of_user = re.search(r"/(create|events|progress|user-status|lab-form)", command)
    values = {
        "BASE": stack.endpoints.ingress,
        "POD": stack.service.url,
        "TOKEN": "gt-rachel" if is_of_user else "gt-admin",
    }
    done = subprocess.run(
        ["sh", "-c", command.replace("curl", f"curl {' '.join(_STATUS)}", 1)],
        env=values,
        capture_output=True,
        text=True,
        check=True,
        timeout=SECONDS,
    )
    return done.stdout
