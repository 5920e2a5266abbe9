"""The whole platform on one machine: cluster, service, JupyterHub, labs."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from nublado.sandbox.hub_process import HubProcess, ProxyProcess, singleuser
from nublado.sandbox.stack import Stack

__all__ = ["Platform"]


class Platform:
    """Starts and stops everything, in the right order.

    Parameters
    ----------
    config_file
        Configuration of the service.
    sandbox_arguments
        Further arguments of ``nublado sandbox``.
    logs
        Directory for what the parts write.
    report
        Is told what is being done.
    """

    def __init__(
        self,
        config_file: Path,
        *sandbox_arguments: str,
        logs: Path,
        report: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._config_file = config_file
        self._sandbox_arguments = sandbox_arguments
        self.logs = logs
        self._report = report
        self._cleanup = ExitStack()
        self.stack: Stack
        self.proxy: ProxyProcess
        self.hub: HubProcess

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Where the platform is, for browsers."""
        return self.stack.endpoints.ingress

    def start(self) -> None:
        """Start everything; returns once JupyterHub answers.

        Raises
        ------
        HubUnavailableError
            Raised if something is not installed, or if JupyterHub or its proxy
            does not start.
        RuntimeError
            Raised if the cluster or the service does not start.
        """
        with ExitStack() as starting:
            self._start(starting)
            self._cleanup = starting.pop_all()

    def stop(self) -> None:
        """Stop everything."""
        self._cleanup.close()

    def _start(self, starting: ExitStack) -> None:
        arguments = ("--run-labs", str(singleuser()), *self._sandbox_arguments)
        log = starting.enter_context(self._open_log("service"))
        self._report("Starting cluster, registry, Gafaelfawr, ingress and controller")
        self.stack = Stack(self._config_file, *arguments, log=log)
        starting.enter_context(self.stack)
        self._report("Starting JupyterHub and its proxy")
        directory = tempfile.TemporaryDirectory(prefix="jupyterhub-")
        starting.enter_context(directory)
        log = starting.enter_context(self._open_log("proxy"))
        self.proxy = ProxyProcess(self.stack.endpoints.control, log)
        log = starting.enter_context(self._open_log("jupyterhub"))
        self.hub = HubProcess(self.stack, self.proxy, Path(directory.name), log)
        starting.callback(self.proxy.stop)
        self.proxy.start(self.hub.url)
        starting.callback(self.hub.stop)
        self.hub.start()
        self.hub.wait_ready()
        self.stack.control("PUT", "/hub", {"url": self.proxy.url})

    def _open_log(self, name: str) -> IO[str]:
        return (self.logs / f"{name}.log").open("w")
