"""A configuration file that changes under the service."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from nublado.sandbox.stack import Stack
from tests.chart import rights
from tests.e2e.conftest import CONFIG, SETTINGS
from tests.e2e.users import SECONDS, User
from tests.waiting import wait_for


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "config.yaml"
    file.write_text(CONFIG.read_text())
    return file


@pytest.fixture
def changing(file: Path, tmp_path: Path) -> Iterator[Stack]:
    """A stack with a configuration of its own."""
    with Stack(
        file,
        *("--settings", json.dumps(SETTINGS)),
        rbac=rights(CONFIG, tmp_path),
        log=(tmp_path / "service.log").open("w+"),
    ) as stack:
        yield stack


def get(stack: Stack, path: str) -> Any:
    url = f"{stack.api_url}/admin/v1/{path}"
    return requests.get(url, timeout=SECONDS).json()


def test_file_is_told_of_and_what_runs_goes_on(changing: Stack, file: Path) -> None:
    assert "check-configuration" in {j["name"] for j in get(changing, "status")["jobs"]}
    file.write_text(f"{CONFIG.read_text()}\nnmae: broken\n")
    found = get(changing, "configuration")
    assert [problem["path"] for problem in found["problems"]] == ["nmae"]
    (problem,) = problems(changing)
    assert "nmae" in problem["cause"]
    assert problem["since"] == found["since"]
    page = requests.get(f"{changing.api_url}/admin", timeout=SECONDS).text
    assert "cannot be used" in page
    assert 'nublado_problem{kind="configuration"} 1.0' in metrics(changing)
    assert "nublado_configuration_changed 1.0" in metrics(changing)
    wait_for(lambda: "Configuration cannot be used" in log(changing))
    user = User(changing, "rachel")
    user.spawn()
    assert user.status == "running"

    file.write_text(f"{CONFIG.read_text()}\n# A remark\n")
    assert not get(changing, "configuration")["problems"]
    status = get(changing, "status")["service"]
    assert problems(changing) == []
    assert status["configuration"]["has_changed"]
    wait_for(lambda: "Configuration has changed" in log(changing))
    page = requests.get(f"{changing.api_url}/admin", timeout=SECONDS).text
    assert "a restart applies it" in page

    changing.service.stop()
    changing.start_service()
    changing.service.wait_ready()
    assert not get(changing, "status")["service"]["configuration"]["has_changed"]
    assert "nublado_configuration_changed 0.0" in metrics(changing)


def problems(stack: Stack) -> list[Any]:
    """Problems with the configuration; a young service may have others."""
    found = get(stack, "status")["service"]["problems"]
    return [problem for problem in found if problem["kind"] == "configuration"]


def metrics(stack: Stack) -> str:
    return requests.get(f"{stack.service.url}/metrics", timeout=SECONDS).text


def log(stack: Stack) -> str:
    assert stack.log_file
    return Path(stack.log_file).read_text()
