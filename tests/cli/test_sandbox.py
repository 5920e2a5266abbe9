"""``nublado sandbox`` refuses what cannot work, in words, before it starts."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from nublado.cli import main


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["sandbox", *arguments])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--nodes", "-1"], "--nodes"),
        (["--nodes", "many"], "--nodes"),
        (["--tags", "0"], "--tags"),
        (["--tags", "-5"], "--tags"),
        (["--port", "control", "99999"], "--port"),
        (["--port", "control", "-5"], "--port"),
        (["--port", "registry", "http"], "--port"),
        (["--port", "nonsense", "1"], "is not one of"),
        (
            ["--port", "control", "8", "--port", "control", "9"],
            "control is given twice",
        ),
        (["--port", "control", "8", "--port", "ingress", "8"], "8 is given twice"),
        (["--service-url", "nonsense"], "http://127.0.0.1:8080"),
        (["--service-url", "ftp://example.org"], "http://127.0.0.1:8080"),
        (["--settings", "{bad"], "not valid JSON"),
        (["--settings", "[]"], "must be a JSON object"),
        (["--settings", '{"node": 1}'], "Did you mean nodes?"),
        (["--settings", '{"nodes": "x"}'], "nodes must be a whole number"),
        (["--settings", '{"node_memory": "abc"}'], "a quantity such as 256Gi"),
        (["--settings", '{"failing_pulls": ["["]}'], "no regular expression"),
        (["--settings", '{"pull_seconds": NaN}'], "pull_seconds must be a number"),
        (["--settings", '{"held_namespaces": ["["]}'], "no regular expression"),
        (["--settings", '{"node_images": -2}'], "node_images must be from -1"),
        (["--faults", "{bad"], "not valid JSON"),
        (["--faults", "[]"], "must be a JSON object"),
        (["--faults", '{"rules": [{"pth": ""}]}'], "Did you mean path?"),
        (["--faults", '{"rules": [{"delay": NaN}]}'], "delay must be a number"),
        (["--kubernetes", "1.35"], "is not one of"),
        (["--rbac", "/nonexistent.yaml"], "--rbac"),
        (["--rbac", "/"], "is a directory"),
        (["--directory", "/dev/null"], "--directory"),
        (["--directory", "/dev/null/below"], "--directory"),
        (["--state-file", "/nonexistent/state.json"], "/nonexistent is no directory"),
        (["--config", "/nonexistent.yaml"], "--config"),
        (["--config", "/"], "is a directory"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_rubbish_is_misuse(arguments: list[str], message: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert message in result.output


def test_unreadable_configuration_is_told_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_bytes(b"\xff\xfe\x00")
    result = run("--config", str(file))
    assert result.exit_code == 1
    assert f"{file}:1: is not UTF-8" in result.output


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xfe\x00", "not YAML"),
        (b"kind: [", "not YAML"),
        (b"kind: Service", "names a ServiceAccount"),
        (b"kind: Role", "a Role has no metadata.name"),
        (
            b"{kind: RoleBinding, metadata: {name: b}, subjects: 5}",
            "subjects of RoleBinding b must be a list of objects",
        ),
        (
            b"{kind: RoleBinding, metadata: {name: b},"
            b" subjects: [{kind: ServiceAccount, name: a}]}",
            "roleRef.name: Required value",
        ),
    ],
)
def test_roles_that_make_no_sense_are_told(
    tmp_path: Path, content: bytes, message: str
) -> None:
    file = tmp_path / "rbac.yaml"
    file.write_bytes(content)
    result = run("--rbac", str(file))
    assert result.exit_code == 1, result.output
    assert message in result.output


@pytest.mark.parametrize("server", ["kubernetes", "control"])
def test_port_in_use_is_told_and_leaves_nothing(tmp_path: Path, server: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        directory = tmp_path / "made"
        result = run("--port", server, port, "--directory", str(directory))
    assert result.exit_code == 1, result.output
    assert f"The server {server} cannot listen on port {port}" in result.output
    assert "Address already in use" in result.output
    assert list(directory.iterdir()) == []
