"""Labs of all users: accept requests, run operations, report the state.

Operations and the watch of pods keep the state current, so reading it costs
no request to Kubernetes.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import structlog

from nublado.constants import KUBERNETES_REQUEST_TIMEOUT, LABEL_CATEGORY, LABEL_USER
from nublado.exceptions import (
    KubernetesError,
    LabDeletionError,
    LabExistsError,
    OperationCancelledError,
    OperationTimeoutError,
    UnknownUserError,
)
from nublado.models.domain.gafaelfawr import GafaelfawrUser
from nublado.models.domain.history import Asker
from nublado.models.domain.kubernetes import (
    JSON,
    is_terminating,
    label_of,
    name_of,
    namespace_of,
    uid_of,
)
from nublado.models.domain.lab import LabSpecification, LabState, LabStatus
from nublado.services.image import ImageService
from nublado.services.lab.context import LabContext
from nublado.services.lab.deaths import LabDeaths
from nublado.services.lab.deletion import Deletion
from nublado.services.lab.inspect import LabInspector
from nublado.services.lab.lost import LostSpawn
from nublado.services.lab.record import LabRecord, LabTable, Observation
from nublado.services.lab.spawn import Spawn, SpawnRequest
from nublado.services.lab.surge import Surge
from nublado.services.observed.namespaces import goes_with
from nublado.services.observed.pod_status import status_of_pod
from nublado.services.operation import AnyOperation, OperationPool
from nublado.services.waiting import WaitingRoom
from nublado.storage.kubernetes.cache import Change, ChangeType
from nublado.storage.kubernetes.resource import NAMESPACE, POD
from nublado.timeout import Cancellation, Timeout

__all__ = ["LabService"]

_DELETE_SLACK_SECONDS = 5.0
_STOP_SECONDS = 10.0
_DOUBT_SECONDS = 600.0
_READERS = 4


class LabService:
    """The labs of all users.

    Deletions have threads of their own, so that waiting spawns cannot starve
    them. Spawns begin only after a surge of requests has had its responses.

    Parameters
    ----------
    labs
        What labs are made with.
    images
        Knows the images that labs may run.
    waiting
        Where requests wait for deletions.

    Attributes
    ----------
    table
        Records of all users.
    deaths
        Notes labs that end unasked.
    inspector
        Looks at labs, for operators.
    surge
        Is told of requests for labs, by whoever receives and answers them.
    """

    def __init__(
        self, *, labs: LabContext, images: ImageService, waiting: WaitingRoom
    ) -> None:
        self._labs = labs
        self.inspector = LabInspector(labs)
        self._images = images
        self._waiting = waiting
        self.surge = Surge()
        self._spawns = OperationPool("spawn", gate=self.surge)
        self._deletions = OperationPool("delete")
        self._readers = ThreadPoolExecutor(_READERS, "read-pods")
        self._stopping = Cancellation()
        self.table = LabTable()
        self.deaths = LabDeaths(labs.history)
        self._log = structlog.get_logger(__name__)
        self._pods = labs.cluster.watcher(POD).cache
        self._namespaces = labs.cluster.watcher(NAMESPACE).cache
        labs.cluster.listen(POD, self.observe)
        labs.cluster.listen(NAMESPACE, self.observe_namespace)

    def queues(self) -> dict[str, int]:
        """How many spawns and deletions have begun or wait, and requests for labs."""
        return {
            "creates": self.surge.unanswered,
            "spawns": self._spawns.active,
            "deletions": self._deletions.active,
        }

    def stop(self) -> None:
        """Stop all operations at their next step, leaving what they made.

        Spawns first come so far that the next process can go on with them.
        """
        deadline = time.monotonic() + _STOP_SECONDS
        self._stopping.cancel()
        self._readers.shutdown(wait=False, cancel_futures=True)
        for pool in (self._spawns, self._deletions):
            pool.close()
        for pool in (self._spawns, self._deletions):
            pool.stop(deadline)

    # --- State -----------------------------------------------------------

    def running(self) -> list[str]:
        """Usernames of those whose lab is running, sorted."""
        return sorted(
            record.username
            for record in self.table
            if record.state and record.state.status is LabStatus.RUNNING
        )

    def state(self, username: str) -> LabState:
        """State of a user's lab.

        Raises
        ------
        UnknownUserError
            Raised if the user has no lab.
        """
        record = self.table.get(username)
        if record is None or record.state is None:
            raise UnknownUserError(username)
        return record.state

    def operation(self, username: str) -> AnyOperation:
        """The newest operation of a user, which may be over.

        Raises
        ------
        UnknownUserError
            Raised if none ever began.
        """
        record = self.table.get(username)
        if record is None or record.newest is None:
            raise UnknownUserError(username)
        return record.newest

    # --- Create and delete -----------------------------------------------

    def create(self, user: GafaelfawrUser, specification: LabSpecification) -> None:
        """Accept a request for a lab, which is then created in the background.

        Raises
        ------
        ClientRequestError
            Raised if the request cannot be granted.
        ServiceUnavailableError
            Raised if the process stops; nothing is left of the request.
        """
        builder = self._labs.builder
        image = self._images.resolve(specification.image)
        builder.check_quota(user.info, specification.size)
        state = builder.pending_state(
            user.info, specification, image, datetime.now(UTC)
        )
        request = SpawnRequest(user=user, specification=specification, image=image)
        record = self.table.get_or_add(user.username)
        self._check_pod(record)
        spawn = Spawn.from_request(self._labs, record, request, state)
        spawn.begin()
        if not self.run(spawn):
            spawn.withdraw()
            spawn.check_abandoned()

    def delete(self, username: str, asker: Asker = Asker.HUB) -> None:
        """Delete a user's lab and wait until it is gone.

        A spawn in progress is cancelled; a deletion in progress is joined.

        Parameters
        ----------
        username
            Whose lab.
        asker
            Who wants it.

        Raises
        ------
        UnknownUserError
            Raised if the user has no lab.
        LabDeletionError
            Raised if it cannot be deleted.
        ServiceUnavailableError
            Raised if the process stops, and the next one goes on with it; or if
            too many requests wait for operations, and nothing has been begun.
        """
        record = self.table.get(username)
        if record is None:
            raise UnknownUserError(username)
        with self._waiting.place(username):
            self._delete(record, asker)

    def cancel(self, username: str, operation: str) -> bool:
        """Begin to cancel a spawn, as its user wants.

        Parameters
        ----------
        username
            Whose lab.
        operation
            Identifier of the events of the spawn: none that has begun since, and no
            lab that runs by now, is meant.

        Returns
        -------
        bool
            False if it is not in progress any more.
        """
        record = self.table.get(username)
        spawn = record.operation if record is not None else None
        if record is None or not isinstance(spawn, Spawn):
            return False
        if spawn.events.id != operation:
            return False
        deletion = Deletion(self._labs, record, Asker.USER)
        if not deletion.begin_cancellation(spawn):
            return False
        self.run(deletion)
        return True

    def _delete(self, record: LabRecord, asker: Asker) -> None:
        deletion = Deletion(self._labs, record, asker)
        current = deletion.begin()
        if current is deletion:
            self.run(deletion)
        ended = current.wait(self._labs.config.delete_timeout + _DELETE_SLACK_SECONDS)
        current.check_abandoned()
        if not (ended and current.succeeded):
            raise LabDeletionError

    def run(self, operation: Spawn | Deletion | LostSpawn) -> bool:
        """Run an operation in the background; False if the process stops."""
        pool = self._spawns if isinstance(operation, Spawn) else self._deletions
        return pool.submit(operation)

    # --- Pods and namespaces ---------------------------------------------

    def observe(self, change: Change) -> None:
        """Take note of a change of a lab's pod; called by the watch of pods.

        A watch also says that an object is deleted which loses the label that it
        is selected by. A pod that was not terminating is read by name.
        """
        pod = change.object
        record = self._record_in(namespace_of(pod), pod)
        if record is None:
            return
        if change.type is not ChangeType.DELETED:
            self._take(record, pod, self._status_of(pod))
        elif is_terminating(pod):
            self._take(record, pod, None)
        elif not self._stopping.cancelled:
            self._readers.submit(self._observe_by_name, record, pod)

    def observe_namespace(self, change: Change) -> None:
        """Record that a lab's namespace is going; called by the watch of those."""
        namespace = change.object
        record = self._record_in(name_of(namespace), namespace)
        if record is None or not is_terminating(namespace):
            return
        names = self._labs.builder.names(record.username)
        pod = self._pods.get((names.namespace, names.pod))
        if pod is not None:
            self._take(record, pod, self._status_of(pod))

    def _take(self, record: LabRecord, pod: JSON, status: LabStatus | None) -> None:
        """Take note of the state of a pod, and of an end that nobody asked for.

        Parameters
        ----------
        record
            Record of the lab.
        pod
            The pod as it was seen last.
        status
            What the lab is with it; None if the pod is gone.
        """
        state = record.state
        if state is not None and status is not None:
            self.deaths.note_restarts(state, pod)
        ended = record.observe(Observation(uid_of(pod), status))
        if ended is not None:
            self.deaths.note_end(ended, pod, gone=status is None)

    def _record_in(self, namespace: str | None, obj: JSON) -> LabRecord | None:
        """Record of the lab that an object belongs to, if it is that of a lab."""
        username = label_of(obj, LABEL_USER)
        record = self.table.get(username) if username else None
        if record is None:
            return None
        is_its = namespace == self._labs.config.namespace_of(record.username)
        return record if is_its else None

    def _status_of(self, pod: JSON) -> LabStatus:
        """State of a lab that has this pod, which goes with its namespace."""
        namespace = self._namespaces.get((None, str(namespace_of(pod))))
        if namespace is not None and goes_with(pod, namespace):
            return LabStatus.TERMINATING
        return status_of_pod(pod)

    def _observe_by_name(self, record: LabRecord, seen: JSON) -> None:
        """Tell whether a pod is gone, or has only lost the label it is watched by."""
        uid = uid_of(seen)
        timeout = Timeout("Reading pod", _DOUBT_SECONDS, self._stopping)
        try:
            pod = self._read_pod(record, timeout)
        except (KubernetesError, OperationTimeoutError) as e:
            self._labs.alerts.report(
                e, event="Cannot tell whether lab still runs", user=record.username
            )
            return
        except OperationCancelledError:
            return
        if pod is None or uid_of(pod) != uid:
            self._take(record, seen, None)
            return
        self._take(record, pod, self._status_of(pod))
        self._labs.alerts.report(
            f"Pod {name_of(pod)} is no longer shown by the watch: its label"
            f" {LABEL_CATEGORY} is missing",
            event="Lab has lost labels",
            user=record.username,
        )

    def _read_pod(self, record: LabRecord, timeout: Timeout) -> JSON | None:
        names = self._labs.builder.names(record.username)
        return self._labs.cluster.read(POD.at(names.namespace, names.pod), timeout)

    def _check_pod(self, record: LabRecord) -> None:
        """If a lab is in the way, read whether its pod really still runs.

        Raises
        ------
        OperationInProgressError, LabExistsError
            Raised if a lab cannot be created now.
        """
        try:
            record.check_free()
        except LabExistsError:
            timeout = Timeout("Reading pod", KUBERNETES_REQUEST_TIMEOUT)
            try:
                pod = self._read_pod(record, timeout)
            except (KubernetesError, OperationTimeoutError) as e:
                self._log.warning(
                    "Cannot tell whether lab still runs",
                    user=record.username,
                    error=str(e),
                )
                raise LabExistsError(record.username) from e
            if pod is not None:
                self._take(record, pod, self._status_of(pod))
            elif (ended := record.pod_missing()) is not None:
                self.deaths.note_end(ended, None, gone=True)
