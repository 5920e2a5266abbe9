"""Everything that lives as long as the process, and how it starts and stops."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from nublado.background import Background
from nublado.config.model import Config
from nublado.constants import IMAGE_REFRESH_INTERVAL
from nublado.exceptions import NubladoError
from nublado.services.alerts import Alerts
from nublado.services.builder.lab import LabBuilder
from nublado.services.fileserver.service import FileserverService
from nublado.services.form import FormService
from nublado.services.image import ImageService
from nublado.services.metrics import make_registry
from nublado.services.nodes import NodeService
from nublado.services.source.configured import make_image_source
from nublado.services.status import StatusService
from nublado.services.streams import StreamSlots
from nublado.storage.docker import parse_mirrors
from nublado.storage.gafaelfawr import GafaelfawrClient
from nublado.storage.kubernetes.client import KubernetesClient
from nublado.storage.metadata import PodMetadata
from nublado.storage.slack import SlackWebhook
from nublado.wiring import make_cluster, make_fileservers, make_labs, make_prepuller

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

        self.cluster = make_cluster(KubernetesClient.connect(), config)
        self._nodes = NodeService(config=config.lab, cluster=self.cluster)
        self.images = ImageService(
            config.images,
            make_image_source(config.images, environment.registry_mirrors),
        )
        builder = LabBuilder(config.lab, environment.external_url)
        self.forms = FormService(config.lab, builder, self.images)
        self.labs, self._reconciler = make_labs(
            config=config.lab,
            namespace=self.metadata.namespace,
            builder=builder,
            cluster=self.cluster,
            images=self.images,
            alerts=self.alerts,
        )
        self.prepuller = make_prepuller(
            config=config.lab,
            metadata=self.metadata,
            images=self.images,
            nodes=self._nodes,
            cluster=self.cluster,
            alerts=self.alerts,
        )
        self.fileservers: FileserverService | None = None
        if config.fileserver is not None:
            self.fileservers = make_fileservers(
                config=config.fileserver,
                volumes=config.lab.volumes,
                base_url=environment.external_url,
                cluster=self.cluster,
                alerts=self.alerts,
            )
        self.background = Background(self.alerts)
        self.metrics = make_registry(
            self.labs.table,
            self.streams,
            self.cluster.watchers,
            lambda: self.background.jobs,
        )
        self.status = StatusService(
            config.name,
            labs=self.labs.table,
            images=self.images,
            fileservers=self.fileservers,
            alerts=self.alerts,
            streams=self.streams,
            watchers=self.cluster.watchers,
            jobs=lambda: self.background.jobs,
            problems=lambda: self.unhealthy() + self.unready(),
        )
        self._starter = threading.Thread(target=self._start, name="start", daemon=True)

    # --- Start and stop --------------------------------------------------

    def start(self) -> None:
        """Begin to start; `wait_ready` waits for the end of it."""
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
        self.cluster.stop()
        self.alerts.stop()
        self.images.close()
        self.gafaelfawr.close()
        self._log.info("Stopped")

    def wait_ready(self, seconds: float) -> bool:
        """Wait until requests can be served; False if it takes longer."""
        return not self._stopping.is_set() and self._ready.wait(seconds)

    def stops_within(self, seconds: float) -> bool:
        """Wait for the beginning of a stop; False if none comes in time."""
        return self._stopping.wait(seconds)

    def unhealthy(self) -> list[str]:
        """What is wrong with the process, if only a restart can help."""
        problems = self.cluster.problems()
        if self._ready.is_set() and not self.background.alive:
            problems.append("scheduler has died")
        return problems

    def unready(self) -> list[str]:
        """Why requests cannot be served now."""
        if self._stopping.is_set():
            return ["stopping"]
        return [] if self._ready.is_set() else [self._starting_problem]

    def _start(self) -> None:
        """Do all that comes before the first request, until it succeeds."""
        self.alerts.start()
        self.cluster.start()
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
        self.cluster.wait_synced(_SYNC_SECONDS)

    def refresh_images(self) -> None:
        """Refresh which images there are, and which nodes have them."""
        self.images.refresh(self._nodes.list())
        try:
            self.prepuller.start_missing()
        except NubladoError as e:
            self.alerts.report(e, event="Cannot start to prepull")


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
