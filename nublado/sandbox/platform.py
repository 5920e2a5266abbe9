"""The whole platform on one machine: cluster, service, JupyterHub, labs."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Self

from nublado.sandbox.hub_process import HubProcess, ProxyProcess, singleuser
from nublado.sandbox.log_file import LogFile
from nublado.sandbox.ports import free_port
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
    directory
        For logs and other files; removed in the end, even if this process is
        killed.
    report
        Is told what is being done.
    """

    def __init__(
        self,
        config_file: Path,
        *sandbox_arguments: str,
        directory: Path,
        report: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._config_file = config_file
        self._sandbox_arguments = sandbox_arguments
        self.directory = directory
        self._report = report
        self._parts: list[Stack | ProxyProcess | HubProcess] = []
        self._open_files = ExitStack()
        self.logs: dict[str, LogFile] = {}
        self.stack: Stack
        self.proxy: ProxyProcess
        self.hub: HubProcess

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Where the platform is, for browsers."""
        return self.stack.endpoints.ingress

    def start(self) -> None:
        """Start everything; returns once JupyterHub answers.

        Raises
        ------
        HubNotInstalledError
            Raised if a program is missing.
        RuntimeError
            Raised if a part does not start.
        """
        try:
            self._start_stack()
            self._start_hub()
        except BaseException:
            self._stop_parts()
            raise

    def stop(self) -> None:
        """Stop everything."""
        self._stop_parts()
        self._open_files.close()

    def kill(self) -> None:
        """Kill everything, and leave no files."""
        for part in reversed(self._parts):
            part.kill()

    def _start_stack(self) -> None:
        self.stack = Stack(
            self._config_file,
            *("--run-labs", str(singleuser())),
            *self._sandbox_arguments,
            log=self._open_log("service"),
            directory=self.directory,
        )
        self._parts.append(self.stack)
        self._report("Starting cluster, registry, Gafaelfawr, ingress and controller")
        self.stack.start()

    def _start_hub(self) -> None:
        self._report("Starting JupyterHub and its proxy")
        url = f"http://127.0.0.1:{free_port()}"
        control_url = self.stack.endpoints.control
        self.proxy = ProxyProcess(url, control_url, self._open_log("proxy"))
        log = self._open_log("jupyterhub")
        self.hub = HubProcess(url, self.stack, self.proxy, self.directory, log)
        for part in (self.proxy, self.hub):
            self._parts.append(part)
            part.launch()
            part.wait_ready()
        self.stack.control("PUT", "/hub", {"url": self.proxy.url})

    def _stop_parts(self) -> None:
        for part in reversed(self._parts):
            part.stop()

    def _open_log(self, name: str) -> IO[str]:
        log = self._open_files.enter_context(LogFile(self.directory / f"{name}.log"))
        self.logs[name] = log
        return log.writer
