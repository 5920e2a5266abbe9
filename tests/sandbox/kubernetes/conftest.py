"""An API server of its own for each test, in a thread, on a free port."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
from aiohttp import web
from kubernetes import client

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.faults import Faults
from nublado.sandbox.kubernetes.server import ApiServer
from nublado.sandbox.kubernetes.store import Store
from nublado.sandbox.stats import Stats

_T = TypeVar("_T")


class RunningApi:
    """An API server that runs in a thread."""

    def __init__(self, *, history: int = 10_000, tokens: tuple[str, ...] = ()) -> None:
        self.store = Store(history)
        self.faults = Faults()
        self.stats = Stats()
        self.server = ApiServer(self.store, self.faults, self.stats, tokens=tokens)
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def start(self) -> None:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def do(self, action: Callable[[Store], _T]) -> _T:
        """Use the store on the thread that it belongs to."""

        async def act() -> _T:
            return action(self.store)

        return asyncio.run_coroutine_threadsafe(act(), self._loop).result(10)

    def create(self, kind: str, name: str, namespace: str | None = None) -> JSON:
        obj = {"metadata": {"name": name}}
        return self.do(lambda store: store.create(kind, obj, namespace))

    def create_namespace(self, name: str) -> None:
        """Make a namespace with its service account, as controllers would."""
        self.create("Namespace", name)
        self.create("ServiceAccount", "default", name)

    def client(self, token: str | None = None) -> client.ApiClient:
        configuration = client.Configuration(host=self.url)
        api_client = client.ApiClient(configuration)
        if token is not None:
            api_client.set_default_header("Authorization", f"Bearer {token}")
        return api_client

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> tuple[int, JSON]:
        """Send a request as it is; return status and body."""
        with self.client() as api_client:
            response = api_client.rest_client.pool_manager.request(
                method,
                self.url + path,
                body=None if body is None else json.dumps(body),
                headers={"Content-Type": content_type, "Accept": accept},
                retries=False,
            )
            return response.status, json.loads(response.data)

    async def _start(self) -> None:
        self._runner = web.AppRunner(
            self.server.app, access_log=None, shutdown_timeout=1
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{port}"


@contextmanager
def run_api(**options: Any) -> Iterator[RunningApi]:
    running = RunningApi(**options)
    running.start()
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture
def api() -> Iterator[RunningApi]:
    """An API server with one namespace, ``lab``."""
    with run_api() as running:
        running.create_namespace("lab")
        yield running


@pytest.fixture
def api_with() -> Iterator[Callable[..., RunningApi]]:
    """Start API servers with options."""
    started: list[RunningApi] = []

    def start(**options: Any) -> RunningApi:
        running = RunningApi(**options)
        running.start()
        started.append(running)
        return running

    yield start
    for running in started:
        running.stop()


@pytest.fixture
def core(api: RunningApi) -> Iterator[client.CoreV1Api]:
    """The official client for the core API group."""
    with api.client() as api_client:
        yield client.CoreV1Api(api_client)


@pytest.fixture
def kubeconfig(api: RunningApi, tmp_path: Path) -> Path:
    """Configuration of ``kubectl`` for the API server."""
    path = tmp_path / "kubeconfig"
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "sandbox", "cluster": {"server": api.url}}],
        "contexts": [
            {
                "name": "sandbox",
                "context": {"cluster": "sandbox", "user": "me", "namespace": "lab"},
            }
        ],
        "users": [{"name": "me", "user": {}}],
        "current-context": "sandbox",
    }
    path.write_text(json.dumps(config))
    return path


@pytest.fixture
def pod() -> JSON:
    """A pod that is valid."""
    container = {
        "name": "notebook",
        "image": "registry.example/lab:w1",
        "resources": {
            "limits": {"cpu": "2.0", "memory": "4096Mi"},
            "requests": {"cpu": "0.5", "memory": "1Gi"},
        },
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "nb", "labels": {"app": "lab"}},
        "spec": {"containers": [container]},
    }
