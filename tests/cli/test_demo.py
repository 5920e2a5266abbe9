"""``nublado demo`` refuses what cannot work before it starts anything."""

from __future__ import annotations

import socket

import pytest
from click.testing import CliRunner

from nublado.cli import main


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--tags", "0"], "--tags"),
        (["--tags", "1000000000"], "--tags"),
        (["--user", "Bad User"], "'Bad User' is no username"),
        (["--user", ""], "is no username"),
        (["--user", "a--b"], "is no username"),
        (["--user", "a" * 33], "is no username"),
        (["--user", "hub"], "hub is JupyterHub"),
        (["--port", "0"], "--port"),
        (["--port", "65536"], "--port"),
        (["--config", "/"], "is a directory"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_rubbish_is_misuse(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(main, ["demo", *arguments])
    assert result.exit_code == 2, result.output
    assert message in result.output
    assert "Starting" not in result.output


def test_port_in_use_is_told_at_once() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        result = CliRunner().invoke(main, ["demo", "--port", port])
    assert result.exit_code == 2, result.output
    assert f"{port} cannot be used: Address already in use" in result.output
    assert "Starting" not in result.output
