"""Locks: closed ones, open ones, and what is installed from them."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest

from tools.check_lock import Lock, LockError, open_ends, strays, unpinned


@pytest.fixture
def installed(tmp_path: Path) -> dict[str, metadata.Distribution]:
    """An application with an extra, and a library with one."""
    packages = {
        "nublado": ("1.0", ["web>=2", "cloud>=1; extra == 'cloud'"]),
        "web": ("2.5", ["colours[rgb]>=7", "old; python_version < '3.11'"]),
        "colours": ("7.17.3", ["rgb>=1; extra == 'rgb'", "cmyk; extra == 'cmyk'"]),
        "rgb": ("1.2", ["windows-only; sys_platform == 'win32'"]),
        "cloud": ("1.1", []),
    }
    found: dict[str, metadata.Distribution] = {}
    for name, (version, requires) in packages.items():
        directory = tmp_path / f"{name}-{version}.dist-info"
        directory.mkdir()
        lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
        lines += [f"Requires-Dist: {requirement}" for requirement in requires]
        (directory / "METADATA").write_text("\n".join([*lines, "", ""]))
        found[name] = metadata.Distribution.at(directory)
    return found


def lock(tmp_path: Path, *lines: str, extras: tuple[str, ...] = ()) -> Lock:
    path = tmp_path / "lock.txt"
    path.write_text("# made by a test\n" + "\n".join(lines) + "\n")
    closed = Lock.read(path, extras)
    return Lock("lock", closed.pins, closed.extras)


CLOSED = (
    "web==2.5 \\\n    --hash=sha256:00 \\\n    --hash=sha256:01\n    # via nublado",
    "colours[rgb]==7.17.3 ; python_version >= '3' \\\n    --hash=sha256:00",
    "rgb==1.2 --hash=sha256:00  # via colours",
)


def test_closed_lock(
    tmp_path: Path, installed: dict[str, metadata.Distribution]
) -> None:
    closed = lock(tmp_path, *CLOSED)
    assert list(open_ends(closed, installed)) == []
    assert list(unpinned(closed, installed)) == []
    assert list(strays([closed], installed)) == [
        "cloud==1.1 is installed, but in no lock"
    ]


def test_requirement_of_an_extra_that_is_not_pinned(
    tmp_path: Path, installed: dict[str, metadata.Distribution]
) -> None:
    opened = lock(tmp_path, "web==2.5", "colours==7.17.3")
    assert list(open_ends(opened, installed)) == [
        'lock: no pin satisfies rgb>=1; extra == "rgb", required by colours'
    ]


def test_pin_that_is_too_old(
    tmp_path: Path, installed: dict[str, metadata.Distribution]
) -> None:
    opened = lock(tmp_path, "web==2.5", "colours==6.9", "rgb==1.2")
    assert list(open_ends(opened, installed)) == [
        "lock: no pin satisfies colours[rgb]>=7, required by web"
    ]
    assert list(unpinned(opened, installed)) == [
        "lock: colours==6.9 is pinned, but 7.17.3 is installed"
    ]


def test_pin_for_other_versions_of_python(
    tmp_path: Path, installed: dict[str, metadata.Distribution]
) -> None:
    web, _, rgb = CLOSED
    opened = lock(tmp_path, web, "colours==7.17.3; python_version < '3.13'", rgb)
    assert list(open_ends(opened, installed)) == [
        "lock: no pin satisfies colours[rgb]>=7, required by web"
    ]


def test_extras_of_the_project(
    tmp_path: Path, installed: dict[str, metadata.Distribution]
) -> None:
    opened = lock(tmp_path, *CLOSED, extras=("cloud",))
    assert list(open_ends(opened, installed)) == [
        'lock: no pin satisfies cloud>=1; extra == "cloud", required by nublado'
    ]
    closed = lock(tmp_path, *CLOSED, "cloud==1.1", extras=("cloud",))
    assert list(open_ends(closed, installed)) == []
    assert list(strays([closed], installed)) == []


def test_pin_that_is_not_installed(
    tmp_path: Path, installed: dict[str, metadata.Distribution]
) -> None:
    more = lock(tmp_path, *CLOSED, "nowhere==1", "windows==2; sys_platform == 'win32'")
    assert list(unpinned(more, installed)) == ["lock: nowhere==1 is not installed"]


@pytest.mark.parametrize("line", ["web>=2", "web==2.*", "web==2,!=3", "-r other.txt"])
def test_what_pins_nothing(tmp_path: Path, line: str) -> None:
    with pytest.raises(LockError):
        lock(tmp_path, line)


def test_another_python_that_gets_another_version_is_left_to_itself(
    tmp_path: Path, installed: dict[str, metadata.Distribution]
) -> None:
    by_python = [
        "web==2.5 ; python_version < '3.13'",
        "web==3.0 ; python_version >= '3.13'",
        "colours[rgb]==7.17.3 ; python_version < '3.13'",
        "colours[rgb]==6.0 ; python_version >= '3.13'",
        "rgb==1.2",
    ]
    assert list(open_ends(lock(tmp_path, *by_python), installed)) == []
