"""Users of JupyterHub, by its REST API."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import requests

from nublado.sandbox.platform import Platform

_SECONDS = 60.0
_PATIENCE_SECONDS = 240.0


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Wait until a condition holds, on however busy a machine."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"not in time: {what}"
        time.sleep(0.1)


class HubUser:
    """A user who logs in at the ingress; an operator starts and stops the lab."""

    def __init__(self, platform: Platform, name: str) -> None:
        self.name = name
        self._platform = platform
        self._lab = f"{platform.stack.ingress_url}/spawner/v1/labs/{name}"
        self.browser = requests.Session()

    def log_in(self) -> None:
        """Log in at the platform, and with that at JupyterHub."""
        url = self._platform.url
        form = {"username": self.name, "rd": "/nb/hub/home"}
        answer = self.browser.post(f"{url}/login", data=form, timeout=_SECONDS)
        assert answer.status_code == 200, answer.text
        assert answer.url.endswith("/nb/hub/home"), answer.url

    def ask(self, method: str, path: str, body: object = None) -> requests.Response:
        """Ask JupyterHub's API, as its operator does."""
        hub = self._platform.hub
        return requests.request(
            method,
            f"{hub.api_url}/users/{self.name}{path}",
            json=body,
            headers={"Authorization": f"token {hub.api_token}"},
            timeout=_SECONDS,
        )

    def start(self, **options: str) -> requests.Response:
        """Have the lab started."""
        chosen = {"image_class": "recommended", "size": "small", **options}
        return self.ask("POST", "/server", chosen)

    def stop(self) -> requests.Response:
        """Have the lab stopped."""
        return self.ask("DELETE", "/server")

    def server(self) -> dict[str, Any] | None:
        """What JupyterHub knows of the lab; None if it has none."""
        answer = self.ask("GET", "")
        assert answer.status_code == 200, answer.text
        server: dict[str, Any] | None = answer.json()["servers"].get("")
        return server

    def is_ready(self) -> bool:
        """Whether JupyterHub has a lab that answers."""
        server = self.server()
        return server is not None and bool(server["ready"])

    def wait_ready(self) -> None:
        """Wait until JupyterHub has a lab that answers."""
        wait_until(self.is_ready, f"{self.name} has a lab")

    def wait_gone(self) -> None:
        """Wait until neither JupyterHub nor the controller has a lab."""
        wait_until(lambda: self.server() is None, f"JupyterHub lets {self.name} go")
        wait_until(lambda: self.status() is None, f"the lab of {self.name} is gone")

    def status(self) -> str | None:
        """What the controller says of the lab; None if there is none."""
        answer = requests.get(
            self._lab, headers={"Authorization": "Bearer gt-hub"}, timeout=_SECONDS
        )
        if answer.status_code == 404:
            return None
        assert answer.status_code == 200, answer.text
        return str(answer.json()["status"])

    def pod_uid(self) -> str:
        """Which pod the lab is."""
        stack = self._platform.stack
        namespace = stack.config.lab.namespace_of(self.name)
        url = f"{stack.endpoints.kubernetes}/api/v1/namespaces/{namespace}/pods"
        pods = requests.get(url, timeout=_SECONDS).json()["items"]
        assert len(pods) == 1
        return str(pods[0]["metadata"]["uid"])

    def delete_lab(self) -> None:
        """Delete the lab, if there is one."""
        if self.server() is not None:
            self.stop()
        requests.delete(
            self._lab, headers={"Authorization": "Bearer gt-hub"}, timeout=_SECONDS
        )
