"""The Helm chart, rendered by Helm itself as an operator would."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from nublado.models.domain.kubernetes import JSON

__all__ = ["CHART", "helm", "objects", "render", "rights", "values_for"]

CHART = Path(__file__).parent.parent / "conf" / "helm" / "nublado"
_SECONDS = 120.0


def _program() -> str | None:
    """Helm, for which there is no package on some machines."""
    beside = Path(sys.executable).parent / "helm"
    return str(beside) if beside.exists() else shutil.which("helm")


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Helm."""
    program = _program()
    if program is None:
        pytest.skip("Helm is not installed")
    return subprocess.run(
        [program, *arguments],
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )


def values_for(config_file: Path) -> dict[str, Any]:
    """Values of a deployment with a configuration."""
    config = yaml.safe_load(config_file.read_text())
    return {"baseUrl": "https://data.example.org", "config": config}


def render(
    values: dict[str, Any], directory: Path, *arguments: str, chart: Path = CHART
) -> str:
    """Render the chart; a directory is for the values."""
    file = directory / "values.yaml"
    file.write_text(yaml.safe_dump(values))
    release = ("template", "nublado", str(chart), "--namespace", "nublado")
    made = helm(*release, "--values", str(file), *arguments)
    assert made.returncode == 0, made.stderr
    return made.stdout


def rights(config_file: Path, directory: Path) -> Path | None:
    """Render the chart for the rights that the service has with a configuration.

    A directory is for the file; None without Helm.
    """
    if _program() is None:
        return None
    file = directory / "chart.yaml"
    file.write_text(render(values_for(config_file), directory))
    return file


def objects(rendered: str) -> list[JSON]:
    """Take a rendered chart apart."""
    return [obj for obj in yaml.safe_load_all(rendered) if obj is not None]
