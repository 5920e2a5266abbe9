"""Requests that wait for minutes hold up nobody."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import pytest
import requests

from nublado.sandbox.stack import Stack
from tests.e2e.conftest import CONFIG
from tests.e2e.users import SECONDS, User
from tests.waiting import wait_for

THREADS = 16
FILES = CONFIG.parent / "files.yaml"


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A service with few threads."""
    log_file = tmp_path_factory.mktemp("waiting") / "log"
    environ = {"NUBLADO_THREADS": str(THREADS)}
    with log_file.open("w") as log, Stack(FILES, environ=environ, log=log) as stack:
        yield stack


class Callers:
    """Requests that are made at the same time."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(4 * THREADS)
        self.futures: list[Future[requests.Response]] = []

    def call(self, times: int, request: Callable[[], requests.Response]) -> None:
        self.futures += [self._pool.submit(request) for _ in range(times)]

    @property
    def refused(self) -> list[requests.Response]:
        answers = [future.result() for future in self.futures if future.done()]
        return [answer for answer in answers if answer.status_code == 503]

    def statuses(self) -> list[int]:
        return sorted(future.result(SECONDS).status_code for future in self.futures)


def test_deletions_leave_threads_to_others(narrow: Stack) -> None:
    users = [User(narrow, f"slow{number}") for number in range(4)]
    for user in users:
        assert user.spawn().kinds[-1] == "complete"
    # Deletions take until the fault is removed.
    rule = {"method": "DELETE", "path": "/namespaces/userlabs-slow", "status": 503}
    narrow.control.faults(rule)
    callers = Callers()
    callers.call(8, users[0].delete)
    wait_for(lambda: len(callers.refused) == 4)
    for user in users[1:]:
        callers.call(4, user.delete)
    wait_for(lambda: len(callers.refused) == 4 + 8)
    for answer in callers.refused:
        assert int(answer.headers["Retry-After"]) > 0
        (problem,) = answer.json()["detail"]
        assert problem["type"] == "unavailable"
        assert "wait for operations" in problem["msg"]
    # Everybody else is served, and who has no lab is told so.
    assert users[0].status == "terminating"
    assert User(narrow, "quick").spawn().kinds[-1] == "complete"
    assert User(narrow, "nobody").delete().status_code == 404
    narrow.control("DELETE", "/faults")
    statuses = callers.statuses()
    assert statuses == [204] * 8 + [503] * 12
    for user in users:
        assert user.delete().status_code in (204, 404)


def test_file_servers_leave_threads_to_others(narrow: Stack) -> None:
    users = [User(narrow, f"files{number}") for number in range(6)]

    def open_page(user: User) -> requests.Response:
        url = f"{narrow.service.url}/files"
        return requests.get(url, headers=user.headers, timeout=SECONDS)

    assert open_page(users[0]).status_code == 200
    rule = {"method": "POST", "path": "/jobs$", "status": 503}
    narrow.control.faults(rule)
    callers = Callers()
    for user in users[1:]:
        callers.call(4, lambda user=user: open_page(user))  # type: ignore[misc]
    wait_for(lambda: len(callers.refused) == 20 - THREADS // 2)
    # A file server that runs is waited for by nobody.
    assert open_page(users[0]).status_code == 200
    assert requests.get(f"{narrow.api_url}/spawner/v1/labs", timeout=SECONDS).ok
    narrow.control("DELETE", "/faults")
    assert callers.statuses() == [200] * 8 + [503] * 12


def test_nothing_waits_for_those_who_wait_for_a_silent_login_service(
    narrow: Stack,
) -> None:
    narrow.control.faults({"target": "gafaelfawr", "silent": True})
    callers = Callers()
    user = User(narrow, "hopeful")
    callers.call(3 * THREADS, user.create)
    # Pages of file servers, which look like questions for what is in memory.
    for path in ("labs", "user-status", "labs/hopeful/events"):
        url = f"{narrow.service.url}/files/spawner/v1/{path}"
        callers.call(1, partial(requests.get, url, headers=user.headers))

    def asked() -> int:
        hits: int = narrow.control("GET", "/faults")["rules"][0]["hits"]
        return hits

    wait_for(lambda: asked() >= THREADS // 2)
    for path in ("labs", "labs/hopeful", "images"):
        url = f"{narrow.api_url}/spawner/v1/{path}"
        answer = requests.get(url, headers=user.headers, timeout=SECONDS)
        assert answer.status_code in (200, 404)
    assert requests.get(f"{narrow.service.url}/healthz", timeout=SECONDS).ok
    # Operators see how many wait for a response.
    line = f'nublado_queue_length{{queue="creates"}} {3 * THREADS}.0'
    metrics = f"{narrow.service.url}/metrics"
    wait_for(lambda: line in requests.get(metrics, timeout=SECONDS).text)
    # None of those has been answered that came first.
    assert not any(future.done() for future in callers.futures)
    narrow.control("DELETE", "/faults")
    assert set(callers.statuses()) <= {200, 201, 409, 500, 503}
