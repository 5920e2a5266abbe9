from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent, indent

import pytest

from nublado.config import check, load
from nublado.config.model import Config

REQUIRED = {
    "lab": {
        "namespacePrefix": "userlabs",
        "sizes": "[{size: small, cpu: 1, memory: 3Gi}]",
    },
    "images": {"source": "{type: docker, repository: library/sketchbook}"},
    "fileserver": {
        "enabled": "true",
        "namespace": "fileservers",
        "image": "{repository: worblehat, tag: 0.1.0}",
    },
    "fsadmin": {},
    "dropdownMenu": {},
}


def complete(section: str, fragment: str) -> str:
    """Make a whole file of a fragment of one section."""
    fragment = dedent(fragment).strip("\n")
    sections = ["lab", "images"]
    if section not in ("", *sections):
        sections.append(section)
    text = ""
    for name in sections:
        given = fragment if name == section else ""
        required = "".join(
            f"{key}: {value}\n"
            for key, value in REQUIRED[name].items()
            if not given.startswith(f"{key}:") and f"\n{key}:" not in given
        )
        text += f"{name}:\n" + indent(f"{required}{given}", "  ").rstrip() + "\n"
    return text if section else f"{text}{fragment}\n"


AssertReported = Callable[[str, str, str, str], None]
AssertAccepted = Callable[[str, str], Config]


@pytest.fixture
def assert_reported(tmp_path: Path) -> AssertReported:
    """Check that a fragment has one problem, on its line marked ``# here``."""
    file = tmp_path / "config.yaml"

    def assert_reported(section: str, fragment: str, path: str, message: str) -> None:
        text = complete(section, fragment)
        file.write_text(text)
        problems = check(file)
        assert [problem.path for problem in problems] == [path]
        assert message in problems[0].message
        assert problems[0].line is not None
        assert text.splitlines()[problems[0].line - 1].endswith("# here")

    return assert_reported


@pytest.fixture
def assert_accepted(tmp_path: Path) -> AssertAccepted:
    """Load a file with a fragment."""
    file = tmp_path / "config.yaml"

    def assert_accepted(section: str, fragment: str) -> Config:
        file.write_text(complete(section, fragment))
        return load(file)

    return assert_accepted
