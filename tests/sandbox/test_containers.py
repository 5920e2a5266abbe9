"""Parts of what runs containers, one by one."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.kubernetes.containers import shim
from nublado.sandbox.kubernetes.containers.addresses import LoopbackAddresses
from nublado.sandbox.kubernetes.containers.environment import expand
from nublado.sandbox.kubernetes.containers.fields import ContainerConfigError, Values
from nublado.sandbox.kubernetes.containers.files import PodFiles, remove_tree
from nublado.sandbox.kubernetes.store import Store

SECONDS = 60.0


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("plain", "plain"),
        ("$(A)", "one"),
        ("-$(A)$(B)-", "-onetwo-"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$one"),
        ("$(NONE)", "$(NONE)"),
        ("$A ${A} $", "$A ${A} $"),
        ("$(A", "$(A"),
        ("$(A$(B))", "$(A$(B))"),
        ("$()", "$()"),
    ],
)
def test_references_in_values_are_replaced(text: str, expanded: str) -> None:
    assert expand(text, {"A": "one", "B": "two"}) == expanded


# --- Files ---------------------------------------------------------------


def files_of(
    tmp_path: Path, volumes: list[JSON], mounts: list[JSON], **metadata: object
) -> PodFiles:
    store = Store()
    store.create("Namespace", {"metadata": {"name": "ns"}})
    data = {"data": {"key": "value"}, "binaryData": {"bin": "AP8="}}
    store.create("ConfigMap", {"metadata": {"name": "map"}} | data, "ns")
    container: JSON = {"name": "c", "image": "i", "volumeMounts": mounts}
    container["resources"] = {"requests": {"cpu": "250m"}}
    pod: JSON = {
        "metadata": {"name": "p", "namespace": "ns", "uid": "u"} | metadata,
        "spec": {"containers": [container], "volumes": volumes},
        "status": {},
    }
    files = PodFiles(tmp_path / "pod", tmp_path / "kept", pod)
    files.make(container, Values(store, pod))
    return files


def test_paths_do_not_lead_out_of_the_folder(tmp_path: Path) -> None:
    items = [{"key": "key", "path": "../../../escaped"}]
    files = files_of(
        tmp_path,
        [
            {"name": "v", "configMap": {"name": "map", "items": items}},
            {"name": "n", "nfs": {"server": "s", "path": "/../../../../out"}},
        ],
        [
            {"name": "v", "mountPath": "/../../mounted"},
            {"name": "n", "mountPath": "/nfs", "subPath": "../../../sub"},
        ],
    )
    inside = tmp_path / "pod"
    assert files.inside("/mounted/escaped").read_text() == "value"
    for path in tmp_path.rglob("*"):
        assert path.resolve().is_relative_to(tmp_path)
    assert (files.root / "mounted").resolve().is_relative_to(inside)
    assert {p.name for p in tmp_path.iterdir()} == {"pod", "kept"}


def test_projected_volumes_hold_all_their_sources(tmp_path: Path) -> None:
    name = {"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}
    cpu = {"resource": "requests.cpu", "divisor": "1m"}
    request = {"path": "cpu", "resourceFieldRef": cpu}
    sources = [
        {"configMap": {"name": "map"}},
        {"configMap": {"name": "none", "optional": True}},
        {"downwardAPI": {"items": [name, request]}},
    ]
    files = files_of(
        tmp_path,
        [{"name": "v", "projected": {"sources": sources}}],
        [{"name": "v", "mountPath": "/v"}],
    )
    found = {p.name: p.read_bytes() for p in files.inside("/v").iterdir()}
    assert found == {"key": b"value", "bin": b"\0\xff", "name": b"p", "cpu": b"250"}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"name": "none"}, 'configmap "none" not found'),
        (
            {"name": "map", "items": [{"key": "x", "path": "x"}]},
            "references non-existent configMap key: x",
        ),
    ],
)
def test_volumes_that_cannot_be_written(
    tmp_path: Path, source: JSON, message: str
) -> None:
    volumes = [{"name": "v", "configMap": source}]
    with pytest.raises(ContainerConfigError, match=message):
        files_of(tmp_path, volumes, [])


def test_mount_does_not_hide_files_of_the_user(tmp_path: Path) -> None:
    work = tmp_path / "kept" / "nfs" / "s" / "home" / "data"
    work.mkdir(parents=True)
    (work / "precious").touch()
    volumes = [
        {"name": "home", "nfs": {"server": "s", "path": "/home"}},
        {"name": "v", "configMap": {"name": "map"}},
    ]
    mounts = [
        {"name": "v", "mountPath": "/home/data"},
        {"name": "home", "mountPath": "/home"},
    ]
    with pytest.raises(ContainerConfigError, match="cannot mount on home/data"):
        files_of(tmp_path, volumes, mounts)
    assert (work / "precious").exists()


def test_folders_that_were_locked_are_removed(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    (folder / "file").touch()
    (tmp_path / "outside").mkdir()
    (tmp_path / "a" / "link").symlink_to(tmp_path / "outside")
    for locked in (folder, tmp_path / "outside"):
        locked.chmod(0o500)
    remove_tree(tmp_path / "a")
    assert not (tmp_path / "a").exists()
    assert (tmp_path / "outside").stat().st_mode & 0o777 == 0o500


# --- Addresses -----------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has them")
def test_addresses_are_unique_and_can_be_bound() -> None:
    addresses = LoopbackAddresses()
    taken = [addresses.take([8888]) for _ in range(200)]
    assert len(set(taken)) == 200
    with socket.create_server((taken[0], 8888)):
        pass


# --- The shim ------------------------------------------------------------


def start(tmp_path: Path, program: str, **environ: str) -> subprocess.Popen[bytes]:
    return start_command(tmp_path, [sys.executable, "-S", "-c", program], environ)


def start_command(
    tmp_path: Path, argv: list[str], environ: dict[str, str]
) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", shim.__file__], stdin=subprocess.PIPE
    )
    asked = {
        "argv": argv,
        "environ": environ,
        "directory": str(tmp_path),
        "log": str(tmp_path / "log"),
    }
    assert process.stdin is not None
    process.stdin.write(json.dumps(asked).encode() + b"\n")
    process.stdin.flush()
    return process


def logged(tmp_path: Path) -> list[list[str]]:
    try:
        lines = (tmp_path / "log").read_text().splitlines()
    except FileNotFoundError:
        return []
    return [line.split(" ", 3)[1:] for line in lines]


def wait_for_line(tmp_path: Path) -> str:
    deadline = time.monotonic() + SECONDS
    while not logged(tmp_path):
        assert time.monotonic() < deadline, "nothing has been written"
        time.sleep(0.01)
    return logged(tmp_path)[0][2]


def is_alive(process: int) -> bool:
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in ("Z", "X")


def wait_until_dead(process: int) -> None:
    deadline = time.monotonic() + SECONDS
    while is_alive(process):
        assert time.monotonic() < deadline, f"{process} has not ended"
        time.sleep(0.01)


TELL_AND_SLEEP = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"

linux = pytest.mark.skipif(sys.platform != "linux", reason="needs prctl")


@linux
@pytest.mark.parametrize(
    ("program", "code"),
    [
        ("raise SystemExit(0)", 0),
        ("raise SystemExit(5)", 5),
        ("import os; os.kill(os.getpid(), 9)", 137),
        ("import os; os.kill(os.getpid(), 15)", 143),
    ],
)
def test_exit_code_is_that_of_the_process(
    tmp_path: Path, program: str, code: int
) -> None:
    assert start(tmp_path, program).wait(SECONDS) == code


@linux
def test_streams_are_told_apart_and_nothing_is_lost_at_the_end(tmp_path: Path) -> None:
    program = (
        "import os; os.write(2, b'bad\\n'); os.write(1, b'one\\n' + b'x' * 20000);"
        "os.write(1, b'\\nno newline')"
    )
    assert start(tmp_path, program).wait(SECONDS) == 0
    lines = logged(tmp_path)
    assert ["stderr", "F", "bad"] in lines
    out = [line[1:] for line in lines if line[0] == "stdout"]
    assert out[0] == ["F", "one"]
    assert out[-1] == ["P", "no newline"]
    assert "".join(text for _, text in out[1:-1]) == "x" * 20000


@linux
def test_process_has_the_environment_and_nothing_else(tmp_path: Path) -> None:
    program = "import os; print(sorted(os.environ.items()), os.getcwd())"
    odd = "a\nb\udcff"
    process = start(tmp_path, program, LC_ALL="C.UTF-8", ODD=odd)
    assert process.wait(SECONDS) == 0
    expected = [("LC_ALL", "C.UTF-8"), ("ODD", odd)]
    assert logged(tmp_path)[0][2] == f"{expected} {tmp_path}"


@linux
def test_program_that_does_not_exist_is_told_in_the_log(tmp_path: Path) -> None:
    process = start_command(tmp_path, ["/none"], {})
    assert process.wait(SECONDS) == 128
    stream, _, text = logged(tmp_path)[0]
    assert (stream, text[:13]) == ("stderr", "cannot start:")


@linux
def test_end_of_the_input_kills(tmp_path: Path) -> None:
    process = start(tmp_path, TELL_AND_SLEEP)
    child = int(wait_for_line(tmp_path))
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(SECONDS) == 137
    assert not is_alive(child)


@linux
def test_process_does_not_outlive_a_shim_that_is_killed(tmp_path: Path) -> None:
    process = start(tmp_path, TELL_AND_SLEEP)
    child = int(wait_for_line(tmp_path))
    process.kill()
    process.wait(SECONDS)
    wait_until_dead(child)


@linux
def test_signal_that_comes_early_is_not_lost(tmp_path: Path) -> None:
    for _ in range(20):
        process = start(tmp_path, TELL_AND_SLEEP)
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(SECONDS) in (143, -15)
