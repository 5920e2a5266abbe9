"""A whole embedded cluster for each test, in a thread, spoken to over HTTP."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.cluster import Endpoints, SandboxOptions
from nublado.sandbox.kubernetes.controllers import ClusterSettings
from nublado.sandbox.launch import Control, SandboxThread

PATIENCE = 60.0
MERGE_PATCH = "application/merge-patch+json"


class Cluster:
    """A running cluster, and requests to its API server as they are."""

    def __init__(self, endpoints: Endpoints) -> None:
        self.url = endpoints.kubernetes
        self.control = Control(endpoints.control)
        self.headers: dict[str, str] = {}

    def ask(
        self, method: str, path: str, body: Any = None, **options: Any
    ) -> requests.Response:
        """Send a request; follows no redirects."""
        headers = {"Content-Type": "application/json", **self.headers}
        headers |= options.pop("headers", {})
        return requests.request(
            method,
            self.url + path,
            data=None if body is None else json.dumps(body),
            headers=headers,
            timeout=options.pop("timeout", PATIENCE),
            allow_redirects=False,
            **options,
        )

    def get(self, path: str) -> JSON:
        answer = self.ask("GET", path)
        assert answer.status_code == 200, answer.text
        found: JSON = answer.json()
        return found

    def create(self, path: str, name: str, **content: Any) -> JSON:
        metadata = {"name": name, **content.pop("metadata", {})}
        answer = self.ask("POST", path, {"metadata": metadata, **content})
        assert answer.status_code == 201, answer.text
        made: JSON = answer.json()
        return made

    def version(self, path: str = "/api/v1/namespaces") -> str:
        return str(self.get(path)["metadata"]["resourceVersion"])

    def lab_namespace(self, **labels: str) -> None:
        """Make the namespace ``lab``, with its service account."""
        self.create("/api/v1/namespaces", "lab", metadata={"labels": labels})
        path = "/api/v1/namespaces/lab/serviceaccounts/default"
        self.until(lambda: self.ask("GET", path).status_code == 200)

    def lab_pod(self, name: str = "nb", **spec: Any) -> JSON:
        """Make a pod in ``lab``."""
        content = {"containers": [CONTAINER], "restartPolicy": "OnFailure", **spec}
        path = "/api/v1/namespaces/lab/pods"
        return self.create(path, name, spec=content, metadata={"labels": {"a": "b"}})

    def running_pod(self, **spec: Any) -> JSON:
        """Make a pod in ``lab``, and wait until it runs."""
        self.lab_pod(**spec)
        return self.pod_that(lambda pod: pod["status"]["phase"] == "Running")

    def pod_that(self, condition: Callable[[JSON], bool], name: str = "nb") -> JSON:
        """Wait for a state of a pod in ``lab``."""
        path = f"/api/v1/namespaces/lab/pods/{name}"
        return self.state_of(path, condition)

    def state_of(self, path: str, condition: Callable[[JSON], bool]) -> JSON:
        """Wait for a state of an object."""
        seen: list[JSON] = []

        def look() -> bool:
            seen[:] = [self.get(path)]
            return condition(seen[0])

        self.until(look)
        return seen[0]

    def events(self, reason: str, namespace: str = "lab") -> list[JSON]:
        path = f"/api/v1/namespaces/{namespace}/events?fieldSelector=reason={reason}"
        found: list[JSON] = self.get(path)["items"]
        return found

    def event(self, reason: str, namespace: str = "lab") -> JSON:
        """Wait for an event."""
        self.until(lambda: bool(self.events(reason, namespace)))
        return self.events(reason, namespace)[0]

    @staticmethod
    def until(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, "waited in vain"
            time.sleep(0.02)

    @contextmanager
    def watch(self, path: str, **query: Any) -> Iterator[Iterator[JSON]]:
        """Open a watch; yields its events."""
        query = {"watch": "1", **query}
        with requests.get(
            self.url + path,
            params=query,
            headers=self.headers,
            stream=True,
            timeout=PATIENCE,
        ) as answer:
            assert answer.status_code == 200, answer.text
            yield (json.loads(line) for line in answer.iter_lines(chunk_size=None))


CONTAINER: JSON = {
    "name": "notebook",
    "image": "registry.example/lab:w1",
    "resources": {"limits": {"cpu": "1", "memory": "1Gi"}},
}

QUICK = {
    "service_account_delay": 0.0,
    "pull_seconds": 0.01,
    "start_delay": 0.0,
    "init_seconds": 0.0,
    "termination_delay": 0.0,
    "namespace_delay": 0.0,
    "pull_backoff": 0.05,
    "job_retry": 0.05,
}


@pytest.fixture
def start() -> Iterator[Callable[..., Cluster]]:
    """Start clusters with options."""
    started: list[SandboxThread] = []

    def run(**options: Any) -> Cluster:
        settings = ClusterSettings(**{**QUICK, **options.pop("settings", {})})
        thread = SandboxThread(SandboxOptions(settings=settings, tags=1, **options))
        started.append(thread)
        return Cluster(thread.start())

    yield run
    for thread in started:
        thread.stop()


@pytest.fixture
def cluster(start: Callable[..., Cluster]) -> Cluster:
    """A cluster without anything in it."""
    return start()


@pytest.fixture
def lab(cluster: Cluster) -> Cluster:
    """A cluster with the namespace ``lab``."""
    cluster.lab_namespace()
    return cluster
