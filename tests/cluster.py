"""An embedded cluster in this process, and what the service uses to talk to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from kubernetes.client import Configuration

from nublado.config import load
from nublado.config.environment import Environment
from nublado.config.model import DockerSourceConfig
from nublado.models.domain.gafaelfawr import GafaelfawrUser, parse_user_info
from nublado.models.domain.image import ImageSelection
from nublado.models.domain.lab import LabSpecification
from nublado.sandbox.cluster import Sandbox, SandboxOptions
from nublado.sandbox.deployment import NAMESPACE as CONTROLLER_NAMESPACE
from nublado.sandbox.kubernetes.controllers import ClusterSettings
from nublado.sandbox.kubernetes.releases import DEFAULT_RELEASE
from nublado.sandbox.launch import Control, SandboxThread
from nublado.services.alerts import Alerts
from nublado.services.builder.lab import LabBuilder
from nublado.services.history import History
from nublado.services.image import ImageService
from nublado.services.progress.service import ProgressService
from nublado.services.source.docker import DockerImageSource
from nublado.services.waiting import WaitingRoom
from nublado.storage.kubernetes.client import KubernetesClient
from nublado.storage.kubernetes.resource import POD
from nublado.timeout import Timeout
from nublado.wiring import make_cluster, make_labs
from tests.waiting import wait_for

CONFIG = Path(__file__).parent / "data" / "configs" / "e2e.yaml"


class Cluster:
    """A cluster of one test.

    Parameters
    ----------
    spawn_timeout
        How long a spawn may take, in seconds.
    config_file
        Configuration of the deployment.
    kubernetes
        Its release of Kubernetes.
    """

    def __init__(
        self,
        spawn_timeout: float = 60.0,
        config_file: Path = CONFIG,
        kubernetes: str = DEFAULT_RELEASE,
    ) -> None:
        settings = ClusterSettings(
            service_account_delay=0.01,
            pull_seconds=0.01,
            start_delay=0.01,
            init_seconds=0.01,
            termination_delay=0.01,
            namespace_delay=0.01,
            pull_backoff=0.1,
        )
        config = load(config_file)
        lab = replace(config.lab, spawn_timeout=spawn_timeout)
        self.config = replace(config, lab=lab)
        self._thread = SandboxThread(
            SandboxOptions(config=self.config, settings=settings, kubernetes=kubernetes)
        )
        self._services: list[Service] = []

    def __enter__(self) -> Self:
        endpoints = self._thread.start()
        self.url = endpoints.kubernetes
        self.registry = endpoints.registry
        self.control = Control(endpoints.control)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for service in self._services:
            service.stop()
        self._thread.stop()

    def call(self, function: Callable[[Sandbox], Any]) -> Any:
        """Call a function with the sandbox, on its event loop."""
        return self._thread.call(function)

    def client(self, connections: int = 16) -> KubernetesClient:
        """Make a connection to the cluster, or so many."""
        configuration = Configuration()
        configuration.host = self.url
        return KubernetesClient(configuration, pool_size=connections)

    def images(self) -> ImageService:
        """Make what knows the images of the cluster's registry."""
        config = self.config.images
        assert isinstance(config.source, DockerSourceConfig)
        mirrors = {config.source.registry: self.registry}
        images = ImageService(config, DockerImageSource(config, config.source, mirrors))
        images.refresh([])
        return images

    def service(self, connections: int = 16) -> Service:
        """Start what manages labs, as a process would."""
        service = Service(self, connections)
        self._services.append(service)
        return service

    def requests(self) -> int:
        """How many requests the API server has had."""
        counts = self.control.stats()["requests"]
        return sum(c["count"] for c in counts if c["target"] == "kubernetes")

    def namespaces(self) -> set[str]:
        """Names of the namespaces of labs."""
        prefix = f"{self.config.lab.namespace_prefix}-"

        def names(sandbox: Sandbox) -> set[str]:
            found = {n["metadata"]["name"] for n in sandbox.store.list("Namespace")}
            return {name for name in found if name.startswith(prefix)}

        found: set[str] = self.call(names)
        return found


class Service:
    """What the process context makes for labs."""

    def __init__(self, cluster: Cluster, connections: int) -> None:
        config = cluster.config
        self.cluster = make_cluster(cluster.client(connections), config)
        self.alerts = Alerts("test", None)
        self.history = History()
        self.images = cluster.images()
        self.builder = LabBuilder(
            config.lab, Environment(external_url="https://example.org").platform
        )
        self.labs, self.reconciler = make_labs(
            config=config.lab,
            namespace=CONTROLLER_NAMESPACE,
            builder=self.builder,
            cluster=self.cluster,
            images=self.images,
            alerts=self.alerts,
            history=self.history,
            waiting=WaitingRoom(1000),
        )
        self.progress = ProgressService(
            config=config.lab,
            labs=self.labs,
            images=self.images,
            history=self.history,
            pods=self.cluster.watcher(POD),
            blind_after=0.1,
        )
        self.cluster.start()
        self.cluster.wait_synced(60)

    def stop(self) -> None:
        self.labs.stop()
        self.images.close()
        self.cluster.stop()

    def spawn(self, username: str) -> list[str]:
        """Spawn a lab and return all messages of its events."""
        self.labs.create(user(username), SPECIFICATION)
        return self.messages(username)

    def messages(self, username: str) -> list[str]:
        """Wait for the end of the current operation; return its messages."""
        log = self.labs.operation(username).events
        wait_for(lambda: log.closed)
        return [event.message for event in log.all()]

    def status(self, username: str) -> str | None:
        record = self.labs.table.get(username)
        return record.state.status if record and record.state else None


SPECIFICATION = LabSpecification(
    size="small",
    image=ImageSelection(image_class="recommended"),
    env={"JUPYTERHUB_SERVICE_PREFIX": "/nb/user/x/"},
)


def user(username: str) -> GafaelfawrUser:
    """Make a user."""
    info = parse_user_info(
        {
            "username": username,
            "uid": 1101,
            "gid": 1101,
            "groups": [{"name": username, "id": 1101}],
        }
    )
    return GafaelfawrUser(info, f"gt-{username}.secret")


def timeout(seconds: float = 60.0) -> Timeout:
    """Make a deadline."""
    return Timeout("Test", seconds)
