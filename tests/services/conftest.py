"""The sandbox's registries, for tests of what is built on registries."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from aiohttp import web

from nublado.config.model import DockerSourceConfig, ImagesConfig
from nublado.sandbox.artifact_registry import ArtifactRegistry
from nublado.sandbox.faults import FaultRule, Faults
from nublado.sandbox.registry import Registry
from nublado.sandbox.stats import Stats

_T = TypeVar("_T")

_SECONDS = 60.0


class RunningRegistry:
    """A registry with the repository ``lab``, running in a thread.

    Its attributes may be changed by `change` only, which does so between two
    requests.
    """

    def __init__(self) -> None:
        self.faults = Faults()
        self.stats = Stats()
        self.server = Registry(self.faults, self.stats, repositories={"lab": {}})
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        app = self.server.app()
        ArtifactRegistry(self.server).add_routes(app)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        self.host = f"127.0.0.1:{self._await(self._start())}"
        self.reference = f"{self.host}/lab"

    def images_config(self, credentials: Path, **settings: Any) -> ImagesConfig:
        """Make a configuration with this registry as the source of images."""
        source = DockerSourceConfig(
            repository="lab", registry=self.host, credentials_path=credentials
        )
        return ImagesConfig(source=source, **settings)

    def change(self, function: Callable[[], _T]) -> _T:
        """Call a function that changes something between two requests."""

        async def call() -> _T:
            return function()

        return self._await(call())

    def push(self, **tags: str) -> None:
        """Let tags point to digests."""
        self.change(lambda: self.server.repositories["lab"].update(tags))

    def remove(self, tag: str) -> None:
        """Remove a tag."""
        self.change(lambda: self.server.repositories["lab"].pop(tag))

    def fail(self, *rules: FaultRule) -> None:
        """Replace what goes wrong."""
        self.change(lambda: setattr(self.faults, "rules", list(rules)))

    def requests(self) -> dict[str, int]:
        """Count requests by method since the last call."""

        def take() -> dict[str, int]:
            counts: dict[str, int] = {}
            for key, number in self.stats.requests.items():
                counts[key.method] = counts.get(key.method, 0) + number
            self.stats.requests.clear()
            return counts

        return self.change(take)

    def stop(self) -> None:
        """Stop the server and its thread."""
        self._await(self._runner.cleanup())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _start(self) -> int:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port: int = self._runner.addresses[0][1]
        return port

    def _await(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        return future.result(_SECONDS)


@pytest.fixture
def running_registry() -> Iterator[RunningRegistry]:
    """A registry without any tag."""
    registry = RunningRegistry()
    yield registry
    registry.stop()
