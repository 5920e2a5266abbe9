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
        answer = requests.post(
            f"{self._lab}/create",
            json=self.specification(),
            headers=self._as_user,
            timeout=_SECONDS,
        )
        _check(answer, 201)
        events = requests.get(
            f"{self._lab}/events", headers=self._as_user, stream=True, timeout=_SECONDS
        )
        _check(events, 200)
        kind = None
        for kind, data in server_sent_events(events):
            show(kind, data["message"], data.get("progress"))
        if kind != "complete":
            raise DemonstrationError("the lab has not started")

    def specification(self) -> JSON:
        """Body of the request for a lab."""
        return {
            "options": {
                "image_class": "recommended",
                "size": self._stack.config.lab.sizes[0].size,
            },
            "env": {"JUPYTERHUB_SERVICE_PREFIX": f"/nb/user/{self._user}/"},
        }

    def state(self) -> str:
        """State of the lab, as JupyterHub is told it."""
        answer = requests.get(self._lab, headers=self._as_hub, timeout=_SECONDS)
        _check(answer, 200)
        return json.dumps(answer.json(), indent=2)

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

    def hints(self) -> str:
        """What to try by hand."""
        stack = self._stack
        as_user = f"-H 'Authorization: {self._as_user['Authorization']}'"
        as_hub = f"-H 'Authorization: {self._as_hub['Authorization']}'"
        body = json.dumps(self.specification())
        fileserver = stack.config.fileserver
        files = fileserver.path_prefix if fileserver else " are disabled"
        return dedent(
            f"""\
            In a browser:   {stack.endpoints.ingress}/nb/hub/spawn
                            {stack.ingress_url}/admin (log in as admin)
                            {stack.ingress_url}/docs
            As the user:    curl -N {as_user} {self._lab}/events
                            curl -i {as_user} -d '{body}' {self._lab}/create
            As JupyterHub:  curl {as_hub} {self._lab}
                            curl -i -X DELETE {as_hub} {self._lab}
            Files:          {stack.endpoints.ingress}{files}
            Kubernetes:     export KUBECONFIG={stack.sandbox.kubeconfig}
                            kubectl get pods -A
            The service:    {stack.service.url}/metrics
            Faults:         curl {stack.endpoints.control}/"""
        )


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
