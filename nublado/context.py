"""Everything that lives as long as the process: built, started and stopped here."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

from nublado.background import Background
from nublado.config.environment import Environment
from nublado.config.model import Config
from nublado.constants import (
    CONFIGURATION_INTERVAL,
    DISCOVERY_REFRESH_INTERVAL,
    LAB_FORGOTTEN_INTERVAL,
    NOTICES_INTERVAL,
)
from nublado.descriptors import most_streams, raise_descriptor_limit
from nublado.exceptions import ServiceUnavailableError
from nublado.logging import LogLevel
from nublado.models.domain.problem import ProblemKind
from nublado.models.domain.runbook import Runbook
from nublado.services.actions import OperatorActions
from nublado.services.alerts import Alerts
from nublado.services.builder.lab import LabBuilder
from nublado.services.checks.complete import all_checks
from nublado.services.configuration import ConfigurationWatch
from nublado.services.discovery import DiscoveryService
from nublado.services.fileserver.service import FileserverService
from nublado.services.form import FormService
from nublado.services.fsadmin.service import FsadminService
from nublado.services.health import Check, Health
from nublado.services.history import History
from nublado.services.image import ImageService
from nublado.services.image_upkeep import ImageUpkeep
from nublado.services.load import RequestLoad
from nublado.services.metrics import make_registry
from nublado.services.nodes import NodeService
from nublado.services.notices import NoticeService
from nublado.services.progress.service import ProgressService
from nublado.services.pulse import Pulse
from nublado.services.source.configured import make_image_source
from nublado.services.status import StatusService
from nublado.services.streams import StreamWriter
from nublado.services.waiting import WaitingRoom
from nublado.startup import Part, Startup
from nublado.storage.gafaelfawr import GafaelfawrClient
from nublado.storage.kubernetes.client import KubernetesClient
from nublado.storage.kubernetes.resource import POD
from nublado.storage.metadata import PodMetadata
from nublado.storage.repertoire import RepertoireClient
from nublado.storage.slack import SlackWebhook
from nublado.wiring import (
    make_cluster,
    make_fileservers,
    make_fsadmin,
    make_image_memory,
    make_labs,
    make_prepuller,
)

__all__ = ["ProcessContext"]

_SYNC_SECONDS = 1.0
_REFRESH = "refresh-images"


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
        self.history = History()
        self.metadata = PodMetadata.read(
            environment.metadata_path or config.metadata_path
        )
        url = environment.repertoire_url
        self._discovery = DiscoveryService(RepertoireClient(url) if url else None)
        self.gafaelfawr = GafaelfawrClient(
            environment.external_url, lambda: self._discovery.gafaelfawr_api
        )

        client = KubernetesClient.connect(environment.kubeconfig)
        self.cluster = make_cluster(client, config)
        self.log_level = LogLevel(config.log_level)
        self.configuration = ConfigurationWatch(environment, self.alerts)
        self.notices = NoticeService(
            cluster=self.cluster,
            namespace=self.metadata.namespace,
            alerts=self.alerts,
        )
        self._nodes = NodeService(config=config.lab, cluster=self.cluster)
        self.images = ImageService(
            config.images,
            make_image_source(config.images, environment.registry_mirrors),
        )
        self._image_memory = make_image_memory(
            metadata=self.metadata, cluster=self.cluster, alerts=self.alerts
        )
        waiting = WaitingRoom(environment.threads)
        builder = LabBuilder(config.lab, environment.platform)
        self.labs, self._reconciler = make_labs(
            config=config.lab,
            namespace=self.metadata.namespace,
            builder=builder,
            cluster=self.cluster,
            images=self.images,
            alerts=self.alerts,
            history=self.history,
            discovery=lambda: self._discovery.lab_document,
            waiting=waiting,
        )
        self.forms = FormService(
            config.lab,
            builder,
            self.images,
            config.dropdown_menu,
            labs=self.labs.table,
            history=self.history,
        )
        self.progress = ProgressService(
            config=config.lab,
            labs=self.labs,
            images=self.images,
            history=self.history,
            pods=self.cluster.watcher(POD),
        )
        self.prepuller = make_prepuller(
            config=config.lab,
            timeout=config.images.prepull_timeout,
            metadata=self.metadata,
            images=self.images,
            nodes=self._nodes,
            cluster=self.cluster,
            alerts=self.alerts,
        )
        self._upkeep = ImageUpkeep(
            images=self.images,
            nodes=self._nodes,
            memory=self._image_memory,
            prepuller=self.prepuller,
            alerts=self.alerts,
        )
        self.fileservers: FileserverService | None = None
        if config.fileserver is not None:
            self.fileservers = make_fileservers(
                config=config.fileserver,
                volumes=config.lab.volumes,
                platform=environment.platform,
                cluster=self.cluster,
                alerts=self.alerts,
                history=self.history,
                waiting=waiting,
            )
        self.fsadmin: FsadminService | None = None
        if config.fsadmin is not None:
            self.fsadmin = make_fsadmin(
                config=config.fsadmin,
                lab=config.lab,
                image=environment.controller_image,
                namespace=self.metadata.namespace,
                cluster=self.cluster,
                alerts=self.alerts,
                history=self.history,
                waiting=waiting,
            )
        self.background = Background(self.alerts)
        self.load = RequestLoad(environment.threads)
        self._pulse = Pulse(
            cluster=self.cluster,
            namespace=self.metadata.namespace,
            nodes=self._nodes,
            gafaelfawr=self.gafaelfawr,
        )
        runbook = Runbook(
            config.runbook_url
            or f"{environment.external_url}{config.path_prefix}/runbook"
        )
        self.health = Health(self._checks(), self.alerts, runbook)
        self.actions = OperatorActions(
            labs=self.labs,
            fileservers=self.fileservers,
            refresh=self._refresh_now,
            prepull=self.prepuller.start_missing,
            alerts=self.alerts,
        )
        self.status = StatusService(
            config.name,
            labs=self.labs.table,
            inspector=self.labs.inspector,
            history=self.history,
            images=self.images,
            fileservers=self.fileservers,
            fsadmin=self.fsadmin,
            alerts=self.alerts,
            streams=self.streams,
            watchers=self.cluster.watchers,
            jobs=lambda: self.background.jobs,
            problems=self.health.problems,
            runbook=runbook,
            configuration=lambda: self.configuration.file,
        )
        self.metrics = make_registry(self.status, self.load, self.queues)
        self._startup = Startup(
            self.alerts, self._steps(), self._schedule, self._is_usable
        )

    # --- Start and stop --------------------------------------------------

    def start(self) -> None:
        """Begin to start; `wait_up` tells when a part of it is done."""
        self.alerts.start()
        self.streams.start()
        self._discovery.begin()
        self.cluster.start()
        self.background.add(
            "check-configuration",
            self._look_at_configuration,
            CONFIGURATION_INTERVAL,
            quiet=True,
        )
        self.background.start()
        self._startup.start()
        self.health.start()
        self._pulse.start()

    def stop(self) -> None:
        """Stop what runs, leaving what it made to the next process.

        The state of labs can be read until the end.
        """
        self._stopping.set()
        self._startup.stop()
        self.background.stop()
        self._pulse.stop()
        self.health.stop()
        self._image_memory.close()
        self.prepuller.stop()
        if self.fileservers is not None:
            self.fileservers.stop()
        if self.fsadmin is not None:
            self.fsadmin.stop()
        self.labs.stop()
        self.notices.stop()
        self.streams.stop()
        self.cluster.stop()
        self.alerts.stop()
        self.images.close()
        self.gafaelfawr.close()
        self._discovery.close()
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
        problems = self.cluster.problems()
        if self.streams.dead:
            problems.append("writer of event streams has died")
        if not self._stopping.is_set() and not self.background.alive:
            problems.append("scheduler has died")
        if self.health.dead:
            problems.append("watch over health has died")
        return problems

    def unready(self) -> list[str]:
        """Why the state of labs cannot be told now, or will not be soon."""
        if self._stopping.is_set():
            return ["stopping"]
        if self._startup.is_up(Part.LABS):
            return []
        return [self._startup.problem(Part.LABS)]

    def queues(self) -> dict[str, int]:
        """How much waits or is in progress where, by queue."""
        queues = {
            "kubernetes": self.cluster.waiting,
            "alerts": self.alerts.waiting,
            **self.labs.queues(),
        }
        if self.fileservers is not None:
            queues |= self.fileservers.queues()
        return queues

    def _checks(self) -> dict[ProblemKind, Check]:
        return all_checks(
            unhealthy=self.unhealthy,
            not_up=self._not_up,
            unready=self.unready,
            cluster=self.cluster,
            gafaelfawr=self.gafaelfawr,
            images=self.images,
            pulse=self._pulse,
            history=self.history,
            labs=self.labs.table,
            fileservers=self.fileservers,
            prepuller=self.prepuller,
            configuration=self.configuration,
            jobs=lambda: self.background.jobs,
            load=self.load,
            streams=self.streams,
        )

    def _not_up(self) -> list[str]:
        return self.unready() or self._startup.problems()

    def _steps(self) -> dict[Part, list[Callable[[], None]]]:
        """What comes before the first use of each part."""
        steps = {Part.LABS: [self._sync, self.notices.load, self._reconciler.reconcile]}
        if self.fileservers is not None:
            steps[Part.FILESERVERS] = [self.fileservers.reconcile]
        steps[Part.IMAGES] = [self._upkeep.recall, self._upkeep.refresh]
        return steps

    def _is_usable(self, part: Part) -> bool:
        """Whether a part can be used before its first steps are all done."""
        return part is Part.IMAGES and self.images.are_known

    def _schedule(self, part: Part) -> None:
        """Repeat what has succeeded once at intervals from now on."""
        match part:
            case Part.LABS:
                if self._discovery.enabled:
                    self.background.add(
                        "refresh-discovery",
                        self._discovery.refresh,
                        DISCOVERY_REFRESH_INTERVAL,
                        quiet=True,
                    )
                self.background.add(
                    "read-notices", self.notices.load, NOTICES_INTERVAL, quiet=True
                )
                self.background.add(
                    "reconcile-forgotten-labs",
                    self._reconciler.reconcile_forgotten,
                    LAB_FORGOTTEN_INTERVAL,
                    quiet=True,
                )
                name = "reconcile-labs"
            case Part.FILESERVERS:
                name = "reconcile-fileservers"
            case Part.IMAGES:
                name = _REFRESH
        seconds = self._interval(part)
        self.background.add(name, self._steps()[part][-1], seconds)

    def _interval(self, part: Part) -> float:
        """Seconds after which what a part knows is compared with the cluster."""
        match part:
            case Part.LABS:
                return self.config.lab.reconcile_interval
            case Part.FILESERVERS if self.config.fileserver is not None:
                return self.config.fileserver.reconcile_interval
            case _:
                configured = self.config.images.refresh_interval
                return self.environment.refresh_interval or configured

    def _sync(self) -> None:
        self.cluster.wait_synced(_SYNC_SECONDS)

    def _look_at_configuration(self) -> None:
        self.configuration.look()

    def _refresh_now(self) -> None:
        """Begin to list images and nodes again.

        Raises
        ------
        ServiceUnavailableError
            Raised if that has not succeeded once, and is being tried anyway.
        """
        try:
            self.background.run_now(_REFRESH)
        except KeyError as e:
            problem = self._startup.problem(Part.IMAGES)
            raise ServiceUnavailableError(problem) from e
