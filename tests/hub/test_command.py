"""``nublado hub`` as whoever types it meets it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import Running, needs_proc

pytestmark = [needs_proc, pytest.mark.timeout(600)]


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Running]:
    running = Running(tmp_path / "files", "hub", "--port", "0")
    yield running
    running.clean_up()


@pytest.mark.parametrize("moment", ["Starting cluster", "Ctrl-C ends all of it"])
def test_nothing_is_left_of_a_killed_platform(hub: Running, moment: str) -> None:
    hub.wait_for_output(moment)
    os.kill(hub.process.pid, signal.SIGKILL)
    assert hub.wait_for_end() == -signal.SIGKILL


def test_ctrl_c_ends_everything(hub: Running) -> None:
    hub.wait_for_output("Ctrl-C ends all of it")
    assert len(hub.processes()) >= 6
    os.kill(hub.process.pid, signal.SIGINT)
    hub.wait_for_output("Stopping labs, JupyterHub, service and cluster")
    assert hub.wait_for_end() == 0
    assert "All of it has ended" in hub.output


def test_second_ctrl_c_ends_everything_at_once(hub: Running) -> None:
    hub.wait_for_output("Ctrl-C ends all of it")
    os.kill(hub.process.pid, signal.SIGINT)
    hub.wait_for_output("(Ctrl-C again to stop at once)")
    os.kill(hub.process.pid, signal.SIGINT)
    # The first may have been enough, or just so.
    assert hub.wait_for_end() in (0, 130, -signal.SIGINT)
