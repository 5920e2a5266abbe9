"""Where, how soon and in which words the service tells of each fault.

``python -m tests.faults.diagnoses`` injects one fault after another into a service
of its own and prints a table; names of faults as arguments choose among them. The
only things looked at are those that an operator has: probe, API, page, metrics,
log and Slack.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import requests

from nublado.models.domain.problem import ProblemKind
from nublado.sandbox.stack import Stack
from tests.e2e.users import SECONDS, User

__all__ = ["FAULTS", "Fault", "Scene", "Told", "diagnose", "scene"]

_CONFIG = Path(__file__).parent.parent / "data" / "configs" / "files.yaml"
_SETTINGS = {"pull_seconds": 0.05, "init_seconds": 0.01, "termination_delay": 0.01}
_REFRESH_SECONDS = "10"
_PATIENCE_SECONDS = 240.0
_LOOK_SECONDS = 0.5
_QUOTA = (
    'pods "nb" is forbidden: exceeded quota: nb, requested: limits.memory=3Gi,'
    " used: limits.memory=0, limited: limits.memory=1Gi"
)


class _Slack:
    """Takes messages in place of Slack."""

    def __init__(self) -> None:
        self.messages: list[tuple[float, str]] = []
        slack = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                text = self.rfile.read(length).decode()
                slack.messages.append((time.monotonic(), text))
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *_: object) -> None:
                """Write nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/services/T0/B0/x"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def said(self, text: str, since: float) -> float | None:
        """When a message that has a text came, after a moment."""
        return next(
            (at for at, said in self.messages if at >= since and text in said), None
        )


@dataclass
class Scene:
    """A service that has everything, and what operators look at."""

    stack: Stack
    slack: _Slack
    log: Path

    def user(self, number: int) -> User:
        return User(self.stack, f"user{number}")

    def create(self, *users: User) -> None:
        for user in users:
            user.create()

    def spawn(self, *users: User) -> None:
        for user in users:
            user.spawn()

    def open_files(self, user: User) -> None:
        """Ask for a file server, without waiting for the response."""
        url = f"{self.stack.service.url}/files"

        def ask() -> None:
            requests.get(url, headers=user.headers, timeout=SECONDS)

        threading.Thread(target=ask, daemon=True).start()

    # --- What operators look at ------------------------------------------

    def ready(self) -> list[str]:
        answer = requests.get(f"{self.stack.service.url}/readyz", timeout=SECONDS)
        problems: list[str] = answer.json()["problems"]
        return problems

    def problem(self, kind: ProblemKind) -> dict[str, Any] | None:
        url = f"{self.stack.api_url}/admin/v1/status"
        status = requests.get(url, timeout=SECONDS).json()
        problems = status["service"]["problems"]
        return next((p for p in problems if p["kind"] == kind), None)

    def page(self) -> str:
        return requests.get(f"{self.stack.api_url}/admin", timeout=SECONDS).text

    def metrics(self) -> str:
        return requests.get(f"{self.stack.service.url}/metrics", timeout=SECONDS).text

    def is_logged(self, text: str) -> bool:
        return text in self.log.read_text()


Act = Callable[[Scene], None]


def _nothing(_: Scene) -> None:
    pass


@dataclass(frozen=True)
class Fault:
    """A fault: how it is injected and healed, and what has to be told of it.

    ``words`` is a regular expression for the cause; ``ends`` is whether the problem
    is over soon after it was healed.
    """

    name: str
    kind: ProblemKind
    inject: Act
    words: str
    heal: Act = _nothing
    ends: bool = True
    prepare: Act = _nothing


@dataclass
class Told:
    """After how many seconds each place told of a fault, and in which words."""

    fault: Fault
    seconds: dict[str, float] = field(default_factory=dict)
    cause: str = ""
    impact: str = ""
    ended: float | None = None


def _registry_away(scene: Scene) -> None:
    scene.stack.control.faults({"target": "registry", "drop": "before"})


def _login_away(scene: Scene) -> None:
    scene.stack.control.faults({"target": "gafaelfawr", "status": 503})
    scene.create(scene.user(1), scene.user(2))


def _kubernetes_slow(scene: Scene) -> None:
    scene.stack.control.faults({"delay": 3.0})


def _pods_fail(scene: Scene) -> None:
    scene.stack.control.faults({"path": "/pods", "status": 500})
    scene.stack.control("POST", "/watches/drop")
    scene.create(scene.user(1))


