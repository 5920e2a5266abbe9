"""The sandbox as a whole: all its servers in one process, on loopback."""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path

from aiohttp import web

from nublado.config.model import Config
from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.artifact_registry import ArtifactRegistry
from nublado.sandbox.containers.logs import ContainerLogs
from nublado.sandbox.containers.runtime import ContainerRuntime
from nublado.sandbox.control import make_control_app
from nublado.sandbox.deployment import NAMESPACE, provide_for, write_metadata
from nublado.sandbox.faults import Faults
from nublado.sandbox.gafaelfawr import Gafaelfawr
from nublado.sandbox.ingress import Ingress
from nublado.sandbox.kubernetes.controllers import ClusterSettings, Controllers
from nublado.sandbox.kubernetes.server import ApiServer
from nublado.sandbox.kubernetes.store import Store
from nublado.sandbox.registry import Registry
from nublado.sandbox.stats import Stats
from nublado.sandbox.webdav import FileServers

__all__ = ["Endpoints", "Sandbox", "SandboxOptions"]

_HOST = "127.0.0.1"
_NAMESPACES = ("default", "kube-system", "kube-public", NAMESPACE)


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
    """

    config: Config | None = None
    settings: ClusterSettings = field(default_factory=ClusterSettings)
    tags: int = 60
    ports: dict[str, int] = field(default_factory=dict)
    service_url: str | None = None
    hub_url: str | None = None
    directory: Path | None = None
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
        self.stats = Stats()
        self.store = Store()
        logs = ContainerLogs()
        self.api = ApiServer(self.store, self.faults, self.stats, logs=logs)
        self.runtime = self._runtime(options, logs)
        self.controllers = Controllers(self.store, self.settings, self.runtime)
        self.file_servers = FileServers(self.store, self.controllers.kubelet)
        self.registry = Registry(self.faults, self.stats)
        self.gafaelfawr = Gafaelfawr(self.faults, self.stats)
        prefixes = {}
        if options.config is not None:
            prefixes["prefix"] = options.config.path_prefix
            if options.config.fileserver is not None:
                prefixes["files_prefix"] = options.config.fileserver.path_prefix
        self.ingress = Ingress(
            self.gafaelfawr, self.faults, self.stats, self.file_servers, **prefixes
        )
        self.ingress.service_url = options.service_url
        self.ingress.hub_url = options.hub_url
        self._runners: list[web.AppRunner] = []

    async def start(self) -> Endpoints:
        """Start everything; returns once all servers listen."""
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
        endpoints = Endpoints(
            kubernetes=await self._serve("kubernetes", self.api.app),
            registry=await self._serve("registry", self._registries()),
            gafaelfawr=await self._serve("gafaelfawr", self.gafaelfawr.app()),
            ingress=await self._serve("ingress", self.ingress.app()),
            control=await self._serve("control", make_control_app(self)),
        )
        if self.options.directory is not None:
            write_metadata(self.store, self.options.directory / "podinfo")
            write_kubeconfig(
                self.options.directory / "kubeconfig", endpoints.kubernetes
            )
        return endpoints

    async def stop(self) -> None:
        """Stop everything."""
        self.api.watches.drop_all()
        for runner in self._runners:
            await runner.cleanup()
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

    async def _serve(self, name: str, app: web.Application) -> str:
        # Cancelling a handler whose client has gone ends what it has upstream.
        runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, shutdown_timeout=1.0
        )
        await runner.setup()
        site = web.TCPSite(runner, _HOST, self.options.ports.get(name, 0), backlog=2048)
        await site.start()
        self._runners.append(runner)
        host, port = runner.addresses[0][:2]
        return f"http://{host}:{port}"


def write_kubeconfig(path: Path, url: str) -> None:
    """Write the file by which clients find the API server."""
    name = "sandbox"
    config: JSON = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [{"name": name, "cluster": {"server": url}}],
        "users": [{"name": name, "user": {}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
    }
    path.write_text(json.dumps(config, indent=2))


def describe(endpoints: Endpoints) -> JSON:
    """Endpoints as JSON, for whoever started the sandbox."""
    return asdict(endpoints)
