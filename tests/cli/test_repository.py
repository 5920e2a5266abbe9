"""Repositories as a whole: the commands of ``nublado images``."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from nublado.cli import main
from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.cluster import Sandbox
from nublado.sandbox.tags import digest_of
from tests.cluster import Cluster

_DOCKER = {
    "type": "docker",
    "registry": "registry.example.org",
    "repository": "sciplat/lab",
}
_GOOGLE = {
    "type": "google",
    "location": "us-central1",
    "projectId": "rubin",
    "repository": "sciplat",
    "image": "lab",
}
_TAGS = {
    "w_2026_45": "45",
    "w_2026_45-arm64": "45a",
    "w_2026_44": "44",
    "w_2026_43": "43",
    "w_2026_43_x": "43",
    "w_2026_42": "42",
    "w_2026_42-arm64": "42a",
    "recommended": "44",
    "d_2026_11_09": "9",
    "mine": "mine",
}


class Place:
    """A repository, and the file that names it."""

    def __init__(self, cluster: Cluster, source: dict[str, str], file: Path) -> None:
        self.cluster = cluster
        self.file = file
        self.host = source.get("registry", "us-central1-docker.pkg.dev")
        self.name = "sciplat/lab" if "registry" in source else "rubin/sciplat/lab"
        self.source = source
        self.environ = {"NUBLADO_REGISTRY_MIRRORS": f"{self.host}={cluster.registry}"}
        tags = {tag: digest_of(digest) for tag, digest in _TAGS.items()}
        cluster.call(
            lambda sandbox: sandbox.registry.repositories.update({self.name: tags})
        )
        self.configure(prune={"weekly": {"number": 1}})

    def configure(self, **keys: Any) -> None:
        self.file.write_text(yaml.safe_dump({"source": self.source, **keys}))

    def left(self) -> set[str]:
        left: set[str] = self.cluster.call(
            lambda sandbox: set(sandbox.registry.repositories[self.name])
        )
        return left

    def run(self, command: str, *arguments: str, **environ: str) -> tuple[int, str]:
        result = CliRunner().invoke(
            main,
            ["images", command, "-c", str(self.file), *arguments],
            env={**self.environ, **environ},
        )
        return result.exit_code, result.output


@pytest.fixture(params=["docker", "google"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    source = _DOCKER if request.param == "docker" else _GOOGLE
    with Cluster() as cluster:
        yield Place(cluster, source, tmp_path / "registry.yaml")


@pytest.fixture
def docker(tmp_path: Path) -> Iterator[Place]:
    with Cluster() as cluster:
        yield Place(cluster, _DOCKER, tmp_path / "registry.yaml")


def test_list_in_the_order_of_the_menu(place: Place) -> None:
    code, output = place.run("list")
    assert code == 0, output
    assert output.splitlines() == [
        "w_2026_45",
        "w_2026_45-arm64",
        "w_2026_44",
        "w_2026_43_x",
        "w_2026_43",
        "w_2026_42",
        "w_2026_42-arm64",
        "d_2026_11_09",
        "recommended",
        "mine",
    ]


_WOULD = """\
Would delete images:
  w_2026_43_x w_2026_43
  w_2026_42
  w_2026_42-arm64
