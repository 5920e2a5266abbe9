"""A deployment in the style of 15.1: service discovery, standard init containers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from nublado.sandbox.repertoire import discovery
from nublado.sandbox.stack import Stack
from tests.e2e.conftest import SETTINGS
from tests.e2e.users import SECONDS, User
from tests.waiting import wait_for

CONFIG = Path(__file__).parent.parent / "data" / "configs" / "new-style.yaml"


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    with _stack(tmp_path) as stack:
        yield stack


def _stack(directory: Path, *arguments: str) -> Stack:
    log = (directory / "service.log").open("w+")
    return Stack(CONFIG, "--settings", json.dumps(SETTINGS), *arguments, log=log)


def _log(stack: Stack) -> list[dict[str, Any]]:
    assert stack.log_file is not None
    lines = Path(stack.log_file).read_text().splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


def _events(stack: Stack) -> set[str]:
    return {entry["event"] for entry in _log(stack)}


def _read(stack: Stack, user: User, plural: str, name: str) -> Any:
    url = f"{stack.endpoints.kubernetes}/api/v1/namespaces/{user.namespace}"
    answer = requests.get(f"{url}/{plural}/{name}", timeout=SECONDS)
    assert answer.status_code == 200, answer.text
    return answer.json()


def _spawn(stack: Stack, name: str) -> User:
    user = User(stack, name)
    wait_for(lambda: _ready(stack), SECONDS)
    events = user.spawn(size="medium")
    assert events.kinds[-1] == "complete", events.messages
    return user


def _ready(stack: Stack) -> bool:
    url = f"{stack.api_url}/spawner/v1/images"
    return requests.get(url, timeout=SECONDS).status_code == 200


def test_lab_runs_after_its_init_containers(stack: Stack) -> None:
    user = _spawn(stack, "rachel")
    pod = _read(stack, user, "pods", "rachel-nb")
    ended = {
        status["name"]: status["state"]["terminated"]["exitCode"]
        for status in pod["status"]["initContainerStatuses"]
    }
    assert ended == {
        "nublado-std-inithome": 0,
        "site-setup": 0,
        "nublado-std-landingpage": 0,
        "nublado-std-startup": 0,
    }
    state = user.state().json()
    assert state["options"]["size"] == "medium"
    assert state["resources"]["requests"] == {"cpu": 0.5, "memory": 2 * 2**30}
    prepulls = requests.get(f"{stack.api_url}/spawner/v1/prepulls", timeout=SECONDS)
    assert prepulls.json()["config"]["prepull_timeout"] == 1200.0


def test_gafaelfawr_and_the_file_in_labs_come_from_the_discovery(stack: Stack) -> None:
    user = _spawn(stack, "rachel")
    found = [e["url"] for e in _log(stack) if e["event"] == "Discovered Gafaelfawr"]
    assert found == [f"{stack.endpoints.ingress}/auth/api/v1"]
    files = _read(stack, user, "configmaps", "rachel-nb-files")
    document = json.loads(files["data"]["discovery-v1-json"])
    answer = discovery(stack.endpoints.ingress)
    assert (
        document["datasets"]["dp1"]["butler_config"]
        == (answer["datasets"]["dp1"]["butler_config"])
    )
    env = _read(stack, user, "configmaps", "rachel-nb-env")["data"]
    assert env["REPERTOIRE_BASE_URL"] == f"{stack.endpoints.ingress}/repertoire"


def test_no_spawn_fails_while_the_discovery_is_away(tmp_path: Path) -> None:
    faults = {"rules": [{"target": "repertoire", "status": 503}]}
    with _stack(tmp_path, "--faults", json.dumps(faults)) as stack:
        user = _spawn(stack, "rachel")
        assert "Service discovery failed, using the base URL" in _events(stack)
        files = _read(stack, user, "configmaps", "rachel-nb-files")
        assert files["data"] == {"discovery-v1-json": "{}"}


def test_size_by_default_is_chosen_unless_the_quota_forbids_it(stack: Stack) -> None:
    wait_for(lambda: _ready(stack), SECONDS)
    poor = {"quota": {"notebook": {"cpu": 1, "memory": 4, "spawn": True}}}
    stack.control("PUT", "/users/mona", poor)
    for name, size in (("rachel", "medium"), ("mona", "small")):
        url = f"{stack.api_url}/spawner/v1/lab-form/{name}"
        form = requests.get(url, headers=User(stack, name).headers, timeout=SECONDS)
        assert form.status_code == 200
        assert f'id="nublado-size-{size}" value="{size}" checked' in form.text
        sizes = form.text[form.text.index("<legend>Size") :]
        assert sizes.count(" checked") == 1


def test_log_says_how_the_configuration_is_read(tmp_path: Path) -> None:
    log = (tmp_path / "service.log").open("w+")
    environ = {"SENTRY_DSN": "https://secret@sentry.example.org/1"}
    with Stack(CONFIG, environ=environ, log=log) as stack:
        (read,) = [e for e in _log(stack) if e["event"] == "Read configuration"]
        assert (read["style"], read["standard_containers"]) == ("15.1", True)
        notes = [e["note"] for e in _log(stack) if "note" in e]
        assert notes == ["SENTRY_DSN: is accepted, and has no effect"]
        assert "secret@" not in (tmp_path / "service.log").read_text()
