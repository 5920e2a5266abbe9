"""The ``nublado`` command as a whole."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from nublado.cli import COMMANDS, main


@pytest.mark.parametrize("name", [*COMMANDS, None], ids=str)
@pytest.mark.parametrize("option", ["-h", "--help"])
def test_every_command_has_help(name: str | None, option: str) -> None:
    shown = CliRunner().invoke(main, [name, option] if name else [option])
    assert shown.exit_code == 0, shown.output
    assert shown.output.startswith("Usage: ")


def test_misspelt_command_gets_a_suggestion() -> None:
    shown = CliRunner().invoke(main, ["chek-config"])
    assert shown.exit_code == 2
    assert "No such command 'chek-config'. Did you mean 'check-config'?" in shown.output


def test_unlike_command_gets_no_suggestion() -> None:
    shown = CliRunner().invoke(main, ["xyzzy"])
    assert shown.exit_code == 2
    assert "No such command 'xyzzy'." in shown.output
    assert "Did you mean" not in shown.output


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_disk_is_told_in_words() -> None:
    command = [sys.executable, "-m", "nublado", "openapi"]
    with Path("/dev/full").open("w") as full:
        shown = subprocess.run(
            command,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert shown.returncode == 1
    assert "No space left on device" in shown.stderr
    assert "Traceback" not in shown.stderr


def test_missing_directory_for_temporary_files_is_told_in_words(tmp_path: Path) -> None:
    nowhere = str(tmp_path / "nowhere")
    code = (
        "import tempfile, nublado.cli; tempfile._candidate_tempdir_list = lambda: "
        f"[{nowhere!r}]; nublado.cli.main(['sandbox'])"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "TMPDIR": nowhere},
    )
    assert shown.returncode == 1
    assert "No usable temporary directory" in shown.stderr
    assert "Traceback" not in shown.stderr
