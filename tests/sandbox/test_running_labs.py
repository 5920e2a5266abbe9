"""Labs whose containers are processes, with a small program in place of JupyterLab."""

from __future__ import annotations

import base64
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.cluster import SandboxOptions
from nublado.sandbox.kubernetes.controllers import ClusterSettings
from nublado.sandbox.launch import Control, SandboxProcess, SandboxThread

SECONDS = 60.0
NAMESPACE = "userlabs-rachel"
LABELS = {"nublado.lsst.io/category": "lab", "nublado.lsst.io/user": "rachel"}
PROGRAM = Path(__file__).parent / "lab_program.py"
SETTINGS = ClusterSettings(
    pull_seconds=0.01,
    start_delay=0.01,
    init_seconds=0.01,
    termination_delay=0.01,
    namespace_delay=0.01,
    service_account_delay=0.01,
    pull_backoff=0.1,
)

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux has loopback addresses to spare"
)


class Cluster:
    """Client of a sandbox that runs labs."""

    def __init__(self, kubernetes: str, control: str) -> None:
        self.url = f"{kubernetes}/api/v1"
        self.control = Control(control)

    def create(self, plural: str, obj: JSON, namespace: str | None = NAMESPACE) -> JSON:
        place = f"/namespaces/{namespace}" if namespace else ""
        answer = requests.post(f"{self.url}{place}/{plural}", json=obj, timeout=SECONDS)
        assert answer.status_code == 201, answer.text
        made: JSON = answer.json()
        return made

    def namespace(self, name: str = NAMESPACE) -> None:
        self.create("namespaces", {"metadata": {"name": name}}, None)
        account = f"{self.url}/namespaces/{name}/serviceaccounts/default"
        wait_for(lambda: requests.get(account, timeout=SECONDS).ok)

    def pod(self, namespace: str = NAMESPACE, **spec: Any) -> JSON:
        container = spec.pop("container", {})
        obj = {
            "metadata": {"name": "rachel-nb", "labels": LABELS},
            "spec": {
                "restartPolicy": "OnFailure",
                "containers": [
                    {
                        "name": "notebook",
                        "image": "lab:1",
                        "args": ["/opt/lsst/software/jupyterlab/runlab.sh"],
                        "ports": [{"containerPort": 8888, "name": "jupyterlab"}],
                        **container,
                    }
                ],
                **spec,
            },
        }
        return self.create("pods", obj, namespace)

    def find(self, namespace: str = NAMESPACE) -> JSON | None:
        url = f"{self.url}/namespaces/{namespace}/pods/rachel-nb"
        answer = requests.get(url, timeout=SECONDS)
        return answer.json() if answer.ok else None

    def state(self, namespace: str = NAMESPACE) -> JSON:
        pod = self.find(namespace) or {}
        statuses = pod.get("status", {}).get("containerStatuses") or [{}]
        return statuses[0].get("state", {})  # type: ignore[no-any-return]

    def lab(self, namespace: str = NAMESPACE) -> Lab:
        """Wait until the lab of a pod answers."""
        wait_for(lambda: "running" in self.state(namespace))
        pod = self.find(namespace)
        assert pod is not None
        lab = Lab(pod["status"]["podIP"])
        wait_for(lab.answers)
        return lab

    def delete(self, namespace: str = NAMESPACE, **options: object) -> None:
        url = f"{self.url}/namespaces/{namespace}/pods/rachel-nb"
        answer = requests.delete(url, json=options, timeout=SECONDS)
        assert answer.ok, answer.text

    def log(self, namespace: str = NAMESPACE, **query: Any) -> str:
        answer = self.get_log(namespace, **query)
        assert answer.ok, answer.text
        return answer.content.decode()

    def get_log(
        self, namespace: str = NAMESPACE, *, stream: bool = False, **query: Any
    ) -> requests.Response:
        url = f"{self.url}/namespaces/{namespace}/pods/rachel-nb/log"
        return requests.get(url, params=query, stream=stream, timeout=SECONDS)


