"""Everything that lives as long as the process, and how it starts and stops."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from nublado.background import Background
from nublado.config.model import Config, DockerSourceConfig, ImagesConfig
from nublado.constants import CATEGORY_LAB, LABEL_CATEGORY
from nublado.exceptions import NubladoError
from nublado.models.domain.kubernetes import JSON
from nublado.models.domain.node import Node
from nublado.services.alerts import Alerts
from nublado.services.builder.lab import LabBuilder
from nublado.services.image import ImageService
from nublado.services.lab.manager import LabManager
from nublado.services.lab.reconcile import LabReconciler
from nublado.services.lab.spawn import Spawner
from nublado.services.metrics import make_registry
from nublado.services.source.base import ImageSource
from nublado.services.source.docker import DockerImageSource
from nublado.services.streams import StreamSlots
from nublado.storage.docker import parse_mirrors
from nublado.storage.gafaelfawr import GafaelfawrClient
from nublado.storage.kubernetes.client import KubernetesClient
from nublado.storage.kubernetes.deletion import Deleter
from nublado.storage.kubernetes.lab import LabStorage
from nublado.storage.kubernetes.node import NodeStorage
from nublado.storage.kubernetes.objects import ObjectStore
from nublado.storage.kubernetes.pod import POD_EVENTS, PodStorage, reduce_pod
from nublado.storage.kubernetes.resource import NAMESPACE, POD
from nublado.storage.kubernetes.watcher import Selection, Watcher
from nublado.storage.metadata import PodMetadata
from nublado.storage.slack import SlackWebhook

__all__ = ["Environment", "ProcessContext"]

_DEFAULT_THREADS = 800
_SYNC_SECONDS = 30.0
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 15.0


@dataclass(frozen=True, slots=True)
class Environment:
    """What comes from the environment of the process, not from its file.

    Parameters
    ----------
    external_url
        Base URL of the platform.
    metadata_path
        Directory with the metadata of the controller's pod, in place of the
        configured one.
    slack_webhook
        Where alerts go; a secret.
    registry_mirrors
        Endpoints that are asked in place of a registry, by its host.
    threads
        How many requests are served at a time, event streams included.
    """

    external_url: str = "http://127.0.0.1:8080"
    metadata_path: Path | None = None
    slack_webhook: str | None = field(default=None, repr=False)
    registry_mirrors: Mapping[str, str] = field(default_factory=dict)
    threads: int = _DEFAULT_THREADS

    @classmethod
    def read(cls, environ: Mapping[str, str] = os.environ) -> Environment:
        """Read the environment.

        Raises
        ------
        ValueError
            Raised if a variable has a value that cannot be used.
        """
        url = environ.get("EXTERNAL_INSTANCE_URL") or cls().external_url
        metadata = environ.get("NUBLADO_METADATA_PATH")
        return cls(
            external_url=url.rstrip("/"),
            metadata_path=Path(metadata) if metadata else None,
            slack_webhook=environ.get("NUBLADO_SLACK_WEBHOOK") or None,
            registry_mirrors=parse_mirrors(environ.get("NUBLADO_REGISTRY_MIRRORS", "")),
            threads=_threads(environ.get("NUBLADO_THREADS")),
        )

    @property
    def streams(self) -> int:
        """How many of the threads event streams may take."""
        return self.threads - max(8, self.threads // 4)


class ProcessContext:
    """Owns every long-lived object of the process.

    Parameters
    ----------
    config
        Configuration.
    environment
        What comes from the environment.

    Raises
    ------
    NubladoError
        Raised if something is missing without which nothing can ever work.
    """

    def __init__(self, config: Config, environment: Environment) -> None:
        self.config = config
        self.environment = environment
        self.streams = StreamSlots(environment.streams)
        self._log = structlog.get_logger(__name__)
        self._ready = threading.Event()
        self._stopping = threading.Event()
        self._starting_problem = "starting"

        webhook = environment.slack_webhook
        self.alerts = Alerts(config.name, SlackWebhook(webhook) if webhook else None)
        self.metadata = PodMetadata.read(
            environment.metadata_path or config.metadata_path
        )
        self.gafaelfawr = GafaelfawrClient(environment.external_url)

        self.kubernetes = KubernetesClient.connect()
        objects = ObjectStore(self.kubernetes)
        self._pods = Watcher(
            self.kubernetes, Selection(POD, labels=LABEL_CATEGORY, reduce=reduce_pod)
        )
        self._namespaces = Watcher(
            self.kubernetes,
            Selection(
                NAMESPACE,
                labels=f"{LABEL_CATEGORY}={CATEGORY_LAB}",
                reduce=_metadata_only,
            ),
        )
        self._events = Watcher(self.kubernetes, POD_EVENTS, on_demand=True)
        self.watchers = (self._pods, self._namespaces, self._events)

        self._nodes = NodeStorage(objects)
        self.images = ImageService(
            config.images, _image_source(config.images, environment)
        )
        builder = LabBuilder(config.lab, environment.external_url)
        storage = LabStorage(
            objects,
            PodStorage(objects, self._pods, self._events),
            Deleter(objects, {POD: self._pods, NAMESPACE: self._namespaces}),
        )
        spawner = Spawner(config.lab, self.metadata.namespace, builder, storage)
        self.labs = LabManager(
            config.lab, self.images, builder, storage, spawner, self.alerts
        )
        self._reconciler = LabReconciler(
            config.lab, builder, storage, spawner, self.labs, self.alerts
        )
        self.metrics = make_registry(self.labs.table, self.streams, self.watchers)
        self._pods.listen(self.labs.observe)
        self.background = Background(self.alerts)
        self._starter = threading.Thread(target=self._start, name="start", daemon=True)

    # --- Start and stop --------------------------------------------------

    def start(self) -> None:
        """Begin to start; `wait_ready` tells when that is done."""
        self._starter.start()

    def stop(self) -> None:
        """Stop what runs, leaving what it made to the next process."""
        self._stopping.set()
        self._ready.clear()
        self.background.stop()
        self.labs.stop()
        for watcher in self.watchers:
            watcher.stop()
        self.alerts.stop()
        self.images.close()
        self.gafaelfawr.close()
        self.kubernetes.close()
        self._log.info("Stopped")

    def wait_ready(self, seconds: float) -> bool:
        """Wait until requests can be answered; False if it takes longer."""
        return not self._stopping.is_set() and self._ready.wait(seconds)

    def unhealthy(self) -> list[str]:
        """What is wrong with the process, if only a restart can help."""
        problems = [f"{w.name} has died" for w in self.watchers if w.dead]
        if self._ready.is_set() and not self.background.alive:
            problems.append("scheduler has died")
        return problems

    def unready(self) -> list[str]:
        """Why requests cannot be answered now."""
        if self._stopping.is_set():
            return ["stopping"]
        return [] if self._ready.is_set() else [self._starting_problem]

    def _start(self) -> None:
        """Do all that comes before the first request, until it succeeds."""
        self.alerts.start()
        for watcher in self.watchers:
            watcher.start()
        pause = _FIRST_PAUSE
        for step in (self._sync, self.refresh_images, self._reconciler.reconcile):
            while not self._stopping.is_set():
                try:
                    step()
                    break
                except NubladoError as e:
                    self._starting_problem = str(e)
                    self._log.error(
                        "Cannot start yet, trying again", error=str(e), seconds=pause
                    )
                except Exception as e:  # noqa: BLE001
                    self._starting_problem = "internal error, see the log"
                    self._log.exception("Cannot start yet, trying again")
                    self.alerts.report(e)
                self._stopping.wait(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
        if self._stopping.is_set():
            return
        self.background.start(
            refresh_images=self.refresh_images,
            reconcile_labs=self._reconciler.reconcile,
        )
        self._ready.set()
        self._log.info("Ready")

    def _sync(self) -> None:
        for watcher in (self._pods, self._namespaces):
            if not watcher.wait_synced(_SYNC_SECONDS):
                raise NubladoError(f"Kubernetes does not answer ({watcher.name})")

    def refresh_images(self) -> None:
        """Ask again which images there are, and which nodes have them."""
        lab = self.config.lab
        tolerations = [toleration.to_kubernetes() for toleration in lab.tolerations]
        found = self._nodes.list(lab.node_selector)
        self.images.refresh(Node.from_kubernetes(node, tolerations) for node in found)


def _image_source(config: ImagesConfig, environment: Environment) -> ImageSource:
    source = config.source
    if isinstance(source, DockerSourceConfig):
        return DockerImageSource(config, source, environment.registry_mirrors)
    raise NubladoError("Google Artifact Registry is not supported yet")


def _metadata_only(obj: JSON) -> JSON:
    return {"metadata": obj["metadata"]}


def _threads(text: str | None) -> int:
    if not text:
        return _DEFAULT_THREADS
    if not text.isascii() or not text.isdigit() or int(text) < 16:
        raise ValueError(f"NUBLADO_THREADS must be a number from 16 on, not {text!r}")
    return int(text)
