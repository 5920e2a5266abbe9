from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from nublado.cli import main

_CONFIGS = Path(__file__).parent.parent / "data" / "configs"


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, ["migrate-config", *arguments])
    return result.exit_code, result.stdout, result.stderr


def test_result_can_be_used_and_changes_are_told(tmp_path: Path) -> None:
    code, output, said = run(str(_CONFIGS / "standard.yaml"))
    assert code == 0
    assert "* Labs: the standard init containers are added" in said
    assert "privileged init container inithome is kept" in said
    file = tmp_path / "new.yaml"
    file.write_text(output)
    result = CliRunner().invoke(main, ["check-config", str(file)])
    assert (result.exit_code, "15.1" in result.output) == (0, True), result.output


def test_labs_can_be_kept() -> None:
    code, output, said = run(str(_CONFIGS / "standard.yaml"), "--keep-labs")
    assert code == 0
    assert "standardContainers: false" in output
    assert "standard init containers are added" not in said


def test_what_is_not_usable_is_refused() -> None:
    code, output, said = run(str(_CONFIGS / "broken.yaml"))
    assert (code, output) == (1, "")
    assert "is no configuration that can be used as it is" in said


def test_values_of_a_part(tmp_path: Path) -> None:
    file = tmp_path / "values.yaml"
    file.write_text(
        "controller:\n  config:\n    profile: production\n    lab:\n"
        "      tmpSource: disk\n"
    )
    code, output, said = run(str(file))
    assert code == 0, said
    assert "logProfile: production" in output
    assert "emptyDirSource: disk" in output
    assert "This is a part of a configuration" in said
    file.write_text("controller:\n  config:\n    profil: production\n")
    code, output, said = run(str(file))
    assert (code, output) == (1, "")
    assert "did you mean" in said


@pytest.mark.parametrize(
    ("content", "expected"),
    [("a: {", "is not valid YAML"), ("", "is empty"), ("[]", "must be a mapping")],
)
def test_what_is_no_yaml(tmp_path: Path, content: str, expected: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(content)
    code, output, said = run(str(file))
    assert (code, output, expected in said) == (1, "", True)
