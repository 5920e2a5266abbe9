"""The main job of the service, as a user behind the ingress sees it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from textwrap import dedent

import requests

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.stack import Stack

__all__ = ["Demonstration", "DemonstrationError", "server_sent_events"]

_SECONDS = 120.0
_PAUSE_SECONDS = 0.2
_UNLUCKY_TAG = "d_2026_11_09"
_KINDS = (
    ("api/v1", "persistentvolumeclaims"),
    ("api/v1", "configmaps"),
    ("api/v1", "secrets"),
    ("api/v1", "resourcequotas"),
    ("apis/networking.k8s.io/v1", "networkpolicies"),
    ("api/v1", "services"),
    ("api/v1", "pods"),
)


class DemonstrationError(Exception):
    """Something did not work as it should."""


class Demonstration:
    """Spawns and deletes the lab of one user through the ingress.

    Parameters
    ----------
    stack
        Where to do it.
    user
        Whose lab it is.
    """

    def __init__(self, stack: Stack, user: str) -> None:
        self._stack = stack
        self._user = user
        self._lab = f"{stack.ingress_url}/spawner/v1/labs/{user}"
        self._as_user = {"Authorization": f"bearer gt-{user}"}
        self._as_hub = {"Authorization": "bearer gt-hub"}
        self._namespace = stack.config.lab.namespace_of(user)

    def spawn(self, show: Callable[[str, str, int | None], None]) -> None:
        """Ask for a lab and follow its events to their end.

        Parameters
        ----------
        show
            Is called with kind, message and progress of each event.

        Raises
        ------
        DemonstrationError
            Raised if the lab is refused, or fails.
        """
        _check(self._create(), 201)
        events = requests.get(
            f"{self._lab}/events", headers=self._as_user, stream=True, timeout=_SECONDS
        )
        _check(events, 200)
        kind = None
        for kind, data in server_sent_events(events):
            show(kind, data["message"], data.get("progress"))
        if kind != "complete":
            raise DemonstrationError("the lab has not started")

    def _create(self) -> requests.Response:
        """Ask for a lab, again while the service does not know the images yet."""
        deadline = time.monotonic() + _SECONDS
        while True:
            answer = requests.post(
                f"{self._lab}/create",
                json=self.specification(),
                headers=self._as_user,
                timeout=_SECONDS,
            )
            is_early = answer.status_code == requests.codes.service_unavailable
            if not is_early or time.monotonic() > deadline:
                return answer
            time.sleep(_PAUSE_SECONDS)

    def specification(self) -> JSON:
        """Body of the request for a lab."""
        return {
            "options": {
                "image_class": "recommended",
                "size": self._size,
            },
            "env": {"JUPYTERHUB_SERVICE_PREFIX": f"/nb/user/{self._user}/"},
        }

    def state(self) -> JSON:
        """State of the lab, as JupyterHub is told it."""
        answer = requests.get(self._lab, headers=self._as_hub, timeout=_SECONDS)
        _check(answer, 200)
        state: JSON = answer.json()
        return state

    def delete(self) -> float:
        """Delete the lab; returns the seconds that it took.

        Raises
        ------
        DemonstrationError
            Raised if it is not gone then.
        """
        began = time.monotonic()
        answer = requests.delete(self._lab, headers=self._as_hub, timeout=_SECONDS)
        _check(answer, 204)
        url = f"{self._stack.endpoints.kubernetes}/api/v1/namespaces/{self._namespace}"
        _check(requests.get(url, timeout=_SECONDS), 404)
        return time.monotonic() - began

    def kubectl_command(self) -> list[str]:
        """Command that lists the objects of the lab."""
        kinds = ",".join(plural for _, plural in _KINDS)
        kubeconfig = str(self._stack.sandbox.kubeconfig)
        return [
            "kubectl",
            "--kubeconfig",
            kubeconfig,
            "-n",
            self._namespace,
            "get",
            kinds,
        ]

    def objects(self) -> str:
        """Objects of the lab, where there is no kubectl."""
        base = self._stack.endpoints.kubernetes
        lines = []
        for root, plural in _KINDS:
            url = f"{base}/{root}/namespaces/{self._namespace}/{plural}"
            answer = requests.get(url, timeout=_SECONDS)
            _check(answer, 200)
            lines += [
                f"{plural}/{o['metadata']['name']}" for o in answer.json()["items"]
            ]
        return "\n".join(lines)

    def summary(self) -> str:
        """What to open, as whom to log in, and where things are."""
        stack = self._stack
        lines = [
            f"Open     {stack.endpoints.ingress}/",
            f"Log in   as {self._user}, or as admin to see what operators see",
            f"API      {stack.ingress_url}/docs",
            f"kubectl  export KUBECONFIG={stack.sandbox.kubeconfig}",
        ]
        if stack.log_file:
            lines.append(f"Logs     tail -f {stack.log_file}")
        return "\n".join(lines)

    def tour(self) -> str:
        """Commands that show how the service takes it when things break."""
        stack = self._stack
        unlucky = {
            "options": {"image_tag": _UNLUCKY_TAG, "size": self._size},
            "env": {"JUPYTERHUB_SERVICE_PREFIX": "/nb/user/mona/"},
        }
        faults = {"rules": [{"target": "registry", "status": 503}]}
        settings = {"failing_pulls": [_UNLUCKY_TAG]}
        return dedent(
            f"""\
            N={stack.ingress_url} C={stack.endpoints.control}
            # Break the registry: labs still start; soon $N/admin counts the failures.
            curl -X PUT $C/faults -d '{_compact(faults)}'
            curl -X DELETE $C/faults   # repairs it
            # Let an image fail to be pulled, and read what its user is told.
            curl -X PATCH $C/settings -d '{_compact(settings)}'
            M=$N/spawner/v1/labs/mona; H='Authorization: bearer gt-mona'
            curl -H "$H" $M/create -d '{_compact(unlucky)}'
            curl -NH "$H" $M/events
            # Kill the service in the middle of that: it comes back, and goes on.
            pkill -9 -P {stack.service.pid}
            curl $C/   # what else can go wrong"""
        )

    @property
    def _size(self) -> str:
        return self._stack.config.lab.size_by_default


def _compact(value: JSON) -> str:
    return json.dumps(value, separators=(",", ":"))


def server_sent_events(response: requests.Response) -> Iterator[tuple[str, JSON]]:
    """Read server-sent events as they come: kind and data of each."""
    kind = data = ""
    for line in response.iter_lines(chunk_size=1, decode_unicode=True):
        if line.startswith("event: "):
            kind = line.removeprefix("event: ")
        elif line.startswith("data: "):
            data = line.removeprefix("data: ")
        elif not line and data:
            yield kind, json.loads(data)
            kind = data = ""


def _check(answer: requests.Response, status: int) -> None:
    if answer.status_code != status:
        request = answer.request
        raise DemonstrationError(
            f"{request.method} {request.url} was answered {answer.status_code}: "
            f"{answer.text[:500]}"
        )
