"""The service under gunicorn in front of a sandbox, as processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import requests

from nublado.config import load
from nublado.config.environment import Environment
from nublado.config.model import Config, Style
from nublado.sandbox.cluster import Endpoints
from nublado.sandbox.known_images import registry_host
from nublado.sandbox.kubernetes.releases import DEFAULT_RELEASE
from nublado.sandbox.launch import Control, SandboxProcess
from nublado.sandbox.ports import free_port
from nublado.sandbox.repertoire import REPERTOIRE_PATH

__all__ = ["ServiceProcess", "Stack"]

_READY_SECONDS = 120.0
_STOP_SECONDS = 30.0
_PROBE_SECONDS = 5.0


class ServiceProcess:
    """The service, as gunicorn runs it.

    Parameters
    ----------
    environ
        Environment in addition to that of this process.
    log
        File for what it writes; by default it shares that of this process.
    port
        Where it listens; by default a free one.
    descriptors
        How many files it may have open; by default what it inherits.
    """

    def __init__(
        self,
        environ: dict[str, str],
        log: IO[str] | None = None,
        port: int | None = None,
        descriptors: int | None = None,
    ) -> None:
        self.port = port or free_port()
        self._limits = (
            []
            if descriptors is None
            else ["prlimit", f"--nofile={descriptors}:{descriptors}", "--"]
        )
        self.url = f"http://127.0.0.1:{self.port}"
        self._environ = {
            **os.environ,
            **environ,
            "NUBLADO_BIND": f"127.0.0.1:{self.port}",
        }
        self._log = log
        self._process: subprocess.Popen[str] | None = None

    @property
    def pid(self) -> int:
        """Process id of gunicorn's master."""
        assert self._process is not None  # noqa: S101
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def has_processes(self) -> bool:
        """Whether any of its processes lives, be it without gunicorn's master."""
        if self.is_running:
            return True
        try:
            os.killpg(self.pid, 0)
        except ProcessLookupError:
            return False
        return True

    @property
    def exit_code(self) -> int | None:
        """With what it has ended; None if it has not."""
        return None if self._process is None else self._process.poll()

    def start(self) -> None:
        """Start it; `wait_ready` tells when it may be asked."""
        self._process = subprocess.Popen(  # noqa: S603
            [
                *self._limits,
                sys.executable,
                "-m",
                "nublado.sandbox.leash",
                "gunicorn",
                "-c",
                "python:nublado.gunicorn_conf",
            ],
            env=self._environ,
            stdin=subprocess.PIPE,
            stdout=self._log,
            stderr=self._log,
            text=True,
            # A group of its own, so that worker and master can be killed at once.
            start_new_session=True,
        )

    def wait_ready(self, seconds: float = _READY_SECONDS) -> None:
        """Wait until it is ready.

        Raises
        ------
        RuntimeError
            Raised if it ends, or takes too long.
        """
        deadline = time.monotonic() + seconds
        while not self._is_ready():
            assert self._process is not None  # noqa: S101
            if self._process.poll() is not None:
                code = self._process.returncode
                raise RuntimeError(f"The service has ended with {code}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"The service is not ready after {seconds:g} s")
            time.sleep(0.05)

    def kill(self) -> None:
        """Kill it and its worker, as a crash would."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._wait(_STOP_SECONDS)

    def stop(self) -> None:
        """Stop it as Kubernetes does; kill it if that takes too long."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def _wait(self, seconds: float) -> None:
        assert self._process is not None  # noqa: S101
        self._process.wait(seconds)
        # Not earlier: it is killed when that closes.
        assert self._process.stdin is not None  # noqa: S101
        self._process.stdin.close()

    def _is_ready(self) -> bool:
        try:
            probe = requests.get(f"{self.url}/readyz", timeout=_PROBE_SECONDS)
        except requests.RequestException:
            return False
        return bool(probe.status_code == requests.codes.ok)


class Stack:
    """A sandbox prepared for a configuration, and the service in front of it.

    Parameters
    ----------
    config_file
        Configuration of the service.
    sandbox_arguments
        Further arguments of ``nublado sandbox``.
    kubernetes
        Release of Kubernetes that the cluster is, such as ``1.34``.
    rbac
        Roles and bindings to which the service is held; without them, it may
        do everything.
    environ
        Further environment of the service.
    log
        File for what the service and the sandbox write.
    descriptors
        How many files the service may have open; by default what it inherits.
    directory
        Where to write files of the sandbox; a temporary one by default. It is
        removed in the end.
    """

    def __init__(
        self,
        config_file: Path,
        *sandbox_arguments: str,
        kubernetes: str = DEFAULT_RELEASE,
        rbac: Path | None = None,
        environ: dict[str, str] | None = None,
        log: IO[str] | None = None,
        descriptors: int | None = None,
        directory: Path | None = None,
    ) -> None:
        self._descriptors = descriptors
        self.config: Config = load(config_file)
        self._config_file = config_file
        self._environ = environ or {}
        self._log = log
        arguments = ["--config", str(config_file), "--kubernetes", kubernetes]
        if rbac is not None:
            arguments += ["--rbac", str(rbac)]
        self.sandbox = SandboxProcess(
            *arguments, *sandbox_arguments, directory=directory, log=log
        )
        self.endpoints: Endpoints
        self.control: Control
        self.service: ServiceProcess

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
    def log_file(self) -> str | None:
        """Path of the file that service and sandbox write to, if they have one."""
        return None if self._log is None else self._log.name

    @property
    def api_url(self) -> str:
        """Where the routes of the service are, without the ingress."""
        return f"{self.service.url}{self.config.path_prefix}"

    @property
    def ingress_url(self) -> str:
        """Where the routes of the service are, behind the ingress."""
        return f"{self.endpoints.ingress}{self.config.path_prefix}"

    def start(self) -> None:
        """Start everything; returns once the service is ready."""
        try:
            self.endpoints = self.sandbox.start()
            self.control = Control(self.endpoints.control)
            self.start_service()
            self.service.wait_ready()
        except BaseException:
            self.stop()
            raise

    def start_service(self, port: int | None = None) -> None:
        """Start the service, anew if it was stopped or killed.

        Parameters
        ----------
        port
            Where it listens; by default a free one.
        """
        self.service = ServiceProcess(
            self._service_environ(), self._log, port, self._descriptors
        )
        self.control("PUT", "/service", {"url": self.service.url})
        self.service.start()

    def stop(self) -> None:
        """Stop everything."""
        if hasattr(self, "service"):
            self.service.stop()
        self.sandbox.stop()

    def kill(self) -> None:
        """Kill everything, and leave no files."""
        if hasattr(self, "service"):
            self.service.kill()
        self.sandbox.kill()

    def _service_environ(self) -> dict[str, str]:
        own_image = Environment().controller_image
        environ = {
            "NUBLADO_CONFIG": str(self._config_file.resolve()),
            "NUBLADO_METADATA_PATH": str(self.sandbox.podinfo),
            "EXTERNAL_INSTANCE_URL": self.endpoints.ingress,
            "NUBLADO_CONTROLLER_REPOSITORY": own_image.repository,
            "NUBLADO_CONTROLLER_TAG": own_image.tag,
            "KUBECONFIG": str(self.sandbox.kubeconfig),
            "NUBLADO_REGISTRY_MIRRORS": (
                f"{registry_host(self.config)}={self.endpoints.registry}"
            ),
        }
        if self.config.style is Style.NEW:
            environ["REPERTOIRE_BASE_URL"] = (
                f"{self.endpoints.ingress}{REPERTOIRE_PATH}"
            )
        return {**environ, **self._environ}
