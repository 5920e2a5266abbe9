"""The API server is restarted, or refuses what it should not."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from nublado.sandbox.stack import Stack
from tests.e2e.users import SECONDS, User, problems
from tests.waiting import wait_for

_PACE_SECONDS = 0.3


def test_spawns_and_deletions_over_a_restart(own_stack: Stack) -> None:
    going = [User(own_stack, f"going{number}") for number in range(24)]
    coming = [User(own_stack, f"coming{number}") for number in range(40)]
    with ThreadPoolExecutor(len(going) + len(coming)) as threads:
        assert all(_ended_well(e) for e in threads.map(User.spawn, going))
        spawns, deletions = [], []
        for number, user in enumerate(coming):
            if number == 10:
                # No lab was ever deleted by this process before.
                own_stack.control("POST", "/restart", {"away": 2, "forbidden": 1})
            if number >= 10 and going:
                deletions.append(threads.submit(going.pop().delete))
            spawns.append(threads.submit(user.spawn))
            time.sleep(_PACE_SECONDS)
        ends = [spawn.result() for spawn in spawns]
        answers = [deletion.result() for deletion in deletions]
    assert [end.messages for end in ends if not _ended_well(end)] == []
    assert [answer.text for answer in answers if answer.status_code != 204] == []
    wait_for(lambda: _namespaces(own_stack) == {user.namespace for user in coming})


@pytest.mark.parametrize("answer", ["too-large", "compacted", "bad-request"])
@pytest.mark.parametrize("form", ["status", "event"])
def test_versions_that_are_refused_for_ever(
    own_stack: Stack, answer: str, form: str
) -> None:
    user = User(own_stack, "rachel")
    user.spawn()
    own_stack.control("PUT", "/versions/refused", {"answer": answer, "form": form})
    own_stack.control("POST", "/watches/drop")
    pod = f"/pods/{user.namespace}/{user.name}-nb"
    own_stack.control("POST", f"{pod}/evict", {"message": "disk full"})
    wait_for(lambda: user.status == "terminated")


def test_server_that_is_restored_from_a_backup(own_stack: Stack) -> None:
    kept, lost = User(own_stack, "kept"), User(own_stack, "lost")
    kept.spawn()
    own_stack.control("POST", "/backup")
    lost.spawn()
    own_stack.control("POST", "/restore", {"away": 0.5})
    wait_for(lambda: lost.status == "failed")
    assert kept.status == "running"
    pod = f"/pods/{kept.namespace}/{kept.name}-nb"
    own_stack.control("POST", f"{pod}/evict", {"message": "disk full"})
    wait_for(lambda: kept.status == "terminated")


def test_watches_that_are_lost_for_a_minute_are_a_problem(own_stack: Stack) -> None:
    own_stack.control.faults({"path": "watch=true", "answer": "compacted"})
    own_stack.control("POST", "/watches/drop")
    wait_for(lambda: len(problems(own_stack)) == 2, 2 * SECONDS)
    pods = next(p for p in problems(own_stack) if p.startswith("pods "))
    assert "have not been followed since" in pods
    assert "Error watching objects (Pod, status 500)" in pods
    page = requests.get(f"{own_stack.api_url}/admin", timeout=SECONDS)
    assert "have not been followed since" in page.text
    wait_for(lambda: _failures(own_stack))
    (failure,) = _failures(own_stack)
    assert failure["event"] == "Cannot follow cluster"
    own_stack.control("DELETE", "/faults")
    wait_for(lambda: not problems(own_stack))


def _ended_well(events: Any) -> bool:
    return bool(events.kinds[-1] == "complete")


def _failures(stack: Stack) -> list[dict[str, str]]:
    shown = requests.get(f"{stack.api_url}/admin/v1/status", timeout=SECONDS)
    failures: list[dict[str, str]] = shown.json()["failures"]
    return failures


def _namespaces(stack: Stack) -> set[str]:
    url = f"{stack.endpoints.kubernetes}/api/v1/namespaces"
    query = {"labelSelector": "nublado.lsst.io/category=lab"}
    found = requests.get(url, params=query, timeout=SECONDS).json()["items"]
    return {namespace["metadata"]["name"] for namespace in found}
