"""The wheel alone, without the checkout that it was built from."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

import pytest

_ROOT = Path(__file__).parent.parent.parent
_SOURCES = ("LICENSE", "README.md", "nublado", "pyproject.toml", "setup.cfg")
_OF_THE_SANDBOX = ("aiohttp", "cheroot", "wsgidav")
_SECONDS = 240.0

pytestmark = pytest.mark.timeout(600)


def run(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environ = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**environ, "NO_COLOR": "1"},
        timeout=_SECONDS,
        check=False,
    )


def run_well(*command: str, cwd: Path) -> str:
    result = run(*command, cwd=cwd)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # Built elsewhere: what earlier builds left behind would get into the wheel.
    directory = tmp_path_factory.mktemp("wheel")
    for name in _SOURCES:
        source = _ROOT / name
        ignored = shutil.ignore_patterns("__pycache__")
        if source.is_dir():
            shutil.copytree(source, directory / name, ignore=ignored)
        else:
            shutil.copy(source, directory / name)
    command = (sys.executable, "-m", "pip", "wheel", "--no-index", "--no-deps")
    run_well(*command, "--no-build-isolation", "-w", "dist", ".", cwd=directory)
    (built,) = (directory / "dist").glob("nublado-*.whl")
    return built


def install(wheel: Path, directory: Path, *, without: Iterable[str] = ()) -> Path:
    """Install the wheel into an environment with the packages of this one."""
    environment = directory / "environment"
    python = str(environment / "bin" / "python")
    run_well(
        *(sys.executable, "-m", "venv", "--without-pip", str(environment)),
        cwd=directory,
    )
    pip = (sys.executable, "-m", "pip", "--python", python)
    run_well(*pip, "install", "--no-index", "--no-deps", str(wheel), cwd=directory)
    packages = directory / "packages"
    packages.mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if entry.name not in without and "nublado" not in entry.name:
            (packages / entry.name).symlink_to(entry)
    purelib = run_well(
        *(python, "-c", "import sysconfig as s; print(s.get_path('purelib'))"),
        cwd=directory,
    )
    (Path(purelib.strip()) / "others.pth").write_text(f"{packages}\n")
    return environment / "bin"


def test_demonstration_from_the_wheel(wheel: Path, tmp_path: Path) -> None:
    programs = install(wheel, tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    imported = "import nublado; print(nublado.__file__)"
    file = run_well(str(programs / "python"), "-c", imported, cwd=elsewhere)
    assert file.startswith(str(programs.parent))
    shown = run_well(str(programs / "nublado"), "demo", "--exit", cwd=elsewhere)
    assert "100% Lab Kubernetes pod started for rachel" in shown
    assert "Gone after" in shown
    assert list(elsewhere.iterdir()) == []


def test_demonstration_without_what_it_needs(wheel: Path, tmp_path: Path) -> None:
    programs = install(wheel, tmp_path, without=_OF_THE_SANDBOX)
    shown = run(str(programs / "nublado"), "demo", cwd=tmp_path)
    assert shown.returncode == 2
    *_, last = shown.stderr.splitlines()
    assert "needs the Python module aiohttp" in last
    assert "nublado[sandbox]" in last
    assert run_well(str(programs / "nublado"), "version", cwd=tmp_path)