def _all_unavailable(scene: Scene) -> None:
    scene.stack.control.faults({"status": 503})
    scene.stack.control("POST", "/watches/drop")


def _image_cannot_be_pulled(scene: Scene) -> None:
    scene.stack.control.settings(failing_pulls=["sciplat/lab"])
    for node in _nodes(scene):
        scene.stack.control("PUT", f"/nodes/{node}/images", {"names": []})
    scene.create(scene.user(1), scene.user(2))


def _quota_exceeded(scene: Scene) -> None:
    body = {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "message": _QUOTA,
        "reason": "Forbidden",
        "code": 403,
    }
    rule = {"method": "POST", "path": "/pods$", "status": 403, "body": body}
    scene.stack.control.faults(rule)
    scene.spawn(scene.user(1), scene.user(2), scene.user(3))


def _nodes_lost(scene: Scene) -> None:
    for node in _nodes(scene)[:2]:
        scene.stack.control("POST", f"/nodes/{node}/silence")


def _nodes_found(scene: Scene) -> None:
    for node in _nodes(scene)[:2]:
        scene.stack.control("POST", f"/nodes/{node}/wake")


def _watches_silent(scene: Scene) -> None:
    scene.stack.control("POST", "/watches/mute")
    scene.create(scene.user(1))


def _prepull_stuck(scene: Scene) -> None:
    scene.stack.control.settings(failing_pulls=["sciplat/lab"])
    for node in _nodes(scene)[:1]:
        scene.stack.control("PUT", f"/nodes/{node}/images", {"names": []})


def _pulls_heal(scene: Scene) -> None:
    scene.stack.control.settings(failing_pulls=[])


def _no_address(scene: Scene) -> None:
    scene.stack.control.settings(gives_addresses=False)
    scene.open_files(scene.user(1))


def _addresses(scene: Scene) -> None:
    scene.stack.control.settings(gives_addresses=True)
    scene.open_files(scene.user(1))


def _out_of_memory(scene: Scene) -> None:
    user = scene.user(1)
    for count in range(1, 4):
        _kill(scene, user, count)


def _kill(scene: Scene, user: User, count: int) -> None:
    """Let a lab run out of memory, and wait until it has been started again."""
    pod = f"{user.namespace}/{user.name}-nb"
    scene.stack.control("POST", f"/pods/{pod}/kill", {"reason": "OOMKilled"})
    namespace, name = pod.split("/")
    url = (
        f"{scene.stack.endpoints.kubernetes}/api/v1/namespaces/{namespace}/pods/{name}"
    )
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        found = requests.get(url, timeout=SECONDS).json()["status"]
        (container,) = found["containerStatuses"]
        if container["restartCount"] >= count and "running" in container["state"]:
            return
        time.sleep(_LOOK_SECONDS)
    raise AssertionError("the lab was not started again")


def _nodes(scene: Scene) -> list[str]:
    url = f"{scene.stack.endpoints.kubernetes}/api/v1/nodes"
    nodes = requests.get(url, timeout=SECONDS).json()["items"]
    return sorted(node["metadata"]["name"] for node in nodes)


def _clear(scene: Scene) -> None:
    scene.stack.control("DELETE", "/faults")


FAULTS = (
    Fault("registry down", ProblemKind.REGISTRY, _registry_away, "127.0.0.1", _clear),
    Fault("Gafaelfawr down", ProblemKind.GAFAELFAWR, _login_away, "status 503", _clear),
    Fault(
        "Kubernetes slow by 3 s",
        ProblemKind.KUBERNETES_SLOW,
        _kubernetes_slow,
        r"take 3\.\d s",
        _clear,
    ),
    Fault(
        "pods of Kubernetes 500",
        ProblemKind.KUBERNETES_FAILS,
        _pods_fail,
        "Pod.*status 500",
        _clear,
    ),
    Fault(
        "Kubernetes all 503",
        ProblemKind.KUBERNETES_FAILS,
        _all_unavailable,
        "status 503",
        _clear,
    ),
    Fault(
        "image cannot be pulled",
        ProblemKind.SPAWNS_WAIT,
        _image_cannot_be_pulled,
        "image does not exist, 2 .*node-",
        _pulls_heal,
    ),
    Fault(
        "quota exceeded",
        ProblemKind.SPAWNS_FAIL,
        _quota_exceeded,
        "3 of 3 spawns .* quota exceeded, 3 .*exceeded quota",
        _clear,
        ends=False,
    ),
    Fault(
        "two nodes lost",
        ProblemKind.NODES_LOST,
        _nodes_lost,
        "node-.*, node-.*Kubelet stopped",
        _nodes_found,
    ),
    Fault(
        "silent watches",
        ProblemKind.NOT_FOLLOWED,
        _watches_silent,
        "did not show a change",
        ends=False,
    ),
    Fault(
        "prepull stuck",
        ProblemKind.PREPULLING,
        _prepull_stuck,
        "on node-.* since .*ImagePull",
        _pulls_heal,
    ),
    Fault(
        "file server without address",
        ProblemKind.FILESERVERS,
        _no_address,
        "ingress has no address",
        _addresses,
    ),
    Fault(
        "lab OOMKilled three times",
        ProblemKind.LABS_DIE,
        _out_of_memory,
        "3 times .*out-of-memory, 3 .user1.: container notebook exited with code 137",
        ends=False,
        prepare=lambda scene: scene.spawn(scene.user(1)),
    ),
)


