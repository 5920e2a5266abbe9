"""The page of file servers, for browsers: at once, and honest to the end."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from nublado.sandbox.stack import Stack
from tests.e2e.browser import start_browser
from tests.e2e.test_fileservers import CONFIG, KINDS, Files, start
from tests.e2e.users import SECONDS
from tests.waiting import wait_for

HTML = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
FOLLOW = "/files?follow"


@pytest.fixture
def files(tmp_path: Path) -> Iterator[Files]:
    """A file server that may take as long as a busy machine needs."""
    config = tmp_path / "config.yaml"
    text = CONFIG.read_text()
    assert "creationTimeout: 3" in text
    config.write_text(re.sub("(creation|delete)Timeout: .*", r"\1Timeout: 5m", text))
    with start(tmp_path, config) as stack:
        yield Files(stack)


@pytest.fixture
def hasty(tmp_path: Path) -> Iterator[Files]:
    """A file server that is given up after 3 s."""
    with start(tmp_path) as stack:
        yield Files(stack)


def look(files: Files, path: str = "/files", **headers: str) -> requests.Response:
    return files.open_page(path, **{"Accept": HTML, **headers})


def refuse(files: Files) -> None:
    """Let the cluster refuse what a file server needs."""
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "none"},
        "spec": {"hard": {"services": "0"}},
    }
    answer = requests.post(quotas(files), json=quota, timeout=SECONDS)
    assert answer.status_code == 201, answer.text


def allow(files: Files) -> None:
    """Let the cluster refuse it no more."""
    answer = requests.delete(f"{quotas(files)}/none", timeout=SECONDS)
    assert answer.ok, answer.text


def quotas(files: Files) -> str:
    base = f"{files.stack.endpoints.kubernetes}/api/v1/namespaces"
    return f"{base}/fileservers/resourcequotas"


def give_address(files: Files) -> None:
    """Do what an ingress controller does, as soon as there is an ingress."""
    wait_for(lambda: "ingresses" in files.objects())
    (ingress,) = files.objects()["ingresses"]
    url = f"{files.stack.endpoints.kubernetes}/{KINDS['ingresses']}/namespaces"
    answer = requests.patch(
        f"{url}/fileservers/ingresses/{ingress['metadata']['name']}/status",
        json={"status": {"loadBalancer": {"ingress": [{"ip": "10.1.2.3"}]}}},
        headers={"Content-Type": "application/merge-patch+json"},
        timeout=SECONDS,
    )
    assert answer.ok, answer.text


def title(page: requests.Response) -> str:
    found = re.search("<h1>(.*?)</h1>", page.text)
    assert found is not None, page.text
    return found[1]


def settle(files: Files) -> requests.Response:
    """Follow the way of a file server to its end, as the page does."""
    wait_for(lambda: "data-live" not in look(files, FOLLOW).text)
    return look(files, FOLLOW)


def attempts(files: Files) -> int:
    """How often a file server was begun, by what is made first of it."""
    return sum(
        entry["count"]
        for entry in files.stack.control("GET", "/stats")["requests"]
        if entry["method"] == "POST" and "gafaelfawringresses" in entry["route"]
    )


def ask_again(
    files: Files, page: requests.Response, **headers: str
) -> requests.Response:
    token = re.search('name="token" value="([^"]+)"', page.text)
    assert token is not None
    return requests.post(
        f"{files.stack.service.url}/files/_again",
        data={"token": token[1]},
        headers={
            "X-Auth-Request-User": files.name,
            "X-Auth-Request-Token": f"gt-{files.name}",
            "Accept": HTML,
            **headers,
        },
        allow_redirects=False,
        timeout=SECONDS,
    )


def test_page_is_there_at_once_and_goes_on_by_itself(files: Files) -> None:
    files.stack.control.settings(gives_addresses=False)
    page = look(files)
    assert page.status_code == 200
    assert title(page) == "Your file server is starting"
    assert '<meta http-equiv="refresh" content="3; url=/files?follow">' in page.text
    assert set(page.headers["Vary"].split(", ")) == {"Accept", "Accept-Language"}
    assert "unsafe" not in page.headers["Content-Security-Policy"]
    give_address(files)
    ready = settle(files)
    assert title(ready) == "Your file server is ready"
    assert f"{files.stack.endpoints.ingress}/files/rachel" in ready.text
    assert files.running() == ["rachel"]


@pytest.mark.parametrize("scripts", [True, False])
def test_page_becomes_that_of_the_file_server(files: Files, scripts: bool) -> None:
    files.stack.control.settings(gives_addresses=False)
    with start_browser(scripts=scripts) as browser:
        browser.log_in(files.stack.endpoints.ingress, "rachel", "/files")
        assert browser.find("h1").text == "Your file server is starting"
        browser.wait_for_text(".steps .now", "Giving it an address")
        if scripts:
            assert browser.barriers() == []
        give_address(files)
        browser.wait_for_text("h1", "Your file server is ready")
        assert browser.driver.title == "Your file server is ready"
        assert browser.find("#url").text.endswith("/files/rachel")
        assert browser.find("#copy").is_displayed() is scripts
        if scripts:
            assert browser.driver.current_url.endswith("/files")
            assert browser.barriers() == []
        assert browser.complaints() == []


@pytest.mark.parametrize("scripts", [True, False])
def test_page_tells_why_it_failed_and_tries_again_when_asked(
    files: Files, scripts: bool
) -> None:
    refuse(files)
    with start_browser(scripts=scripts) as browser:
        browser.log_in(files.stack.endpoints.ingress, "rachel", "/files")
        browser.wait_for_text("h1", "Your file server could not be started")
        assert "as many file servers as there may be" in browser.find(".state.bad").text
        files.stack.control("POST", "/stats/reset")
        browser.driver.refresh()
        browser.wait_for_text("h1", "Your file server could not be started")
        assert attempts(files) == 0
        if scripts:
            assert browser.barriers() == []
        allow(files)
        browser.find("form button").click()
        browser.wait_for_text("h1", "Your file server is ready")
    assert attempts(files) == 1


def test_failure_is_a_failure_for_programs_too(hasty: Files) -> None:
    hasty.stack.control.settings(failing_pulls=["worblehat"])
    look(hasty)
    page = settle(hasty)
    assert page.status_code == 500
    assert "The program of file servers could not be fetched." in page.text
    assert "File server creation timed out after 3.0: pod is Pending" in page.text
    assert hasty.objects() == {}
    answer = hasty.open_page()
    assert answer.status_code == 500
    assert answer.json()["detail"][0]["type"] == "file_server_create_failed"


def test_reloads_create_nothing_that_has_failed(files: Files) -> None:
    refuse(files)
    look(files)
    failed = settle(files)
    files.stack.control("POST", "/stats/reset")
    for path in ("/files", FOLLOW, "/files/rachel", "/files"):
        assert title(look(files, path)) == "Your file server could not be started"
    assert attempts(files) == 0
    again = ask_again(files, failed)
    assert again.status_code == 303
    assert again.headers["Location"] == FOLLOW
    assert attempts_at_last(files) == 1


def attempts_at_last(files: Files) -> int:
    settle(files)
    return attempts(files)


def test_programs_try_again_as_often_as_they_ask(files: Files) -> None:
    refuse(files)
    assert files.open_page().status_code == 500
    allow(files)
    assert files.open_page().status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"X-Auth-Request-User": "mary", "X-Auth-Request-Token": "gt-mary"},
    ],
)
def test_only_the_page_of_its_user_asks_again(
    files: Files, headers: dict[str, str]
) -> None:
    refuse(files)
    look(files)
    failed = settle(files)
    files.stack.control("POST", "/stats/reset")
    refused = ask_again(files, failed, **headers)
    assert refused.status_code == 403
    assert refused.headers["Content-Type"] == "text/html; charset=utf-8"
    assert attempts(files) == 0


def test_who_only_looks_starts_nothing(files: Files) -> None:
    page = look(files, FOLLOW)
    assert page.status_code == 200
    assert title(page) == "Your file server has stopped"
    assert files.objects() == {}
    assert files.running() == []
    assert ask_again(files, page).status_code == 303
    assert title(settle(files)) == "Your file server is ready"


def test_file_server_that_ends_again_and_again_is_not_started_by_its_page(
    files: Files,
) -> None:
    look(files)
    settle(files)
    files.finish_pod(1)
    wait_for(lambda: files.running() == [] and files.objects() == {})
    files.stack.control("POST", "/stats/reset")
    assert title(settle(files)) == "Your file server has stopped"
    assert attempts(files) == 0
    assert title(look(files)) == "Your file server is starting"
    assert title(settle(files)) == "Your file server is ready"


def test_start_waits_for_the_end_of_the_last_one(files: Files) -> None:
    look(files)
    settle(files)
    files.stack.control.settings(termination_delay=5)
    with ThreadPoolExecutor(1) as pool:
        deletion = pool.submit(files.delete)
        try:
            wait_for(lambda: "being cleared away" in look(files).text)
            page = look(files)
            assert 'content="3; url=/files">' in page.text
        finally:
            files.stack.control.settings(termination_delay=0.01)
        assert deletion.result(SECONDS).status_code == 204
    assert title(look(files)) == "Your file server is starting"


def test_deletion_during_the_start_is_told(files: Files) -> None:
    files.stack.control.settings(gives_addresses=False)
    look(files)
    wait_for(lambda: "pods" in files.objects())
    assert files.delete().status_code == 204
    page = settle(files)
    assert "It was stopped while it was starting." in page.text
    assert title(look(files)) == "Your file server could not be started"
    assert files.objects() == {}


def test_tabs_and_programs_at_once_make_one_server(files: Files) -> None:
    files.stack.control("POST", "/stats/reset")
    with ThreadPoolExecutor(4) as pool:
        pages = [pool.submit(look, files) for _ in range(3)]
        waiting = pool.submit(files.open_page)
        assert {page.result(SECONDS).status_code for page in pages} == {200}
        assert "is ready" in waiting.result(SECONDS).text
    assert attempts(files) == 1


def test_service_killed_during_the_start_offers_another(files: Files) -> None:
    files.stack.control.settings(gives_addresses=False)
    look(files)
    wait_for(lambda: "pods" in files.objects())
    files.stack.service.kill()
    files.stack.control.settings(gives_addresses=True)
    files.stack.start_service()
    files.stack.service.wait_ready()
    wait_for(lambda: files.objects() == {})
    stopped = settle(files)
    assert title(stopped) == "Your file server has stopped"
    assert ask_again(files, stopped).status_code == 303
    assert title(settle(files)) == "Your file server is ready"


def test_foreign_pages_start_none_for_browsers_either(files: Files) -> None:
    foreign = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    refused = look(files, **foreign)
    assert refused.status_code == 403
    assert title(refused) == "Another site has asked for this"
    assert files.running() == []
    assert files.objects() == {}


def test_platform_without_file_servers_says_so(stack: Stack) -> None:
    page = look(Files(stack))
    assert page.status_code == 404
    assert title(page) == "This platform does not offer that"