"""


@pytest.mark.parametrize("arguments", [(), ("-n",), ("--dry-run",)])
def test_prune_shows_first(place: Place, arguments: tuple[str, ...]) -> None:
    code, output = place.run("prune", *arguments)
    assert code == 0, output
    assert output.endswith(_WOULD)
    assert "w_2026_44: it is also recommended" in output
    assert place.left() == set(_TAGS)


def test_prune_deletes_when_told(place: Place) -> None:
    code, output = place.run("prune", "--yes")
    assert code == 0, output
    assert output.endswith(_WOULD.replace("Would delete", "Deleted"))
    gone = {"w_2026_43", "w_2026_43_x", "w_2026_42", "w_2026_42-arm64"}
    assert place.left() == set(_TAGS) - gone
    assert place.run("prune", "--yes")[1].endswith("Nothing to delete.\n")


def test_prune_needs_to_be_told_what_to_keep(docker: Place) -> None:
    docker.configure()
    code, output = docker.run("prune", "--yes")
    assert (code, "NUBLADO_PRUNE" in output) == (2, True)
    assert docker.left() == set(_TAGS)
    assert docker.run("prune", "--yes", "-n")[0] == 2


def test_prune_keeps_what_labs_run(docker: Place, tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    _write_kubeconfig(docker.cluster.url, kubeconfig)
    reference = f"registry.example.org/sciplat/lab:w_2026_42@{digest_of('42')}"
    for name, image, category in (
        ("rachel-nb", reference, "lab"),
        ("ribbon-nb", "registry.example.org/sciplat/lab:w_2026_43", "lab"),
        ("other", "example.org/x", "prepuller"),
    ):
        pod = {
            "metadata": {
                "name": name,
                "labels": {"nublado.lsst.io/category": category},
            },
            "spec": {"containers": [{"name": "notebook", "image": image}]},
        }
        docker.cluster.call(partial(_create_pod, pod=pod))
    code, output = docker.run("prune", "--kubeconfig", str(kubeconfig), "--yes")
    assert code == 0, output
    assert output.endswith("Nothing to delete.\n")
    assert "w_2026_42: a lab is running it" in output
    assert "w_2026_43_x: a lab is running it" in output
    assert "w_2026_42-arm64: it may be a part of w_2026_42" in output
    assert docker.left() == set(_TAGS)


def test_prune_deletes_nothing_if_labs_cannot_be_read(
    docker: Place, tmp_path: Path
) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    _write_kubeconfig(docker.cluster.url, kubeconfig)
    docker.cluster.control.faults(
        {"method": "GET", "path": "/pods", "status": 403, "body": "no"}
    )
    code, output = docker.run("prune", "--kubeconfig", str(kubeconfig), "--yes")
    assert (code, "403" in output) == (1, True), output
    assert docker.left() == set(_TAGS)


def _create_pod(sandbox: Sandbox, pod: JSON) -> None:
    sandbox.store.create("Pod", pod, "default")


def _write_kubeconfig(url: str, file: Path) -> None:
    context = {"cluster": "sandbox", "user": "sandbox"}
    file.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "sandbox",
                "clusters": [{"name": "sandbox", "cluster": {"server": url}}],
                "users": [{"name": "sandbox", "user": {}}],
                "contexts": [{"name": "sandbox", "context": context}],
            }
        )
    )


@pytest.mark.parametrize("answer", ["y", "n"])
def test_prune_asks_on_a_terminal(docker: Place, answer: str) -> None:
    main_end, child_end = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "nublado", "images", "prune", "-c", str(docker.file)],
        stdin=child_end,
        stdout=child_end,
        stderr=child_end,
        env={**os.environ, **docker.environ},
    )
    os.close(child_end)
    seen = b""
    while b"[y/N]" not in seen:
        assert select.select([main_end], [], [], 60)[0], seen
        seen += os.read(main_end, 4096)
    assert b"Would delete images" in seen
    assert docker.left() == set(_TAGS)
    os.write(main_end, f"{answer}\n".encode())
    assert process.wait(60) == (answer == "n")
    os.close(main_end)
    assert ("w_2026_43" in docker.left()) is (answer == "n")


def test_delete_takes_other_tags_along(place: Place) -> None:
    code, output = place.run("delete", "w_2026_43", "mine")
    assert (code, output) == (
        0,
        "Would delete images:\n  w_2026_43_x w_2026_43\n  mine\n",
    )
    assert place.left() == set(_TAGS)
    code, output = place.run("delete", "w_2026_43", "mine", "--yes")
    assert code == 0, output
    assert place.left() == set(_TAGS) - {"w_2026_43", "w_2026_43_x", "mine"}


@pytest.mark.parametrize(
    ("tag", "reason"),
    [
        ("w_2026_44", "it is also recommended"),
        ("w_2026_45-arm64", "it may be a part of w_2026_45"),
        ("w_1999_01", "no such tag"),
    ],
)
def test_delete_refuses_all_rather_than_doing_a_part(
    docker: Place, tag: str, reason: str
) -> None:
    code, output = docker.run("delete", "w_2026_42", tag, "--yes")
    assert (code, reason in output) == (1, True), output
    assert docker.left() == set(_TAGS)


def test_variables_override_the_file(docker: Place) -> None:
    code, output = docker.run(
        "prune", NUBLADO_PRUNE='{"daily": {"cutoffDate": "2026-11-10"}}'
    )
    assert (code, output) == (0, "Would delete images:\n  d_2026_11_09\n")
    result = CliRunner().invoke(
        main,
        ["images", "list"],
        env={**docker.environ, "NUBLADO_SOURCE": yaml.safe_dump(_DOCKER)},
    )
    assert result.exit_code == 0, result.output
    assert "w_2026_45" in result.output


@pytest.mark.parametrize(
    ("keys", "environ", "expected"),
    [
        (
            {"prune": {"weekly": {"cutoffVersion": "1.0.0"}}},
            {},
            "prune.weekly.cutoffVersion: is for releases",
        ),
        ({"prunes": {}}, {}, 'did you mean "prune"?'),
        (
            {},
            {"NUBLADO_PRUNE": "weekly: {number: -1}"},
            "NUBLADO_PRUNE.weekly.number: must be",
        ),
        ({}, {"NUBLADO_PRUNE": "{"}, "NUBLADO_PRUNE: is not valid YAML"),
        ({"source": {"type": "docker"}}, {}, "source.repository: is required"),
        ({"logLevel": "loud"}, {}, "logLevel: must be one of"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(
    docker: Place, keys: dict[str, Any], environ: dict[str, str], expected: str
) -> None:
    docker.configure(**keys)
    code, output = docker.run("prune", "--yes", **environ)
    assert (code, expected in output) == (1, True), output
    assert docker.left() == set(_TAGS)


def test_nothing_names_a_repository() -> None:
    result = CliRunner().invoke(main, ["images", "list"])
    assert result.exit_code == 1
    assert "environment:1: source: is required, and missing" in result.output


def test_options_of_the_group_do_not_mix_with_commands(docker: Place) -> None:
    result = CliRunner().invoke(
        main, ["images", "--config", str(docker.file), "prune", "--yes"]
    )
    assert (result.exit_code, "after prune" in result.output) == (2, True)
    result = CliRunner().invoke(main, ["images"])
    assert (result.exit_code, "--config" in result.output) == (2, True)
