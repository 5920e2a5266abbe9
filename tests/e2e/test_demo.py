"""The demonstration, with configurations of all kinds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nublado.sandbox import DEMO_CONFIG

_ROOT = Path(__file__).parent.parent.parent
_EXAMPLES = _ROOT.parent / "shared" / "examples"
_CONFIGS = [
    DEMO_CONFIG,
    _ROOT / "tests" / "data" / "configs" / "standard.yaml",
    *sorted(_EXAMPLES.glob("*.yaml")),
]


@pytest.mark.parametrize(
    "config",
    [path for path in _CONFIGS if "type: docker" in path.read_text()],
    ids=lambda path: path.stem,
)
def test_demonstration_spawns_and_deletes_a_lab(config: Path) -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "nublado", "demo", "--exit", "--config", str(config)],
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
        [sys.executable, "-m", "nublado", "demo", "--exit", "--config", str(broken)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        cwd=_ROOT,
        env={**os.environ, "NO_COLOR": "1"},
    )
    assert shown.returncode == 1
    assert "profile" in shown.stderr


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