@contextmanager
def scene(directory: Path) -> Iterator[Scene]:
    """Run a service that has everything, with a Slack of its own."""
    slack = _Slack()
    path = directory / "service.log"
    environ = {
        "NUBLADO_REFRESH_INTERVAL": _REFRESH_SECONDS,
        "NUBLADO_SLACK_WEBHOOK": slack.url,
    }
    with path.open("w+") as log:
        settings = json.dumps(_SETTINGS)
        stack = Stack(_CONFIG, "--settings", settings, environ=environ, log=log)
        with stack:
            yield Scene(stack, slack, path)
    slack.close()


def diagnose(scene: Scene, fault: Fault, *, to_its_end: bool = True) -> Told:
    """Inject a fault and wait until every place has told of it.

    Parameters
    ----------
    scene
        The service.
    fault
        The fault.
    to_its_end
        Whether to heal it, and wait until its end is told as well.

    Raises
    ------
    AssertionError
        Raised if one has not in four minutes.
    """
    fault.prepare(scene)
    told = Told(fault)
    began = time.monotonic()
    fault.inject(scene)
    headline = fault.kind.headline
    places: dict[str, Callable[[], object]] = {
        "status": lambda: _matches(scene.problem(fault.kind), fault.words),
        "readyz": lambda: any(headline in said for said in scene.ready()),
        "page": lambda: headline in scene.page(),
        "metrics": lambda: (
            f'nublado_problem{{kind="{fault.kind}"}} 1.0' in scene.metrics()
        ),
        "log": lambda: scene.is_logged(headline),
        "slack": lambda: scene.slack.said(headline, began) is not None,
    }
    while places.keys() - told.seconds.keys():
        waited = time.monotonic() - began
        missing = places.keys() - told.seconds.keys()
        assert waited < _PATIENCE_SECONDS, (missing, scene.ready())
        for place in missing:
            if places[place]():
                told.seconds[place] = round(time.monotonic() - began, 1)
        time.sleep(_LOOK_SECONDS)
    problem = scene.problem(fault.kind)
    if problem is not None:
        told.cause, told.impact = problem["cause"], problem["impact"]
    if fault.ends and to_its_end:
        fault.heal(scene)
        told.ended = _wait_for_end(scene, headline)
    return told


def _wait_for_end(scene: Scene, headline: str) -> float:
    """Wait until log and Slack say that it is over; tell how long that took."""
    healed = time.monotonic()
    over = f"Over: {headline}"
    while not (scene.is_logged(over) and scene.slack.said(over, healed)):
        waited = time.monotonic() - healed
        assert waited < _PATIENCE_SECONDS, scene.ready()
        time.sleep(_LOOK_SECONDS)
    return round(time.monotonic() - healed, 1)


def _matches(problem: dict[str, Any] | None, words: str) -> bool:
    return problem is not None and re.search(words, problem["cause"]) is not None


def main() -> None:
    """Print the table."""
    wanted = sys.argv[1:]
    for fault in FAULTS:
        if wanted and fault.name not in wanted:
            continue
        with tempfile.TemporaryDirectory() as directory, scene(Path(directory)) as on:
            try:
                told = diagnose(on, fault)
            except AssertionError as e:
                print(f"\n## {fault.name}: NOT TOLD: {e}")
                continue
        places = ", ".join(f"{k} {v} s" for k, v in told.seconds.items())
        print(f"\n## {fault.name}: {fault.kind.headline}\n{places}")
        print(f"cause: {told.cause}\nimpact: {told.impact}")
        if told.ended is not None:
            print(f"told as over {told.ended} s after it was healed")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
