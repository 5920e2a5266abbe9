"""The service under gunicorn in front of a sandbox, as processes."""

from __future__ import annotations

from pathlib import Path
from typing import IO, Self

from nublado.config import load
from nublado.config.environment import Environment
from nublado.config.model import Config, Style
from nublado.sandbox.cluster import Endpoints
from nublado.sandbox.known_images import registry_host
from nublado.sandbox.kubernetes.releases import DEFAULT_RELEASE
from nublado.sandbox.launch import Control, SandboxProcess
from nublado.sandbox.ports import free_port
from nublado.sandbox.repertoire import REPERTOIRE_PATH
from nublado.sandbox.server_process import ServerProcess, answers, on_leash

__all__ = ["ServiceProcess", "Stack"]


class ServiceProcess(ServerProcess):
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
        self.url = f"http://127.0.0.1:{self.port}"
        limits = (
            []
            if descriptors is None
            else ["prlimit", f"--nofile={descriptors}:{descriptors}", "--"]
        )
        command = on_leash("gunicorn", "-c", "python:nublado.gunicorn_conf")
        environ = {**environ, "NUBLADO_BIND": f"127.0.0.1:{self.port}"}
        super().__init__("The service", [*limits, *command], environ, log)

    def is_ready(self) -> bool:
        """Whether it may be asked."""
        return answers(f"{self.url}/readyz")


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

    def __exit__(self, *_: object) -> None:
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
        self.service.launch()

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
