"""Everything that lives as long as the process: built, started and stopped here."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

from nublado.background import Background
from nublado.config.environment import Environment
from nublado.config.model import Config, FileserverConfig
from nublado.constants import (
    CATEGORY_FILESERVER,
    CATEGORY_LAB,
    FILESERVER_RECONCILE_INTERVAL,
    LAB_RECONCILE_INTERVAL,
    LABEL_CATEGORY,
)
from nublado.descriptors import most_streams, raise_descriptor_limit
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
from nublado.services.streams import StreamWriter
from nublado.startup import Part, Startup
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

__all__ = ["ProcessContext"]

_SYNC_SECONDS = 1.0


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
        self.streams = StreamWriter(most_streams(raise_descriptor_limit()))
        self._log = structlog.get_logger(__name__)
        self._stopping = threading.Event()

        webhook = environment.slack_webhook
        self.alerts = Alerts(config.name, SlackWebhook(webhook) if webhook else None)
        self.metadata = PodMetadata.read(
            environment.metadata_path or config.metadata_path
        )
        self.gafaelfawr = GafaelfawrClient(environment.external_url)

        self.kubernetes = KubernetesClient.connect(environment.kubeconfig)
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
        self.status = StatusService(
            config.name,
            labs=self.labs.table,
            images=self.images,
            fileservers=self.fileservers,
            alerts=self.alerts,
            streams=self.streams,
            watchers=self.watchers,
            jobs=lambda: self.background.jobs,
            problems=lambda: self.unhealthy() + self.problems(),
        )
        self.metrics = make_registry(self.status)
        self._pods.listen(self.labs.observe)
        self._startup = Startup(self.alerts, self._steps(), self._schedule)

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
        """Begin to start; `wait_up` tells when a part of it is done."""
        self.alerts.start()
        self.streams.start()
        for watcher in self.watchers:
            watcher.start()
        self.background.start()
        self._startup.start()

    def stop(self) -> None:
        """Stop what runs, leaving what it made to the next process.

        The state of labs can be read until the end.
        """
        self._stopping.set()
        self._startup.stop()
        self.background.stop()
        self.prepuller.stop()
        if self.fileservers is not None:
            self.fileservers.stop()
        self.labs.stop()
        self.streams.stop()
        for watcher in self.watchers:
            watcher.stop()
        self.alerts.stop()
        self.images.close()
        self.gafaelfawr.close()
        self.kubernetes.close()
        self._log.info("Stopped")

    @property
    def stopping(self) -> bool:
        """Whether the process is about to end."""
        return self._stopping.is_set()

    def stops_within(self, seconds: float) -> bool:
        """Wait for the beginning of a stop; False if none comes in time."""
        return self._stopping.wait(seconds)

    def wait_up(self, part: Part, seconds: float) -> bool:
        """Wait until a part can be used; False if that takes longer."""
        return self._startup.wait_up(part, seconds)

    def why_not_up(self, part: Part) -> str:
        """Why a part cannot be used yet."""
        return self._startup.problem(part)

    def unhealthy(self) -> list[str]:
        """What is wrong with the process, if only a restart can help."""
        problems = [f"{w.name} has died" for w in self.watchers if w.dead]
        if not self._stopping.is_set() and not self.background.alive:
            problems.append("scheduler has died")
        return problems

    def unready(self) -> list[str]:
        """Why the state of labs cannot be told now, or will not be soon."""
        if self._stopping.is_set():
            return ["stopping"]
        if self._startup.is_up(Part.LABS):
            return []
        return [self._startup.problem(Part.LABS)]

    def problems(self) -> list[str]:
        """What does not work as it should, whether or not requests are answered."""
        return self.unready() or self._startup.problems()

    def _steps(self) -> dict[Part, list[Callable[[], None]]]:
        """What comes before the first use of each part."""
        steps = {Part.LABS: [self._sync, self._reconciler.reconcile]}
        if self.fileservers is not None:
            steps[Part.FILESERVERS] = [self.fileservers.reconcile]
        steps[Part.IMAGES] = [self.refresh_images]
        return steps

    def _schedule(self, part: Part) -> None:
        """Repeat what has succeeded once at intervals from now on."""
        match part:
            case Part.LABS:
                name, seconds = "reconcile-labs", LAB_RECONCILE_INTERVAL
            case Part.FILESERVERS:
                name, seconds = "reconcile-fileservers", FILESERVER_RECONCILE_INTERVAL
            case Part.IMAGES:
                name, seconds = "refresh-images", self.environment.refresh_interval
        self.background.add(name, self._steps()[part][-1], seconds)

    def _sync(self) -> None:
        for watcher in self._needed:
            if not watcher.wait_synced(_SYNC_SECONDS):
                kind = watcher.selection.resource.plural
                raise NubladoError(f"Kubernetes does not list {kind}")

    def refresh_images(self) -> None:
        """List images again, and which nodes have them."""
        self.images.refresh(self._nodes.list())
        try:
            self.prepuller.start_missing()
        except NubladoError as e:
            self.alerts.report(e, event="Cannot start prepulling")


def _metadata_only(obj: JSON) -> JSON:
    return {"metadata": obj["metadata"]}


def _with_status(obj: JSON) -> JSON:
    return {"metadata": obj["metadata"], "status": obj.get("status") or {}}
