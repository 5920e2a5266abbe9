"""Create a file server and wait until it can be used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from nublado.exceptions import (
    KubernetesConflictError,
    KubernetesError,
    NubladoError,
    OperationCancelledError,
    OperationTimeoutError,
)
from nublado.models.domain.failure import Cause, Failure
from nublado.models.domain.gafaelfawr import UserInfo
from nublado.models.domain.history import HistoryKind
from nublado.models.domain.kubernetes import JSON, is_terminating, uid_of
from nublado.services.fileserver.context import WATCHED, FileserverContext
from nublado.services.fileserver.record import FileserverRecord
from nublado.services.fileserver.removal import FOREGROUND, remove_fileserver
from nublado.services.observed.failure import explain
from nublado.services.observed.fileserver import ObservedFileserver, Obstacle
from nublado.services.operation import Operation, OperationKind
from nublado.storage.kubernetes.cache import Change
from nublado.storage.kubernetes.mailbox import Mailbox
from nublado.storage.kubernetes.resource import (
    GAFAELFAWR_INGRESS,
    JOB,
    PERSISTENT_VOLUME_CLAIM,
    ObjectRef,
)
from nublado.timeout import Timeout

__all__ = ["Creation"]

_QUIET_SECONDS = 10.0
_READ_SECONDS = 10.0
_EVENTS_SECONDS = 5.0


class Creation(Operation[str]):
    """Creates the file server of one user; its result is the uid of the job.

    Parameters
    ----------
    files
        What file servers are made with.
    record
        Record of the file server.
    user
        Whose it is.
    when_running
        Is called once it runs: it may have ended before the watches told of it.
    """

    kind = OperationKind.SPAWN
    noted_as = HistoryKind.FILESERVER_CREATION
    title = "File server creation"
    timed_as = "File server creation"
    epitaph = "File server creation failed"

    def __init__(
        self,
        files: FileserverContext,
        record: FileserverRecord,
        user: UserInfo,
        when_running: Callable[[FileserverRecord], None],
    ) -> None:
        super().__init__(
            user.username,
            alerts=files.alerts,
            history=files.history,
            seconds=files.config.creation_timeout,
        )
        self._files = files
        self._record = record
        self._user = user
        self._when_running = when_running
        self._uids: dict[str, str] = {}
        self._obstacle: Obstacle | None = None
        self._cause: Cause | None = None
        self._mailbox: Mailbox[Change] = Mailbox(self.timeout)

    @property
    def obstacle(self) -> Obstacle | None:
        """What kept users from being served when it failed; None if nothing did."""
        return self._obstacle

    def notice(self, change: Change) -> None:
        """Receive a change of one of its objects; never blocks."""
        self._mailbox.put(change)

    # --- Operation -------------------------------------------------------

    def perform(self) -> str:
        """Create all objects, and wait until users can be served."""
        self._log.info("Creating file server")
        with self._mailbox.open():
            for obj in self._files.builder.build(self._user):
                self._uids[obj["kind"]] = uid_of(self._create(obj))
            self._wait()
        return self._uids[JOB.kind]

    def succeed(self, result: str) -> None:
        """Record that it runs."""
        self._record.end(self, job_uid=result)
        self.events.complete(f"File server for {self.username} is running", 100)
        self._when_running(self._record)

    def fail(self, failure: Failure) -> None:
        """Remove what was created, so that nothing is left."""
        del failure
        timeout = Timeout(
            "File server deletion",
            self._files.config.delete_timeout,
            self.timeout.cancellation,
        )
        try:
            remove_fileserver(self._files, self.username, timeout)
        except OperationCancelledError:
            return
        except NubladoError as e:
            event = "Cannot clean up file server"
            self._files.alerts.report(e, event=event, user=self.username)
            self._record.end(self, has_remains=True)
        else:
            self._record.end(self)

    def explain(self, error: Exception) -> Failure:
        """Explain the error by what there is of the file server."""
        observed = self._files.observe(self.username)
        self._obstacle = observed.obstacle
        text = observed.obstacle_text
        if isinstance(error, OperationTimeoutError) and not observed.has_pod:
            text = ": ".join(filter(None, (text, self._refusal())))
        failure = explain(error, waited_for=text)
        cause = observed.cause or self._cause
        waited_for_pod = observed.obstacle is Obstacle.POD
        if failure.cause is Cause.TIMED_OUT and waited_for_pod and cause is not None:
            failure = replace(failure, cause=cause)
        return failure

    # --- Steps -----------------------------------------------------------

    def _create(self, obj: JSON) -> JSON:
        """Create an object in place of one that is left of an earlier file server.

        Claims that are in order are kept: what is behind them may be all that a
        user has.
        """
        cluster, ref = self._files.cluster, ObjectRef.of(obj)
        try:
            return cluster.create(obj, self.timeout)
        except KubernetesConflictError:
            existing = cluster.read(ref, self.timeout)
        if existing is not None:
            is_claim = ref.resource is PERSISTENT_VOLUME_CLAIM
            if is_claim and not is_terminating(existing):
                return existing
            self._log.info("Replacing leftover", object=str(ref))
            cluster.remove(
                ref,
                self.timeout,
                uid=uid_of(existing),
                propagation=FOREGROUND.get(ref.resource),
            )
        return cluster.create(obj, self.timeout)

    def _wait(self) -> None:
        """Wait until it runs; after a quiet interval, read."""
        while not self._is_running(observed := self._files.observe(self.username)):
            # What kept it from running counts also while it is tried again.
            self._cause = observed.cause or self._cause
            if self._mailbox.receive(_QUIET_SECONDS) is not None:
                continue
            limit = self.timeout.part(_READ_SECONDS)
            if self._is_running(self._files.read(self.username, limit)):
                for resource in WATCHED:
                    self._files.cluster.watcher(resource).reconnect()
                return

    def _refusal(self) -> str | None:
        """Why Kubernetes has refused to create the pod, if it has."""
        job_uid = self._uids.get(JOB.kind)
        if job_uid is None:
            return None
        try:
            return self._files.refusal(job_uid, Timeout("Reading", _EVENTS_SECONDS))
        except (KubernetesError, OperationTimeoutError) as e:
            self._log.warning("Cannot read events of job", error=str(e))
            return None

    def _is_running(self, observed: ObservedFileserver) -> bool:
        return observed.runs(self._uids[JOB.kind], self._uids[GAFAELFAWR_INGRESS.kind])
