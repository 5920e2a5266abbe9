"""What is told of the configuration file while the service runs."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from nublado.config.environment import Environment
from nublado.services.alerts import Alerts
from nublado.services.checks.configuration import cannot_be_used
from nublado.services.configuration import ConfigurationWatch

_CONFIGS = Path(__file__).parent.parent / "data" / "configs"
_FIRST = (_CONFIGS / "minimal.yaml").read_text()
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


class Watched:
    """A file, and what is told of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.write_text(_FIRST)
        self.alerts = Reports()
        self.watch = ConfigurationWatch(Environment(config_path=path), self.alerts)
        self.check = cannot_be_used(lambda: self.watch.file)

    def become(self, text: str) -> None:
        self.path.write_text(text)
        self.watch.look()


@pytest.fixture
def file(tmp_path: Path) -> Watched:
    return Watched(tmp_path / "config.yaml")


def test_unchanged_file_is_no_news(file: Watched) -> None:
    file.become(_FIRST)
    assert not file.watch.file.has_changed
    assert file.watch.file.since is None
    assert file.check() is None
    assert file.alerts.events == []


def test_file_that_cannot_be_used_is_a_problem_until_it_can(file: Watched) -> None:
    before = datetime.now(UTC)
    for _ in range(3):
        file.become(_BROKEN)
    assert file.watch.file.has_changed
    (problem,) = file.watch.file.problems
    assert problem.path == "nmae"
    finding = file.check()
    assert finding
    assert finding.cause.startswith(f"line {problem.line}, nmae: ")
    assert finding.since
    assert before <= finding.since <= datetime.now(UTC)
    file.become(_FIRST)
    assert file.check() is None
    assert not file.watch.file.has_changed
    assert file.alerts.events == []


def test_since_when_is_that_of_the_first_look(file: Watched) -> None:
    file.become(_BROKEN)
    since = file.watch.file.since
    file.become(_BROKEN)
    assert file.watch.file.since == since


def test_many_problems_are_counted(file: Watched) -> None:
    file.become(_FIRST + "".join(f"wrong{n}: 1\n" for n in range(8)))
    finding = file.check()
    assert finding
    assert finding.cause.endswith("; and 3 more")


def test_file_that_waits_for_a_restart_is_told(file: Watched) -> None:
    file.become(_OTHER)
    assert file.watch.file.has_changed
    assert file.check() is None
    assert file.alerts.events == ["Configuration has changed"]
    file.become(_FIRST)
    assert file.alerts.events[1:] == ["Configuration has changed back"]
    assert file.alerts.recent() == ()


def test_file_that_can_be_used_again_waits_for_a_restart(file: Watched) -> None:
    file.become(_BROKEN)
    file.become(_OTHER)
    assert file.check() is None
    assert file.alerts.events == ["Configuration has changed"]


def test_file_that_is_gone_is_a_problem(file: Watched) -> None:
    file.path.unlink()
    file.watch.look()
    finding = file.check()
    assert finding
    assert "No such file" in finding.cause


def test_file_that_does_not_fit_the_environment_is_a_problem(file: Watched) -> None:
    # The usual base URL has an address, for which there are no ingresses.
    file.become((_CONFIGS / "files.yaml").read_text())
    finding = file.check()
    assert finding
    assert "EXTERNAL_INSTANCE_URL" in finding.cause
