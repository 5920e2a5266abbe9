"""The state of the service for operators, from what is in memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from nublado import __version__
from nublado.events import Event
from nublado.models.domain.configuration_file import ConfigurationFile
from nublado.models.domain.job import JobState
from nublado.models.domain.lab import LabState, LabStatus
from nublado.models.domain.problem import Problem
from nublado.models.domain.runbook import Runbook
from nublado.models.domain.status import (
    LabLine,
    LastEvent,
    OperationLine,
    ServiceStatus,
    UserStatus,
    WatcherLine,
)
from nublado.services.alerts import Alerts
from nublado.services.fileserver.service import FileserverService
from nublado.services.fsadmin.service import FsadminService
from nublado.services.history import History
from nublado.services.image import ImageService
from nublado.services.lab.inspect import LabInspector
from nublado.services.lab.record import LabRecord, LabTable
from nublado.services.observed.trend import TREND_SECONDS, spawn_trend
from nublado.services.operation import AnyOperation
from nublado.services.streams import StreamWriter
from nublado.storage.kubernetes.watcher import Watcher

__all__ = ["StatusService"]

_URGENCY = {
    status: urgency
    for urgency, status in enumerate(
        (
            LabStatus.FAILED,
            LabStatus.TERMINATED,
            LabStatus.TERMINATING,
            LabStatus.PENDING,
            LabStatus.RUNNING,
        )
    )
}


class StatusService:
    """Collects the state of the service; sends no requests.

    Parameters
    ----------
    name
        Name of the application.
    labs
        Labs and the operations on them.
    inspector
        Knows where labs are, and why they ended.
    history
        Knows what has come to an end.
    images
        Images and the nodes that have them.
    fileservers
        File servers; None where they are disabled.
    fsadmin
        The pod for the administration of file systems; None where it is disabled.
    alerts
        Recent failures.
    streams
        Event streams.
    watchers
        Watches of Kubernetes.
    jobs
        Returns the state of each background job.
    problems
        Returns what is wrong.
    runbook
        Says what to do about it.
    configuration
        Returns the configuration file, as it was found last.
    """

    def __init__(
        self,
        name: str,
        *,
        labs: LabTable,
        inspector: LabInspector,
        history: History,
        images: ImageService,
        fileservers: FileserverService | None,
        fsadmin: FsadminService | None,
        alerts: Alerts,
        streams: StreamWriter,
        watchers: Sequence[Watcher],
        jobs: Callable[[], Mapping[str, JobState]],
        problems: Callable[[], tuple[Problem, ...]],
        runbook: Runbook,
        configuration: Callable[[], ConfigurationFile],
    ) -> None:
        self._name = name
        self._started = datetime.now(UTC)
        self._epoch = time.time() - time.monotonic()
        self._labs = labs
        self._inspector = inspector
        self._history = history
        self._images = images
        self._fileservers = fileservers
        self._fsadmin = fsadmin
        self._alerts = alerts
        self._streams = streams
        self._watchers = watchers
        self._jobs = jobs
        self._problems = problems
        self._runbook = runbook
        self._configuration = configuration

    def status(self) -> ServiceStatus:
        """Return the state of the service now."""
        fileservers = self._fileservers
        return ServiceStatus(
            name=self._name,
            version=__version__,
            started=self._started,
            problems=self._problems(),
            runbook=self._runbook,
            configuration=self._configuration(),
            streams=self._streams.open,
            most_streams=self._streams.limit,
            labs=tuple(self._lab_lines()),
            operations=tuple(self._operation_lines()),
            prepulls=self._images.inventory.prepulls(),
            fileservers=tuple(fileservers.running()) if fileservers else None,
            fsadmin=self._fsadmin.line() if self._fsadmin else None,
            jobs=self._jobs(),
            watchers=tuple(map(self._watcher_line, self._watchers)),
            trend=spawn_trend(self._history.since(TREND_SECONDS), datetime.now(UTC)),
            failures=self._alerts.recent(),
        )

    def user(self, username: str) -> UserStatus:
        """Return what is known of one user; nothing of one who was never here."""
        record = self._labs.get(username)
        state = record.state if record else None
        newest = record.newest if record else None
        fileservers = self._fileservers
        return UserStatus(
            username=username,
            lab=self._lab_line(record, state) if record and state else None,
            operation=_operation_line(newest) if newest else None,
            events=tuple(map(_last_event, newest.events.all())) if newest else (),
            has_fileserver=fileservers.is_running(username) if fileservers else None,
            failures=tuple(f for f in self._alerts.recent() if username in f.users),
        )

    def _watcher_line(self, watcher: Watcher) -> WatcherLine:
        return WatcherLine(
            name=watcher.spec.resource.plural,
            synced=watcher.synced,
            last_activity=_at(self._epoch + watcher.last_activity),
            idle=watcher.idle,
            lost=watcher.lost,
            connections=watcher.connections,
        )

    def _lab_lines(self) -> list[LabLine]:
        lines = [
            self._lab_line(record, state)
            for record in self._labs
            if (state := record.state) is not None
        ]
        return sorted(lines, key=lambda line: (_URGENCY[line.status], line.username))

    def _lab_line(self, record: LabRecord, state: LabState) -> LabLine:
        return LabLine(
            username=record.username,
            status=state.status,
            image=state.options.image,
            size=state.options.size,
            created=state.created,
            node=self._inspector.node_of(record.username),
            reason=self._inspector.reason_of(record),
        )

    def _operation_lines(self) -> list[OperationLine]:
        lines = [
            _operation_line(operation)
            for record in self._labs
            if (operation := record.operation) is not None
        ]
        return sorted(lines, key=lambda line: line.started)


def _operation_line(operation: AnyOperation) -> OperationLine:
    event = operation.events.last
    return OperationLine(
        username=operation.username,
        kind=operation.kind.value,
        started=_at(operation.started),
        last_event=None if event is None else _last_event(event),
    )


def _last_event(event: Event) -> LastEvent:
    return LastEvent(
        type=event.type.value,
        message=event.message,
        progress=event.progress,
        timestamp=_at(event.timestamp),
    )


def _at(timestamp: float) -> datetime:
    return datetime.fromtimestamp(timestamp, UTC)
