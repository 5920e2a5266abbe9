"""The demonstration, with configurations of all kinds."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from nublado.sandbox import DEMO_CONFIG
from nublado.sandbox.ports import free_port
from tests.running import Running, needs_proc

_ROOT = Path(__file__).parent.parent.parent
_EXAMPLES = _ROOT.parent / "shared" / "examples"
_DEMO = (sys.executable, "-m", "nublado", "demo")
_SECONDS = 120.0
_CONFIGS = [
    DEMO_CONFIG,
    _ROOT / "tests" / "data" / "configs" / "standard.yaml",
    *(
        path
        for name in ("base", "idfdev", "usdfdev")
        if (path := _EXAMPLES / f"{name}.yaml").exists()
    ),
]


@pytest.fixture
def demonstration(tmp_path: Path) -> Iterator[Running]:
    running = Running(tmp_path / "files", "demo")
    yield running
    running.clean_up()


slow = pytest.mark.timeout(300)


@needs_proc
@slow
def test_ctrl_c_is_answered_and_ends_everything(demonstration: Running) -> None:
    demonstration.wait_for_output("Ctrl-C ends the demonstration")
    assert len(demonstration.processes()) >= 4
    os.kill(demonstration.process.pid, signal.SIGINT)
    demonstration.wait_for_output("Deleting the lab… (Ctrl-C again to stop at once)")
    assert demonstration.wait_for_end() == 0
    assert "Gone after" in demonstration.output


@needs_proc
@slow
@pytest.mark.parametrize("moment", ["Starting", "Ctrl-C ends the demonstration"])
def test_second_ctrl_c_ends_everything_at_once(
    demonstration: Running, moment: str
) -> None:
    demonstration.wait_for_output(moment)
    os.kill(demonstration.process.pid, signal.SIGINT)
    demonstration.wait_for_output("(Ctrl-C again to stop at once)")
    os.kill(demonstration.process.pid, signal.SIGINT)
    # The first may have been enough, or just so.
    assert demonstration.wait_for_end() in (0, 130, -signal.SIGINT)


@needs_proc
@slow
@pytest.mark.parametrize("moment", ["Starting", "Ctrl-C ends the demonstration"])
def test_nothing_is_left_of_a_killed_demonstration(
    demonstration: Running, moment: str
) -> None:
    demonstration.wait_for_output(moment)
    os.kill(demonstration.process.pid, signal.SIGKILL)
    assert demonstration.wait_for_end() == -signal.SIGKILL


@slow
def test_summary_fits_on_a_screen_and_is_true(tmp_path: Path) -> None:
    port = free_port()
    running = Running(tmp_path / "files", "demo", "--port", str(port), "--user", "mary")
    try:
        running.wait_for_output("Ctrl-C ends the demonstration")
        summary = running.output.partition("Open ")[2].splitlines()
        assert len(summary) < 24
        assert f"http://localhost:{port}/" in summary[0]
        assert '"status": "running"' not in running.output
        page = requests.get(f"http://localhost:{port}/", timeout=_SECONDS)
        assert "Log in" in page.text
        log = next(line.split()[-1] for line in summary if line.startswith("Logs "))
        assert "Listening at" in Path(log).read_text()
        for line in summary:
            if line.startswith("curl -X"):
                variables = next(text for text in summary if text.startswith("N="))
                shell = [
                    "bash",
                    "-c",
                    f"{variables}\n{line.replace('curl', 'curl -sf')}",
                ]
                subprocess.run(shell, check=True, timeout=_SECONDS)
    finally:
        running.clean_up()


@pytest.mark.parametrize(
    "config",
    [path for path in _CONFIGS if "type: docker" in path.read_text()],
    ids=lambda path: path.stem,
)
def test_demonstration_spawns_and_deletes_a_lab(config: Path) -> None:
    shown = subprocess.run(
        [*_DEMO, "--exit", "--verbose", "--config", str(config)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        cwd=_ROOT,
    )
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "100% Lab Kubernetes pod started for rachel" in shown.stdout
    assert '"status": "running"' in shown.stdout
    assert "Gone after" in shown.stdout


def test_failure_of_the_demonstration_shows_in_its_exit_code(tmp_path: Path) -> None:
    config = DEMO_CONFIG.read_text()
    broken = tmp_path / "broken.yaml"
    broken.write_text(config.replace("profile: development", "profile: nonsense"))
    shown = subprocess.run(
        [*_DEMO, "--exit", "--config", str(broken)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        cwd=_ROOT,
        env={**os.environ, "NO_COLOR": "1"},
    )
    assert shown.returncode == 1
    assert "profile" in shown.stderr


def test_demonstration_that_cannot_start_says_why() -> None:
    shown = subprocess.run(
        [*_DEMO, "--exit"],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        cwd=_ROOT,
        env={**os.environ, "NUBLADO_THREADS": "none"},
    )
    assert shown.returncode == 1
    assert "NUBLADO_THREADS: must be a whole number" in shown.stderr
    assert "The demonstration has failed: The service has ended with" in shown.stderr


def test_sandbox_says_where_things_are(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    command = [sys.executable, "-m", "nublado", "sandbox", "--state-file", str(state)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=_ROOT) as run:
        try:
            assert run.stdout is not None
            lines = [run.stdout.readline() for _ in range(9)]
        finally:
            run.terminate()
    assert run.returncode == 0
    endpoints = json.loads(state.read_text())
    assert set(endpoints) == {
        "kubernetes",
        "registry",
        "gafaelfawr",
        "ingress",
        "control",
    }
    assert endpoints["kubernetes"] in lines[0]