class Lab:
    """Asks the program."""

    def __init__(self, address: str) -> None:
        self.address = address

    def __call__(self, path: str, /, **query: object) -> Any:
        url = f"http://{self.address}:8888/{path}"
        return requests.get(url, params=query, timeout=SECONDS).json()  # type: ignore[arg-type]

    def answers(self) -> bool:
        try:
            return bool(self("for_arguments"))
        except requests.RequestException:
            return False


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "condition does not come true"
        time.sleep(0.02)


def is_alive(process: int) -> bool:
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in ("Z", "X")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bin") / "lab-program"
    path.write_text(f"#!{sys.executable}\n{PROGRAM.read_text()}")
    path.chmod(0o755)
    return path


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Where the sandbox has its files."""
    return tmp_path


@pytest.fixture
def cluster(program: Path, directory: Path) -> Iterator[Cluster]:
    options = SandboxOptions(
        settings=replace(SETTINGS), run_labs=program, directory=directory
    )
    sandbox = SandboxThread(options)
    endpoints = sandbox.start()
    cluster = Cluster(endpoints.kubernetes, endpoints.control)
    cluster.namespace()
    yield cluster
    sandbox.stop()
    assert not list(directory.glob("sandbox-labs-*"))


# --- Addresses -----------------------------------------------------------


def test_lab_answers_at_the_address_of_its_pod(cluster: Cluster) -> None:
    cluster.pod()
    lab = cluster.lab()
    assert lab.address.startswith("127.")
    assert lab.address != "127.0.0.1"
    *arguments, _ = lab("for_arguments")
    assert arguments[:2] == [f"--ip={lab.address}", "--port=8888"]
    assert lab("for_environment")["HOSTNAME"] == "rachel-nb"


def test_labs_have_addresses_of_their_own(cluster: Cluster) -> None:
    namespaces = [f"userlabs-{n}" for n in range(5)]
    for namespace in namespaces:
        cluster.namespace(namespace)
        cluster.pod(namespace)
    assert len({cluster.lab(namespace).address for namespace in namespaces}) == 5


def test_names_of_services_are_resolved(cluster: Cluster) -> None:
    ports = [{"port": 8888, "targetPort": 8888}]
    service = {
        "metadata": {"name": "lab"},
        "spec": {"selector": LABELS} | {"ports": ports},
    }
    cluster.create("services", service)
    assert cluster.control("GET", "/hosts") == {}
    cluster.pod()
    lab = cluster.lab()
    assert cluster.control("GET", "/hosts") == {f"lab.{NAMESPACE}": lab.address}
    for suffix in ("", ".svc", ".svc.cluster.local", ".svc.cluster.local."):
        found = cluster.control("GET", f"/hosts/lab.{NAMESPACE}{suffix}")
        assert found == {"address": lab.address}
    with pytest.raises(requests.HTTPError, match="404"):
        cluster.control("GET", "/hosts/lab.userlabs-nobody")
    cluster.delete()
    wait_for(lambda: cluster.find() is None)
    assert cluster.control("GET", "/hosts") == {}


# --- Environment ---------------------------------------------------------


def test_environment_is_what_the_specification_gives(cluster: Cluster) -> None:
    config = {"SIZE": "small", "GREETING": "from the map", "RAW": "$(SIZE)"}
    cluster.create("configmaps", {"metadata": {"name": "env"}, "data": config})
    secret = {"token": base64.b64encode(b"gt-secret").decode()}
    cluster.create("secrets", {"metadata": {"name": "lab"}, "data": secret})
    field = {"valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}
    limit = {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}
    cpu = {"resourceFieldRef": {"resource": "limits.cpu"}}
    missing = {"secretKeyRef": {"name": "none", "key": "x", "optional": True}}
    cluster.pod(
        container={
            "resources": {"limits": {"cpu": "1500m", "memory": "3Gi"}},
            "envFrom": [
                {"configMapRef": {"name": "env"}},
                {"prefix": "P_", "configMapRef": {"name": "env"}},
                {"secretRef": {"name": "none", "optional": True}},
            ],
            "env": [
                {"name": "GREETING", "value": "a $(SIZE) lab, $$(SIZE), $(NONE)"},
                {"name": "AGAIN", "value": "$(GREETING)!"},
                {"name": "EMPTY"},
                {
                    "name": "ACCESS_TOKEN",
                    "valueFrom": {"secretKeyRef": {"name": "lab", "key": "token"}},
                },
                {
                    "name": "FROM_MAP",
                    "valueFrom": {"configMapKeyRef": {"name": "env", "key": "SIZE"}},
                },
                {"name": "NODE", **field},
                {
                    "name": "IP",
                    "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}},
                },
                {
                    "name": "LABEL",
                    "valueFrom": {
                        "fieldRef": {
                            "fieldPath": "metadata.labels['nublado.lsst.io/user']"
                        }
                    },
                },
                {"name": "MEMORY", "valueFrom": limit},
                {"name": "CPU", "valueFrom": cpu},
                {"name": "ABSENT", "valueFrom": missing},
                {
                    "name": "JUPYTERHUB_SERVICE_URL",
                    "value": "http://0.0.0.0:8888/nb/user/rachel/",
                },
            ],
        }
    )
    lab = cluster.lab()
    environment = lab("for_environment")
    added = {"PATH", "LANG", "HOME", "TMPDIR", "SANDBOX_ROOT", "HOSTNAME", "LC_CTYPE"}
    pod = cluster.find()
    assert pod is not None
    assert {k: v for k, v in environment.items() if k not in added} == {
        "SIZE": "small",
        "RAW": "$(SIZE)",
        "P_SIZE": "small",
        "P_GREETING": "from the map",
        "P_RAW": "$(SIZE)",
        "GREETING": "a small lab, $(SIZE), $(NONE)",
        "AGAIN": "a small lab, $(SIZE), $(NONE)!",
        "EMPTY": "",
        "ACCESS_TOKEN": "gt-secret",
        "FROM_MAP": "small",
        "NODE": pod["spec"]["nodeName"],
        "IP": lab.address,
        "LABEL": "rachel",
        "MEMORY": "3072",
        "CPU": "2",
        "JUPYTERHUB_SERVICE_URL": f"http://{lab.address}:8888/nb/user/rachel/",
    }


def test_secrets_are_not_in_the_command_line(cluster: Cluster) -> None:
    cluster.pod(
        container={"env": [{"name": "ACCESS_TOKEN", "value": "gt-very-secret"}]}
    )
    assert cluster.lab()("for_environment")["ACCESS_TOKEN"] == "gt-very-secret"
    for process in Path("/proc").glob("[0-9]*"):
        try:
            assert b"gt-very-secret" not in (process / "cmdline").read_bytes()
        except OSError:
            continue


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (
            {"envFrom": [{"configMapRef": {"name": "late"}}]},
            'configmap "late" not found',
        ),
        ({"envFrom": [{"secretRef": {"name": "late"}}]}, 'secret "late" not found'),
        (
            {
                "env": [
                    {
                        "name": "A",
                        "valueFrom": {"configMapKeyRef": {"name": "early", "key": "b"}},
                    }
                ]
            },
            f"couldn't find key b in ConfigMap {NAMESPACE}/early",
        ),
    ],
)
def test_container_waits_for_what_it_is_to_be_given(
    cluster: Cluster, part: JSON, message: str
) -> None:
    early = {"metadata": {"name": "early"}, "data": {"a": "1"}}
    cluster.create("configmaps", early)
    cluster.pod(container=part)
    wait_for(lambda: cluster.state().get("waiting", {}).get("message") == message)
    assert cluster.state()["waiting"]["reason"] == "CreateContainerConfigError"
    late = {"metadata": {"name": "late"}, "data": {}}
    cluster.create("configmaps", late)
    cluster.create("secrets", late)
    requests.put(
        f"{cluster.url}/namespaces/{NAMESPACE}/configmaps/early",
        json=early | {"data": {"a": "1", "b": "2"}},
        timeout=SECONDS,
    ).raise_for_status()
    cluster.lab()


def test_container_that_cannot_be_made_says_why(
    cluster: Cluster, directory: Path
) -> None:
    (labs,) = directory.glob("sandbox-labs-*")
    (labs / "volumes").touch()
    cluster.pod(**HOME)
    wait_for(lambda: "reason" in cluster.state().get("waiting", {}))
    wait_for(lambda: cluster.state()["waiting"]["reason"] == "CreateContainerError")
    (labs / "volumes").unlink()
    cluster.lab()


# --- Files ---------------------------------------------------------------


def test_volumes_are_where_they_are_mounted(cluster: Cluster) -> None:
    passwd = "root:x:0:0:root:/root:/bin/sh\nrachel:x:1101:1101::/home/rachel:/bin/sh\n"
    nss = {"metadata": {"name": "nss"}, "data": {"passwd": passwd, "group": "g"}}
    cluster.create("configmaps", nss)
    content = {k: base64.b64encode(k.encode()).decode() for k in ("token", "cert.pem")}
    cluster.create("secrets", {"metadata": {"name": "lab"}, "data": content})
    cpu = {"containerName": "notebook", "resource": "limits.cpu"}
    labels = {"fieldPath": "metadata.labels"}
    mounts = "/opt/lsst/software/jupyterlab"
    cluster.pod(
        securityContext={"runAsUser": 1101},
        volumes=[
            {"name": "home", "nfs": {"server": "10.0.0.1", "path": "/share1/home"}},
            {
                "name": "passwd",
                "configMap": {
                    "name": "nss",
                    "items": [{"key": "passwd", "path": "passwd", "mode": 0o600}],
                },
            },
            {"name": "secrets", "secret": {"secretName": "lab", "defaultMode": 0o400}},
            {"name": "tmp", "emptyDir": {}},
            {
                "name": "runtime",
                "downwardAPI": {
                    "items": [
                        {"path": "limits_cpu", "resourceFieldRef": cpu},
                        {"path": "deep/labels", "fieldRef": labels},
                    ]
                },
            },
        ],
        container={
            "workingDir": "/home/rachel",
            "resources": {"limits": {"cpu": "2", "memory": "1Gi"}},
            "env": [{"name": "TMPDIR", "value": "/tmp"}],
            "volumeMounts": [
                {"name": "secrets", "mountPath": f"{mounts}/secrets"},
                {
                    "name": "secrets",
                    "mountPath": f"{mounts}/secrets/nested.pem",
                    "subPath": "cert.pem",
                },
                {"name": "home", "mountPath": "/home"},
                {"name": "passwd", "mountPath": "/etc/passwd", "subPath": "passwd"},
                {"name": "tmp", "mountPath": "/tmp"},
                {"name": "runtime", "mountPath": f"{mounts}/runtime"},
            ],
        },
    )
    lab = cluster.lab()

    def file(path: str) -> Any:
        return lab("for_file", path=path)

    assert file("/etc/passwd") == {"text": passwd, "mode": "0o600"}
    assert file(f"{mounts}/secrets/token") == {"text": "token", "mode": "0o400"}
    assert file(f"{mounts}/secrets/nested.pem")["text"] == "cert.pem"
    assert file(f"{mounts}/runtime/limits_cpu")["text"] == "2"
    assert (
        'nublado.lsst.io/user="rachel"' in file(f"{mounts}/runtime/deep/labels")["text"]
    )
    assert file("/tmp") == []
    environment = lab("for_environment")
    root = Path(environment["SANDBOX_ROOT"])
    assert environment["HOME"] == str((root / "home" / "rachel").resolve())
    assert environment["TMPDIR"] == str(root / "tmp")
    lab("to_write", name="notebook.ipynb", text="{}")
    assert file("/home/rachel") == ["notebook.ipynb"]
    *_, directory = lab("for_arguments")
    assert Path(directory, "notebook.ipynb").exists()


HOME: JSON = {
    "volumes": [{"name": "home", "nfs": {"server": "10.0.0.1", "path": "/home"}}],
    "container": {
        "workingDir": "/home/rachel",
        "volumeMounts": [{"name": "home", "mountPath": "/home"}],
    },
}


def test_home_outlives_the_pod_and_the_rest_goes(
    cluster: Cluster, directory: Path
) -> None:
    cluster.pod(**HOME)
    lab = cluster.lab()
    lab("to_write", name="work.txt", text="kept")
    environment = lab("for_environment")
    scratch = Path(environment["SANDBOX_ROOT"]).parent
    assert scratch.is_relative_to(directory)
    cluster.delete()
    wait_for(lambda: cluster.find() is None and not scratch.exists())
    cluster.pod(**HOME)
    again = cluster.lab()
    assert again("for_file", path="/home/rachel/work.txt")["text"] == "kept"
    assert again("for_environment")["HOME"] == environment["HOME"]
    assert Path(again("for_environment")["SANDBOX_ROOT"]).parent != scratch


# --- Ends ----------------------------------------------------------------


def test_process_ends_with_its_pod_and_with_it_all_that_it_started(
    cluster: Cluster,
) -> None:
    cluster.pod()
    lab = cluster.lab()
    kernel = lab("to_start_another")
    assert is_alive(kernel)
    with cluster.get_log(stream=True, follow="true") as log:
        cluster.delete()
        assert log.text.splitlines()[-1] == "goodbye"
    wait_for(lambda: cluster.find() is None)
    assert not lab.answers()
    assert not is_alive(kernel)


def test_deaf_process_is_killed_after_its_grace_period(cluster: Cluster) -> None:
    cluster.pod(terminationGracePeriodSeconds=1)
    lab = cluster.lab()
    kernel = lab("to_start_another")
    lab("to_be_deaf")
    began = time.monotonic()
    cluster.delete()
    wait_for(lambda: cluster.find() is None)
    assert time.monotonic() - began >= 1
    assert not lab.answers()
    assert not is_alive(kernel)


def test_forced_deletion_and_loss_of_a_node_kill_at_once(cluster: Cluster) -> None:
    cluster.pod()
    lab = cluster.lab()
    kernel = lab("to_start_another")
    lab("to_be_deaf")
    cluster.delete(gracePeriodSeconds=0)
    wait_for(lambda: not lab.answers() and not is_alive(kernel))
    pod = cluster.pod()
    lab = cluster.lab()
    pod = cluster.find() or pod
    cluster.control("DELETE", f"/nodes/{pod['spec']['nodeName']}")
    wait_for(lambda: not lab.answers())
    wait_for(lambda: cluster.find() is None)


def test_deletion_of_the_namespace_ends_the_lab(cluster: Cluster) -> None:
    cluster.pod()
    lab = cluster.lab()
    url = f"{cluster.url}/namespaces/{NAMESPACE}"
    requests.delete(url, timeout=SECONDS).raise_for_status()
    wait_for(lambda: requests.get(url, timeout=SECONDS).status_code == 404)
    assert not lab.answers()


@pytest.mark.parametrize(("code", "phase"), [(0, "Succeeded"), (3, "Failed")])
def test_process_that_ends_by_itself_ends_the_pod(
    cluster: Cluster, code: int, phase: str
) -> None:
    cluster.pod(restartPolicy="Never")
    cluster.lab()
    lab = cluster.lab()
    kernel = lab("to_start_another")
    with pytest.raises(requests.ConnectionError):
        lab("to_exit", code=code)
    wait_for(lambda: (cluster.find() or {})["status"]["phase"] == phase)
    ended = cluster.state()["terminated"]
    assert ended["exitCode"] == code
    assert ended["reason"] == ("Completed" if code == 0 else "Error")
    assert not is_alive(kernel)
    assert cluster.log().splitlines()[-1] == "exiting"
    cluster.delete()
    wait_for(lambda: cluster.find() is None)


def test_failed_process_is_restarted_after_a_pause(
    cluster: Cluster, directory: Path
) -> None:
    cluster.pod(**HOME)
    lab = cluster.lab()
    for restarts in (1, 2):
        lab("to_write", name="work.txt", text="kept")
        with pytest.raises(requests.ConnectionError):
            lab("to_exit", code=7)

        def status() -> JSON:
            found: JSON = (cluster.find() or {})["status"]["containerStatuses"][0]
            return found

        def restarted(count: int = restarts) -> bool:
            return bool(status()["restartCount"] == count)

        wait_for(restarted)
        assert status()["lastState"]["terminated"]["exitCode"] == 7
        lab = cluster.lab()
        assert lab("for_file", path="/home/rachel/work.txt")["text"] == "kept"
    assert cluster.log(previous="true").splitlines()[-1] == "exiting"
    assert "exiting" not in cluster.log()
    assert len(list(directory.rglob("notebook-*.log"))) == 2


def test_killed_process_is_reported_with_its_signal(cluster: Cluster) -> None:
    cluster.pod(restartPolicy="Never")
    lab = cluster.lab()
    lab("to_be_deaf")
    processes = [p for p in Path("/proc").glob("[0-9]*") if _listens(p, lab.address)]
    for process in processes:
        os.kill(int(process.name), signal.SIGKILL)
    wait_for(lambda: "terminated" in cluster.state())
    assert cluster.state()["terminated"]["exitCode"] == 137


def _listens(process: Path, address: str) -> bool:
    try:
        arguments = (process / "cmdline").read_bytes().decode().split("\0")
    except OSError:
        return False
    return f"--ip={address}" in arguments


def test_finished_and_evicted_pods_end_their_processes(cluster: Cluster) -> None:
    for action, phase in (("finish", "Succeeded"), ("evict", "Failed")):
        cluster.pod()
        lab = cluster.lab()
        cluster.control("POST", f"/pods/{NAMESPACE}/rachel-nb/{action}", {})
        wait_for(lambda lab=lab: not lab.answers())  # type: ignore[misc]
        assert (cluster.find() or {})["status"]["phase"] == phase
        cluster.delete()
        wait_for(lambda: cluster.find() is None)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_outlives_the_sandbox(program: Path, number: signal.Signals) -> None:
    sandbox = SandboxProcess("--run-labs", str(program))
    endpoints = sandbox.start()
    try:
        cluster = Cluster(endpoints.kubernetes, endpoints.control)
        cluster.namespace()
        cluster.pod()
        lab = cluster.lab()
        kernel = lab("to_start_another")
        lab("to_be_deaf")
        os.kill(sandbox.pid, number)
        wait_for(lambda: not lab.answers() and not is_alive(kernel))
    finally:
        sandbox.stop()


# --- Which pods ----------------------------------------------------------


def test_pods_that_are_no_labs_are_simulated(cluster: Cluster) -> None:
    container = {"name": "other", "image": "other:1"}
    other = {"metadata": {"name": "other"}, "spec": {"containers": [container]}}
    cluster.create("pods", other)
    url = f"{cluster.url}/namespaces/{NAMESPACE}/pods/other"

    def get() -> JSON:
        found: JSON = requests.get(url, timeout=SECONDS).json()
        return found

    wait_for(lambda: get()["status"]["phase"] == "Running")
    assert get()["status"]["podIP"].startswith("10.244.")
    log = requests.get(f"{url}/log", timeout=SECONDS).text
    assert log == f"other of {NAMESPACE}/other started\n"


def test_init_containers_and_failing_images_are_simulated(cluster: Cluster) -> None:
    cluster.pod(initContainers=[{"name": "inithome", "image": "inithome:1"}])
    cluster.lab()
    pod = cluster.find()
    assert pod is not None
    first = pod["status"]["initContainerStatuses"][0]
    assert first["state"]["terminated"]["exitCode"] == 0
    cluster.delete()
    wait_for(lambda: cluster.find() is None)
    cluster.control.settings(exits={"lab:1": 9})
    cluster.pod(restartPolicy="Never")
    wait_for(lambda: (cluster.find() or {})["status"]["phase"] == "Failed")
    assert cluster.state()["terminated"]["exitCode"] == 9


# --- Logs ----------------------------------------------------------------


def test_log_is_what_the_process_writes(cluster: Cluster) -> None:
    cluster.pod()
    lab = cluster.lab()
    first = f"listening on {lab.address}"
    lab("to_print", text="größer")
    lab("to_print", text="oops", stderr=1)
    lab("to_print", text="x", times=100_000)
    lines = [first, "größer", "oops", "x" * 100_000]
    wait_for(lambda: sorted(cluster.log().splitlines()) == sorted(lines))
    lab("to_print", text="last")
    wait_for(lambda: cluster.log(tailLines=1) == "last\n")
    assert cluster.log(tailLines=0) == ""
    assert cluster.log(limitBytes=9) == "listening"
    assert cluster.log(sinceSeconds=3600) == cluster.log()
    assert cluster.log(sinceTime="2000-01-01T00:00:00Z") == cluster.log()
    assert cluster.log(sinceTime="2999-01-01T00:00:00Z") == ""
    stamped = cluster.log(timestamps="true", limitBytes=200).splitlines()[0]
    assert stamped.split(" ", 1)[1] == first
    assert stamped[:2] == "20"
    refused: list[JSON] = [
        {"tailLines": "x"},
        {"sinceTime": "soon"},
        {"previous": "true"},
    ]
    for query in refused:
        assert cluster.get_log(**query).status_code == 400


def test_log_is_followed_as_it_is_written(cluster: Cluster) -> None:
    cluster.pod()
    lab = cluster.lab()
    with cluster.get_log(stream=True, follow="true", tailLines=1) as log:
        lines = log.iter_lines(chunk_size=1, decode_unicode=True)
        assert next(lines) == f"listening on {lab.address}"
        for text in ("one", "two", "three"):
            lab("to_print", text=text)
            assert next(lines) == text
        lab("to_print", text="unfinished", end="")
        cluster.delete()
        assert list(lines)[-1].endswith("goodbye")


def test_large_log_begins_anew(cluster: Cluster) -> None:
    cluster.pod()
    lab = cluster.lab()
    with cluster.get_log(stream=True, follow="true") as log:
        lines = log.iter_lines(chunk_size=65536, decode_unicode=True)
        assert next(lines).startswith("listening")
        for part in range(12):
            lab("to_print", text=f"{part:04} is the part\n" * 100, times=500)
        lab("to_print", text="the end")
        assert any(line == "the end" for line in lines)
    assert len(cluster.log()) < 11 * 1024 * 1024


def test_log_of_a_container_that_waits_is_refused(cluster: Cluster) -> None:
    cluster.pod(container={"envFrom": [{"configMapRef": {"name": "none"}}]})
    wait_for(lambda: "waiting" in cluster.state() and cluster.state()["waiting"])
    wait_for(
        lambda: cluster.state()["waiting"]["reason"] == "CreateContainerConfigError"
    )
    answer = cluster.get_log()
    assert answer.status_code == 400
    assert "is waiting to start: CreateContainerConfigError" in answer.json()["message"]
