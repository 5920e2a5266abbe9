"""What clients notice of the release of Kubernetes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from click.testing import CliRunner

from nublado.cli import main
from tests.sandbox.conftest import CONTAINER, Cluster

INIT = {**CONTAINER, "name": "init", "command": ["/bin/true"]}


@pytest.mark.parametrize(
    ("release", "created", "started"),
    [
        ("1.34", "Created container: {}", "Started container {}"),
        ("1.36", "Container created", "Container started"),
    ],
)
def test_events_of_containers(
    start: Callable[..., Cluster], release: str, created: str, started: str
) -> None:
    cluster = start(kubernetes=release)
    cluster.lab_namespace()
    cluster.running_pod(initContainers=[INIT])
    cluster.until(lambda: len(cluster.events("Started")) == 2)
    for reason, text in (("Created", created), ("Started", started)):
        seen = {
            event["involvedObject"]["fieldPath"]: event["message"]
            for event in cluster.events(reason)
        }
        assert seen == {
            "spec.initContainers{init}": text.format("init"),
            "spec.containers{notebook}": text.format("notebook"),
        }
    paths = {e["involvedObject"]["fieldPath"] for e in cluster.events("Pulled")}
    assert "spec.containers{notebook}" in paths
    assert "fieldPath" not in cluster.events("Scheduled")[0]["involvedObject"]
    assert cluster.get("/version")["minor"] == release.removeprefix("1.")
    node = cluster.get("/api/v1/nodes/node-1")
    version = node["status"]["nodeInfo"]["kubeletVersion"]
    assert version.startswith(f"v{release}.")


def test_newest_is_the_default(cluster: Cluster) -> None:
    assert cluster.get("/version")["gitVersion"].startswith("v1.36.")


@pytest.mark.parametrize(
    ("option", "value", "text"),
    [
        ("--kubernetes", "1.12", "'1.12' is not one of '1.34', '1.36'"),
        ("--faults", '{"rule": []}', "Unknown key rule. Did you mean rules?"),
    ],
)
def test_bad_options_are_explained(option: str, value: str, text: str) -> None:
    outcome = CliRunner().invoke(main, ["sandbox", option, value])
    assert outcome.exit_code == 2
    assert text in outcome.output
