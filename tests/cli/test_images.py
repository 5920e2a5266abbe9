from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner

from nublado.cli import main
from nublado.sandbox.cluster import Sandbox
from nublado.sandbox.registry_modes import MODES
from tests.cluster import CONFIG, Cluster


@pytest.fixture
def registry() -> Iterator[str]:
    with Cluster() as cluster:
        yield cluster.registry


def run(registry: str, *arguments: str) -> tuple[int, str, str]:
    environ = {"NUBLADO_REGISTRY_MIRRORS": f"registry.example.org={registry}"}
    result = CliRunner().invoke(main, [*arguments], env=environ)
    return result.exit_code, result.stdout, result.stderr


def test_images_of_a_source(registry: str) -> None:
    code, output, _ = run(registry, "images", "--config", str(CONFIG), "--json")
    assert code == 0
    shown = json.loads(output)
    assert shown["menu"][0]["tag"] == "recommended"
    recommended = shown["recommended"]
    with_digest = f"{recommended['reference']}@{recommended['digest']}"
    assert shown["menu"][0]["reference"] == with_digest
    prepulled = {image["tag"] for image in shown["prepull"]}
    assert {image["tag"] for image in shown["menu"][1:]} <= prepulled
    assert len(shown["all"]) > len(shown["prepull"]) > 1
    assert shown["source"]["pages"] == 1
    assert set(shown["source"]["digests"].values()) == {"HEAD"}


def test_images_for_people(registry: str) -> None:
    code, output, _ = run(registry, "images", "--config", str(CONFIG))
    assert code == 0
    lines = output.splitlines()
    assert lines[0] == "How the source was read:"
    assert lines[1] == f"  registry: {registry}, anonymously"
    assert lines[2] == "  tags: 64, pages: 1"
    assert lines[3].startswith("  digests from HEAD: ")
    assert "Would be prepulled:" in lines
    assert lines[lines.index("The menu would show:") + 1].endswith("(recommended)")


def test_images_of_registries_in_the_field(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    credentials = tmp_path / "credentials.json"
    source = f"type: docker\n    credentialsPath: {credentials}"
    config.write_text(CONFIG.read_text().replace("type: docker", source, 1))
    with Cluster() as cluster:
        host = cluster.registry.removeprefix("http://")
        auth = base64.b64encode(b"puller:sandbox").decode()
        auths = {host: {"auth": "bad"}, f"{host}/sciplat": {"auth": auth}}
        credentials.write_text(json.dumps({"auths": auths}))
        for name, mode in MODES.items():
            cluster.call(partial(_be, mode=name))
            path = "/mirror" if name == "mirror" else ""
            code, output, _ = run(
                cluster.registry + path, "images", "--config", str(config)
            )
            assert code == 0, name
            lines = output.splitlines()
            how = "anonymously"
            if mode.auth in ("basic", "bearer"):
                how = f"with {host}/sciplat"
            assert lines[1].startswith(f"  unusable credentials: {host} has"), name
            assert lines[2] == f"  registry: {cluster.registry}{path}, {how}"
            pages = -(-64 // mode.page) if mode.page else 1
            assert lines[3] == f"  tags: 64, pages: {pages}", name
            method = "HEAD" if "HEAD" in mode.digest_in else "the manifest itself"
            assert lines[4].startswith(f"  digests from {method}: "), name


def _be(sandbox: Sandbox, mode: str) -> None:
    sandbox.registry.mode = mode


def test_a_source_that_is_away() -> None:
    code, output, error = run(
        "http://127.0.0.1:9", "images", "--config", str(CONFIG), "--json"
    )
    assert code == 1
    assert output == ""
    assert "registry.example.org/sciplat/lab" in error


def test_a_lab_with_an_image_of_the_source(registry: str, tmp_path: Path) -> None:
    user = tmp_path / "user.json"
    user.write_text('{"username": "rachel", "uid": 1, "gid": 1}')
    spec = tmp_path / "spec.json"
    env = {"JUPYTERHUB_SERVICE_PREFIX": "/nb/user/rachel/"}
    options = {"image_class": "recommended", "size": "small"}
    spec.write_text(json.dumps({"options": options, "env": env}))
    code, output, _ = run(
        registry,
        "render",
        "--json",
        *("--config", str(CONFIG)),
        *("--user", str(user)),
        *("--spec", str(spec)),
    )
    assert code == 0
    image = json.loads(output)[-1]["spec"]["containers"][0]["image"]
    assert image.startswith("registry.example.org/sciplat/lab:recommended@sha256:")
