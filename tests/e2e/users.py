"""Users of the service, and JupyterHub, which acts for them."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

import requests

from nublado.sandbox.demonstration import server_sent_events
from nublado.sandbox.stack import Stack

SECONDS = 90.0
"""How long anything may take that is waited for, also on a busy machine."""


@dataclass
class Events:
    """Events of a stream, as they come in."""

    seen: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    cut_off: bool = False
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def messages(self) -> list[str]:
        return [data["message"] for _, data in list(self.seen)]

    @property
    def kinds(self) -> list[str]:
        return [kind for kind, _ in list(self.seen)]


class User:
    """Somebody who wants a lab, and JupyterHub, which acts for them."""

    def __init__(self, stack: Stack, name: str) -> None:
        self.name = name
        self.stack = stack
        self.lab = f"{stack.api_url}/spawner/v1/labs/{name}"
        self.namespace = stack.config.lab.namespace_of(name)
        self.headers = {
            "X-Auth-Request-User": name,
            "X-Auth-Request-Token": f"gt-{name}",
        }

    def specification(self, **options: Any) -> dict[str, Any]:
        chosen = any(name.startswith("image_") for name in options)
        image = {} if chosen else {"image_class": "recommended"}
        return {
            "options": {"size": "small", **image, **options},
            "env": {"JUPYTERHUB_SERVICE_PREFIX": f"/nb/user/{self.name}/"},
        }

    def create(self, **options: Any) -> requests.Response:
        return requests.post(
            f"{self.lab}/create",
            json=self.specification(**options),
            headers=self.headers,
            timeout=SECONDS,
        )

    def delete(self) -> requests.Response:
        return requests.delete(self.lab, timeout=SECONDS)

    def state(self) -> requests.Response:
        return requests.get(self.lab, timeout=SECONDS)

    def user_status(self) -> requests.Response:
        url = f"{self.stack.api_url}/spawner/v1/user-status"
        return requests.get(url, headers=self.headers, timeout=SECONDS)

    @property
    def status(self) -> str | None:
        answer = self.state()
        return answer.json()["status"] if answer.status_code == 200 else None

    def stream(self, **headers: str) -> requests.Response:
        return requests.get(
            f"{self.lab}/events",
            headers={**self.headers, **headers},
            stream=True,
            timeout=SECONDS,
        )

    def follow(self) -> Events:
        """Collect events in the background, until the stream ends."""
        events = Events()
        response = self.stream()
        assert response.status_code == 200, response.text

        def collect() -> None:
            try:
                for event in server_sent_events(response):
                    events.seen.append(event)
            except requests.RequestException:
                events.cut_off = True
            finally:
                events.ended.set()

        threading.Thread(target=collect, daemon=True).start()
        return events

    def spawn(self, **options: Any) -> Events:
        """Create a lab and wait for the end of its events."""
        answer = self.create(**options)
        assert answer.status_code == 201, answer.text
        events = self.follow()
        assert events.ended.wait(SECONDS), events.messages
        return events


def problems(stack: Stack) -> list[str]:
    """What the service says does not work as it should, while it is ready."""
    probe = requests.get(f"{stack.service.url}/readyz", timeout=SECONDS)
    assert probe.status_code == 200
    found: list[str] = probe.json()["problems"]
    return found
