"""Everything that lives as long as the process, and how it starts and stops."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from nublado.background import Background
from nublado.config.model import Config, FileserverConfig
from nublado.constants import (
    CATEGORY_FILESERVER,
    CATEGORY_LAB,
    IMAGE_REFRESH_INTERVAL,
    LABEL_CATEGORY,
)
from nublado.exceptions import NubladoError
from nublado.models.domain.kubernetes import JSON
from nublado.services.alerts import Alerts
from nublado.services.builder.fileserver import FileserverBuilder
from nublado.services.builder.lab import LabBuilder
from nublado.services.builder.prepull import PrepullPodBuilder
from nublado.services.fileserver import FileserverManager
from nublado.services.form import FormService
from nublado.services.image import ImageService
from nublado.services.lab.manager import LabManager
from nublado.services.lab.reconcile import LabReconciler
from nublado.services.lab.spawn import Spawner
from nublado.services.metrics import make_registry
from nublado.services.nodes import NodeService
from nublado.services.prepuller import Prepuller
from nublado.services.source.configured import make_image_source
from nublado.services.status import StatusService
from nublado.services.streams import StreamSlots
from nublado.storage.docker_hosts import parse_mirrors
from nublado.storage.gafaelfawr import GafaelfawrClient
from nublado.storage.kubernetes.client import KubernetesClient
from nublado.storage.kubernetes.deletion import Deleter
from nublado.storage.kubernetes.fileserver import (
    FileserverStorage,
    FileserverWatchers,
)
from nublado.storage.kubernetes.lab import LabStorage
from nublado.storage.kubernetes.node import NodeStorage
from nublado.storage.kubernetes.objects import ObjectStore
from nublado.storage.kubernetes.pod import POD_EVENTS, PodStorage, reduce_pod
from nublado.storage.kubernetes.prepull import PrepullStorage
from nublado.storage.kubernetes.resource import INGRESS, JOB, NAMESPACE, POD
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
    refresh_interval
        How often to ask which images there are (seconds).
    """

    external_url: str = "http://127.0.0.1:8080"
    metadata_path: Path | None = None
    slack_webhook: str | None = field(default=None, repr=False)
    registry_mirrors: Mapping[str, str] = field(default_factory=dict)
    threads: int = _DEFAULT_THREADS
    refresh_interval: float = IMAGE_REFRESH_INTERVAL

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
            refresh_interval=_interval(environ.get("NUBLADO_REFRESH_INTERVAL")),
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
        self.watchers: tuple[Watcher, ...] = (
            self._pods,
            self._namespaces,
            self._events,
        )

        self._needed: tuple[Watcher, ...] = (self._pods, self._namespaces)
        self._nodes = NodeService(config.lab, NodeStorage(objects))
        self.images = ImageService(
            config.images,
            make_image_source(config.images, environment.registry_mirrors),
        )
        builder = LabBuilder(config.lab, environment.external_url)
        self.forms = FormService(config.lab, builder, self.images)
        pods = PodStorage(objects, self._pods, self._events)
        deleter = Deleter(objects, {POD: self._pods, NAMESPACE: self._namespaces})
        storage = LabStorage(objects, pods, deleter)
        spawner = Spawner(config.lab, self.metadata.namespace, builder, storage)
        self.labs = LabManager(
            config.lab, self.images, builder, storage, spawner, self.alerts
        )
        self._reconciler = LabReconciler(
            config.lab, builder, storage, spawner, self.labs, self.alerts
        )
        namespace = self.metadata.namespace
        self.prepuller = Prepuller(
            self.images,
            self._nodes,
            PrepullPodBuilder(config.lab, namespace, self.metadata.owner_reference()),
            PrepullStorage(namespace, objects, pods, deleter),
            self.alerts,
        )
        self.fileservers: FileserverManager | None = None
        if config.fileserver is not None:
            self.fileservers = self._make_fileservers(config.fileserver, objects)
        self.background = Background(self.alerts)
        self.metrics = make_registry(
            self.labs.table, self.streams, self.watchers, lambda: self.background.jobs
        )
        self.status = StatusService(
            config.name,
            labs=self.labs.table,
            images=self.images,
            fileservers=self.fileservers,
            alerts=self.alerts,
            streams=self.streams,
            watchers=self.watchers,
            jobs=lambda: self.background.jobs,
            problems=lambda: self.unhealthy() + self.unready(),
        )
        self._pods.listen(self.labs.observe)
        self._starter = threading.Thread(target=self._start, name="start", daemon=True)

    def _make_fileservers(
        self, config: FileserverConfig, objects: ObjectStore
    ) -> FileserverManager:
        jobs, ingresses = (
            Watcher(
                self.kubernetes,
                Selection(
                    resource,
                    namespace=config.namespace,
                    labels=f"{LABEL_CATEGORY}={CATEGORY_FILESERVER}",
                    reduce=reduce,
                ),
            )
            for resource, reduce in ((JOB, _metadata_only), (INGRESS, _with_status))
        )
        self.watchers += (jobs, ingresses)
        self._needed += (jobs, ingresses)
        watchers = FileserverWatchers(self._pods, jobs, ingresses)
        storage = FileserverStorage(config.namespace, objects, watchers)
        volumes = self.config.lab.volumes
        builder = FileserverBuilder(config, volumes, self.environment.external_url)
        manager = FileserverManager(config, builder, storage, self.alerts)
        for watcher in (self._pods, jobs):
            watcher.listen(manager.observe)
        return manager

    # --- Start and stop --------------------------------------------------

    def start(self) -> None:
        """Begin to start; `wait_ready` tells when that is done."""
        self._starter.start()

    def stop(self) -> None:
        """Stop what runs, leaving what it made to the next process."""
        self._stopping.set()
        self._ready.clear()
        self.background.stop()
        self.prepuller.stop()
        if self.fileservers is not None:
            self.fileservers.stop()
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

    def stops_within(self, seconds: float) -> bool:
        """Wait for the beginning of a stop; False if none comes in time."""
        return self._stopping.wait(seconds)

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
        steps = [self._sync, self.refresh_images, self._reconciler.reconcile]
        if self.fileservers is not None:
            steps.append(self.fileservers.reconcile)
        for step in steps:
            is_first = True
            while not self._stopping.is_set():
                try:
                    step()
                    break
                except Exception as e:  # noqa: BLE001
                    self._note_failed_start(e, pause, is_first=is_first)
                is_first = False
                self._stopping.wait(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
        if self._stopping.is_set():
            return
        self.background.start(
            refresh_images=self.refresh_images,
            reconcile_labs=self._reconciler.reconcile,
            reconcile_fileservers=(
                self.fileservers.reconcile if self.fileservers else None
            ),
            refresh_interval=self.environment.refresh_interval,
        )
        self._ready.set()
        self._log.info("Ready")

    def _note_failed_start(
        self, error: Exception, pause: float, *, is_first: bool
    ) -> None:
        """Log every failure of a step, but alert only once."""
        is_ours = isinstance(error, NubladoError)
        self._starting_problem = str(error) if is_ours else "internal error, see log"
        event = "Cannot start yet, trying again"
        if is_first or not is_ours:
            self.alerts.report(error, event=event, seconds=pause)
        else:
            self._log.error(event, error=str(error), seconds=pause)

    def _sync(self) -> None:
        for watcher in self._needed:
            if not watcher.wait_synced(_SYNC_SECONDS):
                raise NubladoError(f"Kubernetes does not answer ({watcher.name})")

    def refresh_images(self) -> None:
        """Ask again which images there are, and which nodes have them."""
        self.images.refresh(self._nodes.list())
        try:
            self.prepuller.start_missing()
        except NubladoError as e:
            self.alerts.report(e, event="Cannot start to prepull")


def _metadata_only(obj: JSON) -> JSON:
    return {"metadata": obj["metadata"]}


def _with_status(obj: JSON) -> JSON:
    return {"metadata": obj["metadata"], "status": obj.get("status") or {}}


def _threads(text: str | None) -> int:
    if not text:
        return _DEFAULT_THREADS
    if not text.isascii() or not text.isdigit() or int(text) < 16:
        raise ValueError(f"NUBLADO_THREADS must be a number from 16 on, not {text!r}")
    return int(text)


def _interval(text: str | None) -> float:
    if not text:
        return IMAGE_REFRESH_INTERVAL
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise ValueError(f"NUBLADO_REFRESH_INTERVAL must be seconds, not {text!r}")
    return float(text)
