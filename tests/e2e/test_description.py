"""The description of the API: complete, and true of the live service."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from click.testing import CliRunner
from flask import Flask

from nublado.cli import main
from nublado.main import register_routes
from nublado.sandbox.stack import Stack
from tests.e2e.conftest import CONFIG
from tests.e2e.users import SECONDS

_DATA = CONFIG.parent.parent
_INSTANTLY = {
    "pull_seconds": 0.01,
    "init_seconds": 0.0,
    "start_delay": 0.0,
    "termination_delay": 0.0,
    "namespace_delay": 0.0,
    "service_account_delay": 0.0,
}


def test_every_route_is_described() -> None:
    app = Flask("nublado", static_folder=None)
    register_routes(app, "/nublado", "/files")
    result = CliRunner().invoke(main, ["openapi"])
    assert result.exit_code == 0
    document = json.loads(result.output)
    described = {
        (path, method.upper())
        for path, methods in document["paths"].items()
        for method in methods
    }
    routes = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method)
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    no_part_of_the_api = {
        ("/files/_again", "POST"),
        ("/files/{_path}", "GET"),
        ("/nublado/spawner/v1/labs/{username}/cancel", "POST"),
        ("/nublado/admin/actions/{action}", "POST"),
        ("/nublado/admin/users/{username}/{action}", "POST"),
    }
    assert routes - described == no_part_of_the_api
    operations = [o for m in document["paths"].values() for o in m.values()]
    assert len({o["operationId"] for o in operations}) == len(operations)
    assert all(o["summary"] for o in operations)


def test_document_is_the_same_everywhere(stack: Stack) -> None:
    served = requests.get(f"{stack.api_url}/openapi.json", timeout=SECONDS)
    assert served.status_code == 200
    result = CliRunner().invoke(main, ["openapi", "--config", str(CONFIG)])
    assert json.loads(result.output) == served.json()


@pytest.mark.timeout(1200)
def test_schemathesis_finds_nothing(tmp_path: Path) -> None:
    with (
        (tmp_path / "service.log").open("w+") as log,
        Stack(
            CONFIG.parent / "files.yaml", "--settings", json.dumps(_INSTANTLY), log=log
        ) as stack,
    ):
        # All checks are on unless the configuration says why not.
        command = [sys.executable, "-m", "schemathesis.cli"]
        command += ["--config-file", str(_DATA / "schemathesis.toml"), "run"]
        command += [f"{stack.api_url}/openapi.json", "--url", stack.service.url]
        command += ["--seed", "1"]
        result = subprocess.run(
            command,
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**os.environ, "NO_COLOR": "1"},
            timeout=1100,
            check=False,
        )
    print(result.stdout)
    assert result.returncode == 0, result.stdout + result.stderr
    selected = re.search(r"Selected: (\d+)/(\d+)", result.stdout)
    assert selected is not None
    assert int(selected[1]) == int(selected[2]) > 40
