"""The service in a cluster that grants it what the chart does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.stack import Stack
from tests.chart import rights
from tests.e2e.users import SECONDS, User
from tests.waiting import wait_for

_CONFIG = Path(__file__).parent.parent / "data" / "configs" / "files.yaml"
_LOOKED_FOR = ("namespaces", "resourcequotas", "networkpolicies", "pods", "jobs")
_SETTINGS = {"pull_seconds": 0.05, "termination_delay": 0.01, "address_delay": 0.02}


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Stack]:
    """A service with all that needs rights, held to those of the chart."""
    rbac = rights(_CONFIG, tmp_path)
    if rbac is None:
        pytest.skip("Helm is not installed")
    settings = ("--settings", json.dumps(_SETTINGS))
    log = (tmp_path / "service.log").open("w+")
    with Stack(_CONFIG, *settings, rbac=rbac, log=log) as stack:
        yield stack


def test_chart_grants_what_is_used_and_nothing_else(held: Stack) -> None:
    # An answer that is lost lets it look for what it has made, by name.
    held.control.faults(
        *(
            {"path": f"/{kind}$", "method": "POST", "drop": "after", "count": 1}
            for kind in _LOOKED_FOR
        )
    )
    user = User(held, "rachel")
    user.spawn()
    _have_and_delete_files(held, user)
    held.control("DELETE", "/faults")
    _drain_and_undrain(held)
    held.service.kill()
    held.start_service()
    held.service.wait_ready()
    assert User(held, "rachel").delete().status_code == 204
    _have_all_images_prepulled(held)
    report = held.control("GET", "/rbac")
    assert report["enforced"]
    assert report["missing"] == []
    assert [_right(grant) for grant in report["unused"]] == []


def _right(grant: JSON) -> str:
    return f"{grant['verb']} {grant['resource']} by {grant['role']}"


def _have_and_delete_files(stack: Stack, user: User) -> None:
    page = requests.get(
        f"{stack.service.url}/files", headers=user.headers, timeout=SECONDS
    )
    assert page.status_code == 200, page.text
    url = f"{stack.api_url}/fileserver/v1/users/{user.name}"
    assert requests.delete(url, timeout=SECONDS).status_code == 204


def _drain_and_undrain(stack: Stack) -> None:
    url, headers = f"{stack.api_url}/admin/v1/drain", {"X-Auth-Request-User": "ann"}
    body = {"message": "Storage is being moved."}
    for _ in range(2):
        answer = requests.put(url, json=body, headers=headers, timeout=SECONDS)
        assert answer.status_code == 200, answer.text
        answer = requests.delete(url, headers=headers, timeout=SECONDS)
        assert answer.status_code == 204, answer.text


def _have_all_images_prepulled(stack: Stack) -> None:
    url = f"{stack.api_url}/spawner/v1/prepulls"

    def pending() -> int:
        return len(requests.get(url, timeout=SECONDS).json()["images"]["pending"])

    wait_for(lambda: pending() == 0)
