"""What is told of the configuration file while the service runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from nublado.services.alerts import Alerts
from nublado.services.configuration import ConfigurationWatch

_FIRST = (Path(__file__).parent.parent / "data/configs/minimal.yaml").read_text()
_OTHER = f"{_FIRST}name: other\n"
_BROKEN = f"{_FIRST}nmae: other\n"


class Reports(Alerts):
    """Alerts, with what is no failure too."""

    def __init__(self) -> None:
        super().__init__("test", None)
        self.events: list[str] = []

    def announce(self, event: str, **facts: object) -> None:
        self.events.append(event)
        super().announce(event, **facts)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(_FIRST)
    return path


def test_unchanged_file_is_no_news(file: Path) -> None:
    alerts = Reports()
    watch = ConfigurationWatch(file, alerts)
    file.write_text(_FIRST)
    assert not watch.look().has_changed
    assert alerts.events == []
    assert alerts.recent() == ()


def test_file_that_cannot_be_used_is_reported_once_and_again_when_it_can(
    file: Path,
) -> None:
    alerts = Reports()
    watch = ConfigurationWatch(file, alerts)
    file.write_text(_BROKEN)
    for _ in range(3):
        found = watch.look()
    assert found.has_changed
    (problem,) = found.problems
    assert problem.path == "nmae"
    (line,) = alerts.recent()
    assert line.event == "Configuration cannot be used"
    assert "nmae" in line.message
    file.write_text(_FIRST)
    assert not watch.look().has_changed
    assert alerts.events == ["Configuration can be used"]


def test_file_that_waits_for_a_restart_is_told(file: Path) -> None:
    alerts = Reports()
    watch = ConfigurationWatch(file, alerts)
    file.write_text(_OTHER)
    found = watch.look()
    assert found.has_changed
    assert not found.problems
    assert alerts.events == ["Configuration has changed"]
    assert alerts.recent() == ()


def test_file_that_is_gone_is_a_problem(file: Path) -> None:
    alerts = Reports()
    watch = ConfigurationWatch(file, alerts)
    file.unlink()
    assert watch.look().problems
    assert alerts.recent()
