"""The sandbox as a whole: all its servers in one process, on loopback."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import web

from nublado.config.model import Config, PagesConfig
from nublado.models.domain.kubernetes import JSON
from nublado.pages.look import Look, look
from nublado.sandbox.artifact_registry import ArtifactRegistry
from nublado.sandbox.control import make_control_app
from nublado.sandbox.deployment import NAMESPACE, provide_for, write_metadata
from nublado.sandbox.faults import Faults
from nublado.sandbox.gafaelfawr import Gafaelfawr
from nublado.sandbox.ingress import Ingress
from nublado.sandbox.known_images import known_images
from nublado.sandbox.kubernetes.containers.logs import ContainerLogs
from nublado.sandbox.kubernetes.containers.runtime import ContainerRuntime
from nublado.sandbox.kubernetes.controllers import ClusterSettings, Controllers
from nublado.sandbox.kubernetes.errors import ApiError
from nublado.sandbox.kubernetes.releases import DEFAULT_RELEASE, release_named
from nublado.sandbox.kubernetes.server import ApiServer
from nublado.sandbox.kubernetes.store import Store
from nublado.sandbox.listener import Listener
from nublado.sandbox.outage import ApiServerOutage
from nublado.sandbox.pages import Pages
from nublado.sandbox.registry import Registry
from nublado.sandbox.roles import bind_roles
from nublado.sandbox.stats import Stats
from nublado.sandbox.webdav import FileServers

__all__ = ["Endpoints", "Sandbox", "SandboxError", "SandboxOptions"]

_NAMESPACES = ("default", "kube-system", "kube-public", NAMESPACE)


class SandboxError(Exception):
    """The sandbox cannot start."""


@dataclass(frozen=True, slots=True)
class SandboxOptions:
    """How to run a sandbox.

    Parameters
    ----------
    config
        Configuration of the deployment that the cluster is prepared for.
    settings
        How fast and how well the cluster works.
    tags
        How many tags the registry has.
    ports
        Port of each server, by the names of `Endpoints`; any if left out.
    service_url
        Where the ingress finds the service; may be set later.
    hub_url
        Where the ingress finds JupyterHub's proxy; may be set later. Without,
        pages of its own stand in for JupyterHub.
    directory
        Where ``kubeconfig`` and ``podinfo`` are written, and where the files of
        labs that run are while the sandbox does.
    run_labs
        Program that is run for each pod of a lab, as a rule
        ``jupyterhub-singleuser``; None to simulate labs like all other pods.
        Where ``kubeconfig`` and ``podinfo`` are written.
    kubernetes
        Release of Kubernetes, such as ``1.34``.
    faults
        Faults from the very start, as the control API takes them.
    rbac
        Roles and bindings (`read_manifests`) to which service accounts are
        held; None lets everybody do everything.
    """

    config: Config | None = None
    settings: ClusterSettings = field(default_factory=ClusterSettings)
    tags: int = 60
    ports: dict[str, int] = field(default_factory=dict)
    service_url: str | None = None
    hub_url: str | None = None
    directory: Path | None = None
    kubernetes: str = DEFAULT_RELEASE
    faults: JSON = field(default_factory=dict)
    rbac: list[JSON] | None = None
    run_labs: Path | None = None


@dataclass(frozen=True, slots=True)
class Endpoints:
    """URLs of the servers."""

    kubernetes: str
    registry: str
    gafaelfawr: str
    ingress: str
    control: str


class Sandbox:
    """A cluster with a registry, Gafaelfawr and an ingress.

    Parameters
    ----------
    options
        How to run it.
    """

    def __init__(self, options: SandboxOptions) -> None:
        self.options = options
        self.settings = options.settings
        self.faults = Faults()
        self.faults.from_json(options.faults)
        self.stats = Stats()
        self.store = Store()
        release = release_named(options.kubernetes)
        logs = ContainerLogs()
        self.api = ApiServer(
            self.store, self.faults, self.stats, release=release, logs=logs
        )
        self.runtime = self._runtime(options, logs)
        if self.runtime is not None:
            self.api.execute = self.runtime.execute
        self.controllers = Controllers(self.store, self.settings, release, self.runtime)
        self.file_servers = FileServers(
            self.store, self.controllers.kubelet, options.directory
        )
        self.registry = Registry(self.faults, self.stats)
        self.gafaelfawr = Gafaelfawr(self.faults, self.stats)
        prefixes = {}
        if options.config is not None:
            prefixes["prefix"] = options.config.path_prefix
            if options.config.fileserver is not None:
                prefixes["files_prefix"] = options.config.fileserver.path_prefix
        self.ingress = Ingress(
            self.gafaelfawr,
            self.faults,
            self.stats,
            self.file_servers,
            Pages(_look(options.config)),
            **prefixes,
        )
        self.ingress.service_url = options.service_url
        self._listeners: list[Listener] = []
        self._kubernetes = self._listener("kubernetes", self.api.app)
        self.outage = ApiServerOutage(self._kubernetes, self.api, self.store)
        self.ingress.hub_url = options.hub_url

    async def start(self) -> Endpoints:
        """Start everything; returns once all servers listen.

        Raises
        ------
        SandboxError
            Raised if a port is taken, or the configuration or the roles need
            something that cannot be. Nothing is left running then.
        """
        try:
            return await self._start()
        except ApiError as e:
            await self.stop()
            raise SandboxError(f"The cluster cannot be prepared: {e}") from e
        except BaseException:
            await self.stop()
            raise

    async def _start(self) -> Endpoints:
        for name in _NAMESPACES:
            self.store.create("Namespace", {"metadata": {"name": name}})
            account = {"metadata": {"name": "default"}}
            self.store.create("ServiceAccount", account, name)
        await self.controllers.start()
        self.file_servers.start()
        if self.options.config is not None:
            provide_for(
                self.options.config,
                self.store,
                self.controllers.nodes,
                self.registry,
                self.options.tags,
            )
        token = None
        if self.options.rbac is not None:
            token = bind_roles(self.store, self.options.rbac)
            self.api.access.enforced = True
        endpoints = Endpoints(
            kubernetes=await self._listen("kubernetes", self._kubernetes),
            registry=await self._serve("registry", self._registries()),
            gafaelfawr=await self._serve("gafaelfawr", self.gafaelfawr.app()),
            ingress=_by_name(await self._serve("ingress", self.ingress.app())),
            control=await self._serve("control", make_control_app(self)),
        )
        if self.options.directory is not None:
            write_metadata(self.store, self.options.directory / "podinfo")
            write_kubeconfig(
                self.options.directory / "kubeconfig", endpoints.kubernetes, token
            )
        return endpoints

    def known_images(self) -> set[str]:
        """References of the images that there are."""
        return known_images(self.options.config, self.registry, self.store)

    async def stop(self) -> None:
        """Stop everything."""
        await self.outage.stop()
        self.api.watches.drop_all()
        for listener in self._listeners:
            await listener.stop()
        await self.file_servers.stop()
        await self.controllers.stop()

    def _runtime(
        self, options: SandboxOptions, logs: ContainerLogs
    ) -> ContainerRuntime | None:
        if options.run_labs is None:
            return None
        if options.directory is not None:
            options.directory.mkdir(parents=True, exist_ok=True)
        made = tempfile.mkdtemp(prefix="sandbox-labs-", dir=options.directory)
        return ContainerRuntime(self.store, logs, options.run_labs, Path(made))

    def _registries(self) -> web.Application:
        app = self.registry.app()
        ArtifactRegistry(self.registry).add_routes(app)
        return app

    def _listener(self, name: str, app: web.Application) -> Listener:
        listener = Listener(app, self.options.ports.get(name, 0))
        self._listeners.append(listener)
        return listener

    async def _serve(self, name: str, app: web.Application) -> str:
        return await self._listen(name, self._listener(name, app))

    async def _listen(self, name: str, listener: Listener) -> str:
        try:
            await listener.start()
        except OSError as e:
            port = self.options.ports.get(name, 0)
            reason = os.strerror(e.errno) if e.errno else str(e)
            raise SandboxError(
                f"The server {name} cannot listen on port {port}: {reason}."
                " Choose another port, or none for any that is free."
            ) from e
        return listener.url


def write_kubeconfig(path: Path, url: str, token: str | None = None) -> None:
    """Write the file by which clients find the API server.

    Parameters
    ----------
    path
        The file.
    url
        Where the API server is.
    token
        Token of the user; without it, the user is the administrator.
    """
    name = "sandbox"
    user = {} if token is None else {"token": token}
    config: JSON = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [{"name": name, "cluster": {"server": url}}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
    }
    path.write_text(json.dumps(config, indent=2))


def _by_name(url: str) -> str:
    """The URL of a server by the name of this machine.

    There are no ingresses of addresses, so no platform has one as its base URL.
    """
    parts = urlsplit(url)
    return parts._replace(netloc=f"localhost:{parts.port}").geturl()


def describe(endpoints: Endpoints) -> JSON:
    """Endpoints as JSON, for whoever started the sandbox."""
    return asdict(endpoints)


def _look(config: Config | None) -> Look:
    """Look of the platform that a configuration is for."""
    if config is None:
        return look("Nublado", PagesConfig())
    return look(config.name, config.pages)
