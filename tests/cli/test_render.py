from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from nublado.cli import main

CONFIGS = Path(__file__).parents[1] / "data" / "configs"
IMAGE = f"registry.example.org/sciplat/lab:w_2026_45@sha256:{'a' * 64}"
USER = {
    "username": "rachel",
    "name": "Rachel",
    "uid": 1101,
    "gid": 1101,
    "groups": [{"name": "rachel", "id": 1101}],
}
SPECIFICATION = {
    "options": {"image_class": "recommended", "size": "small"},
    "env": {"JUPYTERHUB_SERVICE_PREFIX": "/nb/user/rachel/"},
}
SECRETS = {
    "nublado-lab-secret": {"postgres-credentials.txt": "psql"},
    "pull-secret": {".dockerconfigjson": "{}"},
}


class Inputs:
    """Input files, and the command that reads them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.user = self.write("user.json", USER)
        self.spec = self.write("spec.json", SPECIFICATION)
        self.secrets = self.write("secrets.json", SECRETS)

    def write(self, name: str, data: Any) -> str:
        path = self.directory / name
        path.write_text(data if isinstance(data, str) else json.dumps(data))
        return str(path)

    def render(self, *arguments: str, config: str = "e2e.yaml") -> Result:
        files = ["--config", str(CONFIGS / config), "--user", self.user]
        return CliRunner().invoke(main, ["render", *files, *arguments])

    def lab(self, *arguments: str) -> Result:
        given = ["--spec", self.spec, "--image", IMAGE, "--secrets", self.secrets]
        return self.render(*given, *arguments)


@pytest.fixture
def inputs(tmp_path: Path) -> Inputs:
    return Inputs(tmp_path)


def test_a_lab_as_yaml_and_as_json(inputs: Inputs) -> None:
    as_json = inputs.lab("--json")
    assert as_json.exit_code == 0, as_json.output
    objects = json.loads(as_json.stdout)
    kinds = [obj["kind"] for obj in objects]
    assert kinds[:3] == ["Namespace", "Secret", "ConfigMap"]
    assert kinds[-1] == "Pod"
    assert objects[-1]["spec"]["containers"][0]["image"] == IMAGE
    secret = objects[1]["data"]["postgres-credentials.txt"]
    assert base64.b64decode(secret) == b"psql"
    as_yaml = inputs.lab()
    assert list(yaml.safe_load_all(as_yaml.stdout)) == objects


def test_secrets_that_are_not_given_are_placeholders(inputs: Inputs) -> None:
    arguments = ("--spec", inputs.spec, "--image", IMAGE, "--json")
    result = inputs.render(*arguments, "--with-secrets")
    assert result.exit_code == 0
    assert "nublado-lab-secret is a placeholder" in result.stderr
    assert "Secret" in [obj["kind"] for obj in json.loads(result.stdout)]


def test_secrets_are_left_out_by_default(inputs: Inputs) -> None:
    arguments = ("--spec", inputs.spec, "--image", IMAGE, "--json")
    result = inputs.render(*arguments)
    assert result.exit_code == 0
    assert result.stderr == ""
    kinds = [obj["kind"] for obj in json.loads(result.stdout)]
    assert "Secret" not in kinds
    assert kinds[0] == "Namespace"
    assert kinds[-1] == "Pod"


def test_image_that_the_environment_does_not_name_is_noted(
    inputs: Inputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NUBLADO_CONTROLLER_REPOSITORY", raising=False)
    arguments = ("--spec", inputs.spec, "--image", IMAGE, "--json")
    result = inputs.render(*arguments, config="new-style.yaml")
    assert result.exit_code == 0, result.output
    assert "Note: NUBLADO_CONTROLLER_REPOSITORY: is not set" in result.stderr
    init = json.loads(result.stdout)[-1]["spec"]["initContainers"]
    assert init[0]["image"] == "ghcr.io/lsst-sqre/nublado:11.0.0"


def test_a_file_server(inputs: Inputs) -> None:
    result = inputs.render("--kind", "fileserver", "--json", config="files.yaml")
    assert result.exit_code == 0
    kinds = [obj["kind"] for obj in json.loads(result.stdout)]
    assert kinds[-3:] == ["GafaelfawrIngress", "Service", "Job"]
    refused = inputs.render("--kind", "fileserver")
    assert refused.exit_code == 1
    assert "no fileserver" in refused.output


@pytest.mark.parametrize(
    ("file", "data", "message"),
    [
        ("user", "{", "user.json:1: not valid JSON"),
        ("user", {"username": "rachel"}, "uid"),
        (
            "spec",
            {**SPECIFICATION, "options": {"size": "vast"}},
            "body.options.size: Must be one of",
        ),
        ("secrets", {"nublado-lab-secret": {}}, "no key postgres-credentials.txt"),
        ("secrets", ["x"], "must be an object of secrets"),
        (
            "user",
            {**USER, "quota": {"notebook": {"cpu": 0.5, "memory": 1}}},
            "Insufficient quota",
        ),
    ],
)
def test_what_is_wrong_is_named(
    inputs: Inputs, file: str, data: Any, message: str
) -> None:
    setattr(inputs, file, inputs.write(f"{file}.json", data))
    result = inputs.lab()
    assert result.exit_code == 1
    assert result.stdout == ""
    assert message in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "A lab needs --spec"),
        (["--spec", "missing.json"], "does not exist"),
        (["--kind", "house"], "'house' is not one of"),
    ],
)
def test_misuse_is_told_from_mistakes(
    inputs: Inputs, arguments: list[str], message: str
) -> None:
    result = inputs.render(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ("example.org/lab:w_2026_45", "both a tag and a digest"),
        (f"example.org/lab@sha256:{'a' * 64}", "both a tag and a digest"),
        ("lab", "--image: "),
    ],
)
def test_an_image_needs_tag_and_digest(
    inputs: Inputs, image: str, message: str
) -> None:
    result = inputs.render("--spec", inputs.spec, "--image", image)
    assert result.exit_code == 2
    assert message in result.stderr


def test_completion_knows_all_commands() -> None:
    for shell in ("bash", "zsh", "fish"):
        result = CliRunner().invoke(main, ["completion", shell])
        assert result.exit_code == 0
        assert "_NUBLADO_COMPLETE" in result.output
    environ = {"_NUBLADO_COMPLETE": "bash_complete", "COMP_WORDS": "nublado re"}
    result = CliRunner().invoke(
        main, prog_name="nublado", env={**environ, "COMP_CWORD": "1"}
    )
    assert "render" in result.output
