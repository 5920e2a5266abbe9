"""The API server as ``kubectl`` sees it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nublado.models.domain.kubernetes import JSON
from tests.sandbox.kubernetes.conftest import RunningApi

KUBECTL = shutil.which("kubectl")

pytestmark = pytest.mark.skipif(KUBECTL is None, reason="kubectl is not on PATH")

Run = Callable[..., str]
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(kubeconfig: Path, tmp_path: Path) -> Iterator[Start]:
    """Start ``kubectl``."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [str(KUBECTL), *arguments],
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(tmp_path),
                "KUBECONFIG": str(kubeconfig),
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def kubectl(start: Start) -> Run:
    """Run ``kubectl`` to its end and return what it says."""

    def run(*arguments: str, stdin: JSON | None = None, fails: bool = False) -> str:
        process = start(*arguments)
        text = None if stdin is None else json.dumps(stdin)
        output, _ = process.communicate(text, timeout=30)
        assert (process.returncode != 0) is fails, output
        return output

    return run


@pytest.fixture
def running_pod(api: RunningApi, pod: JSON) -> JSON:
    """A pod that runs on a node, with an event."""
    pod["spec"]["nodeName"] = "node-1"
    created = api.do(lambda store: store.create("Pod", pod, "lab"))
    status = {
        "phase": "Running",
        "podIP": "10.0.0.9",
        "conditions": [{"type": "Ready", "status": "True"}],
        "containerStatuses": [
            {
                "name": "notebook",
                "ready": True,
                "restartCount": 2,
                "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
            }
        ],
    }
    api.do(lambda s: s.mutate("Pod", "lab", "nb", lambda o: o | {"status": status}))
    event = {
        "metadata": {"name": "nb.1"},
        "involvedObject": {
            "apiVersion": "v1",
            "kind": "Pod",
            "name": "nb",
            "namespace": "lab",
            "uid": created["metadata"]["uid"],
        },
        "reason": "Pulled",
        "message": "Image pulled at last",
        "type": "Normal",
    }
    api.do(lambda store: store.create("Event", event, "lab"))
    return created


@pytest.mark.usefixtures("running_pod")
def test_get(kubectl: Run) -> None:
    header, row = kubectl("get", "pods").splitlines()
    assert header.split() == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert row.split()[:4] == ["nb", "1/1", "Running", "2"]
    _, row = kubectl("get", "po", "nb", "-o", "wide").splitlines()
    assert row.split()[5:7] == ["10.0.0.9", "node-1"]
    names = kubectl("get", "all", "-A", "-o", "name").split()
    assert names == ["pod/nb"]


def test_get_of_what_is_not_there(kubectl: Run) -> None:
    assert "No resources found in lab namespace" in kubectl("get", "pods")
    said = kubectl("get", "pod", "none", fails=True)
    assert 'Error from server (NotFound): pods "none" not found' in said


@pytest.mark.usefixtures("running_pod")
def test_describe_shows_events(kubectl: Run) -> None:
    said = kubectl("describe", "pod", "nb")
    assert "Image pulled at last" in said
    assert "registry.example/lab:w1" in said
    assert "Image pulled at last" in kubectl("events", "--for", "pod/nb")


def test_apply_creates_and_changes(api: RunningApi, kubectl: Run, pod: JSON) -> None:
    assert kubectl("apply", "-f", "-", stdin=pod).strip() == "pod/nb created"
    pod["metadata"]["labels"] = {"app": "changed"}
    said = kubectl("apply", "-f", "-", "--dry-run=server", stdin=pod)
    assert said.strip() == "pod/nb configured (server dry run)"
    assert kubectl("apply", "-f", "-", stdin=pod).strip() == "pod/nb configured"
    labels = api.do(lambda s: s.get("Pod", "lab", "nb"))["metadata"]["labels"]
    assert labels == {"app": "changed"}


def test_apply_on_the_server(api: RunningApi, kubectl: Run) -> None:
    head = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cm"}}
    for data in ({"a": "1", "b": "2"}, {"b": "3"}):
        kubectl("apply", "--server-side", "-f", "-", stdin=head | {"data": data})
    assert api.do(lambda s: s.get("ConfigMap", "lab", "cm"))["data"] == {"b": "3"}


