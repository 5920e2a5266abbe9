"""The command line of operators, against a running service."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from nublado.cli import main
from nublado.sandbox.stack import Stack
from tests.e2e.users import SECONDS, User
from tests.waiting import wait_for

_KUBECTL = """\
#!{python}
import signal, sys
assert sys.argv[1:5] == ["--context", "far", "port-forward", "--namespace"], sys.argv
assert sys.argv[5:8] == ["nublado", "--address", "127.0.0.1"], sys.argv
assert sys.argv[8:] == ["deployment/nublado", ":8080"], sys.argv
print("Forwarding from 127.0.0.1:{port} -> 8080", flush=True)
open({ended!r}, "w").write("started")
signal.signal(signal.SIGTERM, lambda *_: sys.exit())
try:
    signal.pause()
finally:
    open({ended!r}, "w").write("ended")
"""


class Commands:
    """The command line of somebody who has a token."""

    def __init__(self, stack: Stack, username: str = "admin") -> None:
        self._url = stack.ingress_url
        self._token = f"gt-{username}"

    def __call__(self, *arguments: str) -> Result:
        env = {"NUBLADO_URL": self._url, "NUBLADO_TOKEN": self._token}
        return CliRunner().invoke(main, arguments, env=env)

    def json(self, *arguments: str) -> Any:
        result = self(*arguments, "--json")
        assert result.exception is None, result.output
        return json.loads(result.stdout)


@pytest.fixture
def nublado(stack: Stack) -> Iterator[Commands]:
    commands = Commands(stack)
    yield commands
    for end in (["undrain"], ["announce", "--end"], ["log-level", "--reset"]):
        assert commands(*end).exit_code == 0


def test_labs_are_found_and_deleted(nublado: Commands, user: User) -> None:
    user.spawn()
    found = nublado.json("labs", user.name)
    (lab,) = [line for line in found if line["username"] == user.name]
    assert lab["status"] == "running"
    assert lab["node"]
    assert lab["reason"] is None
    table = nublado("labs", "--node", lab["node"], "--state", "running").output
    assert table.splitlines()[0].split()[:3] == ["USER", "STATE", "AGE"]
    assert f"\n{user.name} " in table
    assert f"{user.name} " not in nublado("labs", "--state", "failed").output
    assert "Aborted" in nublado("delete", user.name).output
    assert user.status == "running"
    assert nublado("delete", user.name, "--yes").exit_code == 0
    assert user.state().status_code == 404
    again = nublado("delete", user.name, "--yes")
    assert again.exit_code == 1
    assert again.output == f"Error: Unknown user {user.name}\n"


def test_lab_that_failed_says_why(stack: Stack, nublado: Commands, user: User) -> None:
    rule = {"method": "POST", "path": f"{user.namespace}/pods$", "status": 422}
    stack.control.faults(rule)
    user.spawn()
    (lab,) = nublado.json("labs", user.name, "--state", "failed", "--reason", "422")
    assert "status 422" in lab["reason"]
    user.delete()


def test_drain_and_announcement(nublado: Commands, user: User) -> None:
    assert nublado("drain", "Moving house.", "--for", "2h").exit_code == 0
    assert nublado("announce", "Cake at noon.").exit_code == 0
    refused = user.create()
    assert refused.status_code == 503
    assert refused.json()["detail"][0]["msg"] == "Moving house."
    told = nublado("status").output
    assert "Moving house." in told
    assert "Cake at noon." in told
    assert nublado.json("status")["notices"]["drain"]["by"] == "admin"
    assert nublado("undrain").exit_code == 0
    assert nublado("announce", "--end").exit_code == 0
    user.spawn()
    user.delete()


def test_more_is_logged_for_a_time(nublado: Commands) -> None:
    usual = nublado.json("log-level")
    assert usual["until"] is None
    chosen = nublado.json("log-level", "debug", "--for", "90m")
    assert chosen["level"] == "DEBUG"
    until = datetime.fromisoformat(chosen["until"])
    assert timedelta(minutes=80) < until - datetime.now(UTC) <= timedelta(minutes=90)
    assert nublado("log-level").output == "Logged from DEBUG on, for another 1 h.\n"
    assert "as usual" in nublado("log-level", "--reset").output
    assert nublado.json("log-level") == usual


def test_images_are_listed_when_somebody_wants_it(nublado: Commands) -> None:
    before = nublado.json("refresh")["last_success"]
    wait_for(lambda: nublado.json("refresh")["last_success"] > before)
    shown = nublado("refresh").output
    assert shown.startswith("Images and nodes are being listed.\nLast listed ")


def test_failures_to_list_images_are_told(stack: Stack, nublado: Commands) -> None:
    stack.control.faults({"target": "registry", "status": 503})
    wait_for(lambda: "It has failed" in nublado("refresh").output)
    assert nublado.json("refresh")["error"]
    stack.control("DELETE", "/faults")
    wait_for(lambda: not nublado.json("refresh")["failures"])


def test_what_nodes_lack_is_pulled_and_shown(own_stack: Stack) -> None:
    nublado = Commands(own_stack)
    wait_for(lambda: nublado.json("prepull") == [])
    assert nublado("prepull").output == "All nodes have all images.\n"
    own_stack.control.settings(pull_seconds=SECONDS)
    own_stack.control("POST", "/nodes", {"name": "late"})
    wait_for(lambda: nublado.json("refresh") and nublado.json("prepull"))
    (image, *_) = nublado.json("prepull")
    assert image["missing"] == ["late"]
    table = nublado("prepull").output.splitlines()
    assert table[1].split() == ["IMAGE", "NODES", "MISSING", "ON"]
    assert table[2].endswith("late")


def test_what_users_are_told_is_json_for_programs(nublado: Commands) -> None:
    drained = nublado.json("drain", "Moving house.", "--for", "2h")["drain"]
    assert (drained["message"], drained["by"]) == ("Moving house.", "admin")
    told = nublado.json("announce", "Cake at noon.")
    assert told["drain"] == drained
    assert told["announcement"]["message"] == "Cake at noon."
    assert nublado.json("undrain")["drain"] is None
    assert nublado.json("announce", "--end") == {"drain": None, "announcement": None}


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["drain", " "], "Must say something"),
        (["drain", "x", "--until", "2020-01-01T00:00Z"], "Is over already"),
        (["drain", "x", "--for", "2h", "--until", "2100-01-01"], "either --for or"),
        (["drain", "x", "--for", "soon"], "must be seconds or a duration"),
        (["log-level", "loud"], "'loud' is not one of"),
        (["log-level", "--for", "1h"], "--for needs a level"),
        (["log-level", "debug", "--for", "2d"], "less than or equal to 86400"),
        (["log-level", "debug", "--reset"], "either a level or --reset"),
        (["announce"], "either a message or --end"),
        (["status", "--url", "data.example.org"], "must begin with https://"),
        (["status", "--url", "http://127.0.0.1:1/n"], "Connection refused"),
        (["status", "--port-forward", "nublado"], "NAMESPACE/DEPLOYMENT"),
        (["delete", "NoBody", "--yes"], "Unknown user"),
    ],
)
def test_what_cannot_work_is_told_in_words(
    nublado: Commands, arguments: list[str], problem: str
) -> None:
    result = nublado(*arguments)
    assert result.exit_code in (1, 2)
    assert problem in result.output
    assert "Traceback" not in result.output


def test_those_who_may_not_are_told_what_is_missing(stack: Stack) -> None:
    for username, problem in (("rachel", "does not allow"), ("", "asks to log in")):
        result = Commands(stack, username)("labs")
        assert result.exit_code == 1
        assert problem in result.output
        assert "exec:admin" in result.output


def test_service_is_reached_through_kubectl(
    stack: Stack, user: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever forwards the port has gone when the command has ended."""
    ended = tmp_path / "ended"
    kubectl = tmp_path / "kubectl"
    kubectl.write_text(
        _KUBECTL.format(
            python=sys.executable, port=stack.service.port, ended=str(ended)
        )
    )
    kubectl.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("LOGNAME", "operator-at-night")
    user.spawn()
    arguments = ["delete", user.name, "--yes", "--port-forward", "nublado/nublado"]
    result = CliRunner().invoke(main, [*arguments, "--context", "far"])
    assert result.exit_code == 0, result.output
    assert user.state().status_code == 404
    assert ended.read_text() == "ended"


def test_kubectl_that_fails_is_quoted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kubectl = tmp_path / "kubectl"
    kubectl.write_text("#!/bin/sh\necho 'error: no such namespace' >&2\nexit 1\n")
    kubectl.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    result = CliRunner().invoke(main, ["status", "--port-forward", "a/b"])
    assert result.exit_code == 1
    assert "no such namespace" in result.output
