from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner

from nublado import __version__
from nublado.cli import main

CONFIGS = Path(__file__).parents[1] / "data" / "configs"
STANDARD = str(CONFIGS / "standard.yaml")
BROKEN = str(CONFIGS / "broken.yaml")
_OLD = "OK, read as a configuration for 8.2: standard init containers off"
_NEW = "OK, read as a configuration for 15.1: standard init containers on"


def test_good_files_are_ok() -> None:
    minimal = str(CONFIGS / "minimal.yaml")
    result = CliRunner().invoke(main, ["check-config", STANDARD, minimal])
    assert result.exit_code == 0
    assert result.output == f"{STANDARD}: {_OLD}\n{minimal}: {_OLD}\n"


def test_report_says_how_a_file_is_read_and_what_is_not_done() -> None:
    files = [str(CONFIGS / name) for name in ("new-style.yaml", "complete.yaml")]
    result = CliRunner().invoke(main, ["check-config", *files])
    assert result.exit_code == 0
    assert result.output.splitlines() == [
        f"{files[0]}: {_NEW}",
        f"{files[1]}: {_NEW}",
        f"{files[1]}: note: metrics: events are not published; Prometheus finds the"
        " same numbers at /metrics",
    ]


def test_problems_are_printed_one_per_line() -> None:
    result = CliRunner().invoke(main, ["check-config", BROKEN, STANDARD])
    assert result.exit_code == 1
    lines = result.output.splitlines()
    assert lines[2] == f"{BROKEN}:5: lab.spawnTimeout: must not be negative, not -1"
    assert len(lines) == 11
    assert lines[-1] == f"{STANDARD}: {_OLD}"


def test_json_has_a_list_per_file() -> None:
    result = CliRunner().invoke(main, ["check-config", "--json", STANDARD, BROKEN])
    assert result.exit_code == 1
    good, bad = json.loads(result.output)
    assert good == []
    assert bad[2] == {
        "path": "lab.spawnTimeout",
        "line": 5,
        "message": "must not be negative, not -1",
    }


def test_json_of_one_file_is_a_list_too() -> None:
    result = CliRunner().invoke(main, ["check-config", STANDARD, "--json"])
    assert result.exit_code == 0
    assert json.loads(result.output) == [[]]


def test_missing_file_is_a_problem(tmp_path: Path) -> None:
    path = tmp_path / "missing.yaml"
    result = CliRunner().invoke(main, ["check-config", str(path)])
    assert result.exit_code == 1
    assert result.output == f"{path}:1: cannot be read: No such file or directory\n"


def test_text_of_the_file_cannot_break_the_report(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text('name: a\n"x\\ny\\e[31m": 1\nlogLevel: "\\n\\e"\n')
    result = CliRunner().invoke(main, ["check-config", str(path)])
    assert len(result.output.splitlines()) == 4
    assert "\x1b" not in result.output


def test_misuse_exits_with_2() -> None:
    for arguments in ([], ["--yaml", STANDARD]):
        assert CliRunner().invoke(main, ["check-config", *arguments]).exit_code == 2
    assert CliRunner().invoke(main, ["chek-config"]).exit_code == 2


def test_help_lists_the_commands() -> None:
    result = CliRunner().invoke(main, ["--help"])
    assert result.exit_code == 0
    for text in ("check-config", "sandbox", "demo", "Examples:"):
        assert text in result.output


def test_version() -> None:
    for arguments in (["version"], ["--version"]):
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 0
        assert __version__ in result.output


def test_checking_imports_neither_clients_nor_sandbox() -> None:
    code = (
        "import sys\n"
        "from nublado.cli import main\n"
        f"main(['check-config', {STANDARD!r}], standalone_mode=False)\n"
        "print(*sorted({'kubernetes', 'aiohttp', 'flask'} & set(sys.modules)))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout == f"{STANDARD}: {_OLD}\n\n"


def test_missing_dependency_is_named() -> None:
    code = (
        "import sys\n"
        "sys.modules['marshmallow'] = None\n"
        "from nublado.cli import main\n"
        f"main(['check-config', {STANDARD!r}])\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert result.returncode == 2
    assert "needs the Python module marshmallow" in result.stderr
    assert "Traceback" not in result.stderr