def test_apply_of_something_invalid_says_why(kubectl: Run, pod: JSON) -> None:
    pod["spec"]["containers"][0]["name"] = "Not a name"
    said = kubectl("apply", "-f", "-", stdin=pod, fails=True)
    assert 'The Pod "nb" is invalid' in said
    assert "spec.containers[0].name" in said


def test_label_annotate_and_taint(api: RunningApi, kubectl: Run) -> None:
    api.create("Node", "node-1")
    kubectl("label", "node", "node-1", "tier=gpu")
    kubectl("annotate", "node", "node-1", "note=hello")
    kubectl("taint", "node", "node-1", "dedicated=lab:NoSchedule")
    node = api.do(lambda store: store.get("Node", None, "node-1"))
    assert node["metadata"]["labels"] == {"tier": "gpu"}
    assert node["metadata"]["annotations"] == {"note": "hello"}
    taint = {"key": "dedicated", "value": "lab", "effect": "NoSchedule"}
    assert node["spec"]["taints"] == [taint]
    kubectl("taint", "node", "node-1", "dedicated-")
    node = api.do(lambda store: store.get("Node", None, "node-1"))
    assert "taints" not in node["spec"]


def test_delete_waits_until_the_pod_is_gone(
    api: RunningApi, running_pod: JSON, start: Start
) -> None:
    waiting = start("wait", "--for=delete", "pod/nb", "--timeout=20s")
    deleting = start("delete", "pod", "nb")
    uid = running_pod["metadata"]["uid"]

    while api.stats.open_watches < 2 or not _is_going(api):
        assert deleting.poll() is None
    # What the kubelet does once the containers have stopped.
    api.do(lambda store: store.delete("Pod", "lab", "nb", 0, uid=uid))
    for process in (deleting, waiting):
        output, _ = process.communicate(timeout=20)
        assert process.returncode == 0, output


def _is_going(api: RunningApi) -> bool:
    pod = api.do(lambda store: store.get("Pod", "lab", "nb"))
    return "deletionTimestamp" in pod["metadata"]


def test_wait_for_a_condition(api: RunningApi, pod: JSON, start: Start) -> None:
    api.do(lambda store: store.create("Pod", pod, "lab"))
    waiting = start("wait", "--for=condition=Ready", "pod/nb", "--timeout=20s")
    while not api.stats.open_watches:
        assert waiting.poll() is None
    conditions = [{"type": "Ready", "status": "True"}]

    def ready(obj: JSON) -> None:
        obj["status"]["conditions"] = conditions

    api.do(lambda store: store.mutate("Pod", "lab", "nb", ready))
    output, _ = waiting.communicate(timeout=20)
    assert output.strip() == "pod/nb condition met"


def test_get_goes_on_with_watch(api: RunningApi, pod: JSON, start: Start) -> None:
    api.do(lambda store: store.create("Pod", pod, "lab"))
    watching = start("get", "pods", "-w")
    assert watching.stdout is not None
    assert watching.stdout.readline().split()[0] == "NAME"
    assert watching.stdout.readline().split()[:3] == ["nb", "0/1", "Pending"]
    while not api.stats.open_watches:
        assert watching.poll() is None
    bound = api.do(lambda store: store.delete("Pod", "lab", "nb"))
    assert bound["metadata"]["name"] == "nb"
    assert watching.stdout.readline().split()[:3] == ["nb", "0/1", "Terminating"]


@pytest.mark.usefixtures("running_pod")
def test_exec_needs_containers_that_run(kubectl: Run) -> None:
    assert "--run-labs" in kubectl("exec", "nb", "--", "ls", fails=True)
    assert "not valid" in kubectl("exec", "nb", "-c", "x", "--", "ls", fails=True)


def test_api_resources(kubectl: Run) -> None:
    rows = {line.split()[0]: line for line in kubectl("api-resources").splitlines()}
    assert rows["pods"].split() == ["pods", "po", "v1", "true", "Pod"]
    assert "gafaelfawr.lsst.io/v1alpha1" in rows["gafaelfawringresses"]
