"""A spawn that runs out of time tells everybody what was last heard."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from nublado.sandbox.stack import Stack
from tests.chart import rights
from tests.e2e.conftest import CONFIG, SETTINGS
from tests.e2e.users import SECONDS, User
from tests.waiting import wait_for


@pytest.fixture
def hasty(tmp_path: Path) -> Iterator[Stack]:
    """A stack that gives spawns little time."""
    text = CONFIG.read_text()
    assert "spawnTimeout: 300" in text
    file = tmp_path / "config.yaml"
    file.write_text(text.replace("spawnTimeout: 300", "spawnTimeout: 8"))
    with Stack(
        file,
        *("--settings", json.dumps(SETTINGS)),
        rbac=rights(CONFIG, tmp_path),
        log=(tmp_path / "service.log").open("w+"),
    ) as stack:
        yield stack


def test_last_words_are_told_everywhere(hasty: Stack) -> None:
    hasty.control.settings(init_seconds=3600.0)
    user = User(hasty, "rachel")
    events = user.spawn()
    assert events.kinds[-2:] == ["error", "failed"]
    words = events.messages[-2]
    assert words.startswith(
        "Lab spawn timed out after 8.0: Started: Container started"
        " (Pod userlabs-rachel/rachel-nb, container inithome,"
        " image registry.example.org/sciplat/lab:recommended@sha256:"
    )
    assert words.rpartition(", ")[2].startswith("node node-")
    admin = f"{hasty.api_url}/admin"
    (spawn,) = requests.get(f"{admin}/v1/history/rachel", timeout=SECONDS).json()[
        "history"
    ]
    assert (spawn["cause"], spawn["reason"]) == ("timed out in init containers", words)
    status = requests.get(f"{admin}/v1/status", timeout=SECONDS).json()
    (failure,) = [f for f in status["failures"] if f["user"] == "rachel"]
    assert words in failure["message"]
    page = requests.get(f"{admin}/users/rachel", timeout=SECONDS).text
    assert "container inithome" in page
    assert hasty.log_file
    log = Path(hasty.log_file)
    wait_for(lambda: "Lab creation failed" in log.read_text())
    (line,) = [x for x in log.read_text().splitlines() if "Lab creation failed" in x]
    assert "container inithome" in line
    assert "node=node-" in line
