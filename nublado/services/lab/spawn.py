"""The sequence of steps that makes a lab, or completes one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from nublado.config.model import LabConfig
from nublado.constants import KUBERNETES_REQUEST_TIMEOUT
from nublado.events import EventLog
from nublado.exceptions import (
    LabPodEndedError,
    LabPodVanishedError,
    OperationCancelledError,
)
from nublado.models.domain.gafaelfawr import GafaelfawrUser
from nublado.models.domain.image import ResolvedImage
from nublado.models.domain.kubernetes import JSON, name_of, uid_of
from nublado.models.domain.lab import (
    LabObjectNames,
    LabSpecification,
    LabState,
    LabStatus,
    RemainingLabObjects,
)
from nublado.models.domain.spawn_record import SpawnRecord
from nublado.services.builder.lab import LabBuilder
from nublado.services.builder.lab_pod import NOTEBOOK
from nublado.services.builder.pod_status import (
    describe_pod_end,
    status_of_pod,
    waiting_reasons,
)
from nublado.services.lab.operation import Operation
from nublado.services.lab.record import LabRecord
from nublado.storage.kubernetes.lab import LabStorage
from nublado.storage.kubernetes.pod import PodChanged, PodFollower, PodGone, PodSaid
from nublado.timeout import Timeout

__all__ = ["SpawnRequest", "Spawner"]

_PROGRESS_CREATED = 30
_PROGRESS_FIRST_EVENT = 35
_PROGRESS_STARTED = 75
_LAST_EVENT = f"Started container {NOTEBOOK}"
_HEAR_OUT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class SpawnRequest:
    """A request for a lab that has been accepted.

    ``internal_url`` is where the lab will be reached.
    """

    user: GafaelfawrUser
    specification: LabSpecification
    image: ResolvedImage
    internal_url: str | None


class Spawner:
    """Makes labs; each method runs in the thread of one operation.

    Parameters
    ----------
    config
        Configuration of labs.
    namespace
        Namespace of the controller, where the secrets are.
    builder
        Builds the objects.
    storage
        Makes them.
    """

    def __init__(
        self,
        config: LabConfig,
        namespace: str,
        builder: LabBuilder,
        storage: LabStorage,
    ) -> None:
        self._config = config
        self._namespace = namespace
        self._builder = builder
        self._storage = storage

    def spawn(
        self,
        operation: Operation,
        record: LabRecord,
        request: SpawnRequest,
        timeout: Timeout,
        *,
        remains: bool,
    ) -> LabState:
        """Make a lab from a request.

        Parameters
        ----------
        operation
            The operation that this is.
        record
            Record of the user's lab.
        request
            What was asked for.
        timeout
            Deadline of the spawn.
        remains
            Whether an earlier lab has to be removed first.

        Returns
        -------
        LabState
            State of the running lab.

        Raises
        ------
        NubladoError
            Raised if the lab cannot be made; its text is meant for the user.
        """
        names = self._builder.names(operation.username)
        if remains:
            self._delete_remains(operation, names, timeout)
        secrets = self._read_secrets(timeout)
        pull_secret = self._read_pull_secret(timeout)
        objects = self._builder.build(
            request.user, request.specification, request.image, secrets, pull_secret
        )
        with self._storage.following(names, timeout) as follower:
            self._create_namespace(operation, objects.namespace, timeout)
            self._storage.create(objects.secret, timeout)
            self._storage.create(objects.env_config_map, timeout)
            operation.mark_resumable()
            return self._create_remaining(
                operation,
                record,
                objects.remaining,
                request.internal_url,
                follower,
                timeout,
            )

    def complete(
        self,
        operation: Operation,
        record: LabRecord,
        spawn: SpawnRecord,
        env: Mapping[str, str],
        internal_url: str | None,
        timeout: Timeout,
    ) -> LabState:
        """Go on with a spawn that was cut off before its pod existed.

        Its namespace, secret and environment exist. What else exists already
        is kept.

        Raises
        ------
        NubladoError
            Raised if the lab cannot be made.
        """
        names = self._builder.names(operation.username)
        pull_secret = self._read_pull_secret(timeout)
        remaining = self._builder.complete(spawn, env, pull_secret)
        with self._storage.following(names, timeout) as follower:
            return self._create_remaining(
                operation, record, remaining, internal_url, follower, timeout
            )

    def monitor(
        self, operation: Operation, record: LabRecord, pod: JSON, timeout: Timeout
    ) -> LabState:
        """Wait for a pod that an earlier process has created.

        Raises
        ------
        NubladoError
            Raised if the pod does not start.
        """
        names = self._builder.names(operation.username)
        with self._storage.following(names, timeout) as follower:
            current = self._storage.read_pod(names, timeout)
            if current is None or uid_of(current) != uid_of(pod):
                raise LabPodVanishedError(_vanished(names))
            return self._follow(operation, record, current, follower)

    # --- Steps -----------------------------------------------------------

    def _delete_remains(
        self, operation: Operation, names: LabObjectNames, timeout: Timeout
    ) -> None:
        events, username = operation.events, operation.username
        events.info(f"Deleting existing failed lab for {username}", 2)
        self._storage.delete(
            names,
            timeout,
            stopping=lambda: events.info("Shutting down Kubernetes pod", 5),
            removing=lambda: events.info("Deleting user namespace", 12),
        )
        events.info(f"Lab for {username} deleted", 20)

    def _read_secrets(self, timeout: Timeout) -> dict[str, dict[str, str]]:
        wanted = [(s.secret_name, s.secret_key) for s in self._config.secrets]
        return self._storage.read_secrets(self._namespace, wanted, timeout)

    def _read_pull_secret(self, timeout: Timeout) -> JSON | None:
        name = self._config.pull_secret
        if name is None:
            return None
        return self._storage.read_secret(self._namespace, name, timeout)

    def _create_namespace(
        self, operation: Operation, namespace: JSON, timeout: Timeout
    ) -> None:
        """Create the namespace, and take it back if that came too late.

        A deletion that has cancelled the spawn meanwhile may have found no
        namespace to delete.
        """
        created = self._storage.create_namespace(namespace, timeout)
        if operation.cancelled:
            patience = Timeout("Lab deletion", KUBERNETES_REQUEST_TIMEOUT)
            self._storage.delete_namespace(name_of(created), uid_of(created), patience)
            raise OperationCancelledError("Lab spawn cancelled")

    def _create_remaining(
        self,
        operation: Operation,
        record: LabRecord,
        remaining: RemainingLabObjects,
        internal_url: str | None,
        follower: PodFollower,
        timeout: Timeout,
    ) -> LabState:
        for obj in remaining.others:
            self._storage.create(obj, timeout)
        pod = self._storage.create_pod(remaining.pod, timeout)
        if record.state is not None:
            state = replace(record.state, internal_url=internal_url)
            record.update(operation, state, uid_of(pod))
        operation.events.info(
            "Created Kubernetes objects for user lab", _PROGRESS_CREATED
        )
        return self._follow(operation, record, pod, follower)

    def _follow(
        self,
        operation: Operation,
        record: LabRecord,
        pod: JSON,
        follower: PodFollower,
    ) -> LabState:
        """Wait until the pod has started, telling what happens to it."""
        reporter = _Reporter(operation.events)
        for news in follower.follow(pod):
            match news:
                case PodGone():
                    break
                case PodSaid(message):
                    reporter.say(message)
                case PodChanged(changed):
                    status = status_of_pod(changed)
                    if status is LabStatus.TERMINATED:
                        raise LabPodEndedError(describe_pod_end(changed))
                    if status is LabStatus.RUNNING and record.state is not None:
                        self._hear_out(changed, follower, reporter)
                        return replace(record.state, status=status)
                    for reason in waiting_reasons(changed):
                        reporter.say_unless_told(reason)
        names = self._builder.names(operation.username)
        raise LabPodVanishedError(_vanished(names))

    def _hear_out(self, pod: JSON, follower: PodFollower, reporter: _Reporter) -> None:
        """Tell the last events too, which may come later than the pod's state."""
        if _LAST_EVENT not in reporter.said:
            for news in follower.hear_out(pod, _HEAR_OUT_SECONDS):
                reporter.say(news.message)
                if news.message == _LAST_EVENT:
                    return


class _Reporter:
    """Tells each thing once, with the progress that it means."""

    def __init__(self, events: EventLog) -> None:
        self.said: set[str] = set()
        self._events = events
        self._progress = _PROGRESS_FIRST_EVENT

    def say_unless_told(self, reason: str) -> None:
        """Tell why the pod waits, unless an event of Kubernetes has said so."""
        if not any(message in reason for message in self.said):
            self.say(reason)

    def say(self, message: str) -> None:
        """Tell something, if it has not been told."""
        if message not in self.said:
            self.said.add(message)
            self._events.info(message, self._progress)
            self._progress += (_PROGRESS_STARTED - self._progress) // 3


def _vanished(names: LabObjectNames) -> str:
    return f"Pod {names.namespace}/{names.pod} was deleted before the lab had started"
