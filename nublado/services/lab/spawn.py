"""Create a lab, or complete one: a sequence of steps with several beginnings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import IntEnum
from typing import Self

from nublado.constants import KUBERNETES_REQUEST_TIMEOUT, SERVICE_PREFIX
from nublado.events import Step
from nublado.exceptions import (
    KubernetesConflictError,
    KubernetesError,
    LabPodEndedError,
    LabPodVanishedError,
    MissingSecretError,
    OperationCancelledError,
    OperationTimeoutError,
)
from nublado.models.domain.failure import Cause, Failure
from nublado.models.domain.gafaelfawr import GafaelfawrUser
from nublado.models.domain.history import HistoryEntry, HistoryKind
from nublado.models.domain.image import ResolvedImage
from nublado.models.domain.kubernetes import (
    JSON,
    created_at,
    seconds_since,
    uid_of,
)
from nublado.models.domain.lab import (
    LabObjects,
    LabSpecification,
    LabState,
    LabStatus,
    RemainingLabObjects,
)
from nublado.models.domain.pod import PodNotice
from nublado.models.domain.spawn_record import SpawnRecord
from nublado.services.builder.lab import quota_of
from nublado.services.builder.lab_environment import (
    SET_BY_CONTROLLER,
    resources_of_environment,
)
from nublado.services.lab.context import LabContext
from nublado.services.lab.deletion import remove_lab
from nublado.services.lab.find import is_lab
from nublado.services.lab.record import LabRecord
from nublado.services.lab.report import PodReporter
from nublado.services.observed.failure import explain
from nublado.services.observed.lab_state import internal_url
from nublado.services.observed.phases import bytes_pulled, phases
from nublado.services.observed.pod_end import EndReason, why_pod_ends
from nublado.services.observed.pod_status import (
    describe_pod_end,
    status_of_pod,
    waiting_notices,
)
from nublado.services.observed.timeline import current_phase, was_fetched
from nublado.services.operation import Operation, OperationKind
from nublado.storage.kubernetes.pod import (
    PodChanged,
    PodFollower,
    PodGone,
    past_notices,
)
from nublado.storage.kubernetes.resource import (
    EVENT,
    NAMESPACE,
    POD,
    SECRET,
    SERVICE_ACCOUNT,
    ObjectRef,
)
from nublado.storage.kubernetes.target import add_data_of
from nublado.timeout import LAST_RANK, Timeout

__all__ = ["Spawn", "SpawnRequest", "SpawnTrouble"]

_WORK = (
    "_steps",
    "_request",
    "_recorded",
    "_env",
    "_objects",
    "_remaining",
    "_pod",
    "_seen",
    "_follower",
)
_PROGRESS_CREATED = 30
_DRAIN_SECONDS = 1.0
_PAST_SECONDS = 10.0
_SYNC_SECONDS = 5.0
_ACCOUNT_PAUSE = 0.05
_ACCOUNT_LONGEST_PAUSE = 1.0


class _Rank(IntEnum):
    """Who goes first where requests of spawns wait for connections.

    A spawn is safe from a crash once its environment exists, so what leads
    there goes before everything else, and the spawn that is closest to it first.
    """

    ENVIRONMENT = 1
    SECRET = 2
    NAMESPACE = 3
    SOURCES = 4
    OTHERS = LAST_RANK


@dataclass(frozen=True, slots=True, kw_only=True)
class SpawnRequest:
    """A request for a lab that can be granted."""

    user: GafaelfawrUser
    specification: LabSpecification
    image: ResolvedImage


@dataclass(frozen=True, slots=True, kw_only=True)
class SpawnTrouble:
    """What keeps a spawn waiting, since when, in Kubernetes' words."""

    username: str
    cause: Cause
    since: datetime
    text: str
    image: str
    node: str | None


class Spawn(Operation[LabState]):
    """Creates the lab of one user and follows its pod until that has started.

    Made by one of `from_request`, `from_record` and `from_pod`, which differ in
    the step that they begin with.

    Parameters
    ----------
    labs
        What labs are made with.
    record
        Record of the lab.
    state
        The lab as it is before the first step.
    url
        Where it will be reached inside the cluster.
    elapsed
        Seconds of its time that an earlier process has used up.
    resumable
        Whether another process could go on with it as it is.
    request_id
        Id of the request that an earlier process has accepted, where it is known.
    """

    kind = OperationKind.SPAWN
    noted_as = HistoryKind.SPAWN
    title = "Lab creation"
    timed_as = "Lab spawn"
    epitaph = "Lab spawn failed"

    _steps: tuple[Callable[[], None], ...]
    _request: SpawnRequest
    _recorded: SpawnRecord
    _env: Mapping[str, str]
    _objects: LabObjects
    _remaining: RemainingLabObjects
    _pod: JSON
    _follower: PodFollower

    def __init__(
        self,
        labs: LabContext,
        record: LabRecord,
        state: LabState,
        *,
        url: str | None,
        elapsed: float = 0.0,
        resumable: bool = True,
        request_id: str | None = None,
    ) -> None:
        super().__init__(
            record.username,
            alerts=labs.alerts,
            history=labs.history,
            seconds=labs.config.spawn_timeout,
            elapsed=elapsed,
            resumable=resumable,
            request_id=request_id,
        )
        self._labs = labs
        self._cluster = labs.cluster
        self._names = labs.builder.names(record.username)
        self._pod_ref = POD.at(self._names.namespace, self._names.pod)
        self._record = record
        self._state = state
        self._url = url
        self._remains: LabState | None = None
        self._object: ObjectRef | None = None
        self._node: str | None = None
        self._seen: JSON | None = None
        self._reporter = PodReporter(self.events)

    @classmethod
    def from_request(
        cls, labs: LabContext, record: LabRecord, request: SpawnRequest, state: LabState
    ) -> Self:
        """Create a lab from the beginning."""
        names = labs.builder.names(record.username)
        url = internal_url(names, request.specification.env)
        spawn = cls(labs, record, state, url=url, resumable=False)
        spawn._request = request
        spawn.confidential.add_secrets([request.user.token])
        spawn._keep_settings(request.specification.env)
        spawn._steps = (
            spawn._remove_remains,
            spawn._build,
            spawn._ensure_namespace,
            spawn._ensure_secret,
            spawn._ensure_environment,
            spawn._ensure_others,
            spawn._ensure_pod,
        )
        return spawn

    @classmethod
    def from_record(
        cls,
        labs: LabContext,
        record: LabRecord,
        request: SpawnRecord,
        env: Mapping[str, str],
        namespace: JSON,
    ) -> Self:
        """Complete a lab of which namespace, secret and environment exist.

        Raises
        ------
        MalformedLabError
            Raised if the environment lacks the lab's resources.
        """
        state = LabState(
            user=request.user,
            options=request.options,
            status=LabStatus.PENDING,
            internal_url=None,
            resources=resources_of_environment(env),
            quota=quota_of(request.user),
            path=env.get(SERVICE_PREFIX),
            created=created_at(namespace),
        )
        url = internal_url(labs.builder.names(record.username), env)
        elapsed = seconds_since(namespace["metadata"]["creationTimestamp"])
        spawn = cls(
            labs,
            record,
            state,
            url=url,
            elapsed=elapsed,
            request_id=request.request_id,
        )
        spawn._recorded, spawn._env = request, env
        spawn._keep_settings(env)
        spawn._steps = (
            spawn._build_remaining,
            spawn._ensure_others,
            spawn._ensure_pod,
        )
        return spawn

    @classmethod
    def from_pod(
        cls,
        labs: LabContext,
        record: LabRecord,
        state: LabState,
        pod: JSON,
        request_id: str | None = None,
    ) -> Self:
        """Follow a pod that an earlier process has created."""
        spawn = cls(
            labs,
            record,
            state,
            url=state.internal_url,
            elapsed=seconds_since(pod["metadata"]["creationTimestamp"]),
            request_id=request_id,
        )
        spawn._pod = pod
        spawn._node = (pod.get("spec") or {}).get("nodeName")
        spawn._steps = (spawn._find_pod, spawn._report_past)
        return spawn

    # --- Begin -----------------------------------------------------------

    def begin(self) -> None:
        """Begin on the record.

        Raises
        ------
        OperationInProgressError, LabExistsError
            Raised if there cannot be another lab now.
        """
        self._remains = self._record.begin_spawn(self, self._state)
        self.events.info(
            f"Starting lab creation for {self.username}", 1, step=Step.ACCEPTED
        )
        options = self._state.options
        self._log.info("Creating lab", image=options.image, size=options.size)

    def withdraw(self) -> None:
        """Leave the record as it was before it began."""
        self._record.end(self, self._remains)

    def resume(self, seen: int) -> bool:
        """Go on on the record; False if that has changed since ``seen``."""
        if not self._record.begin_monitor(self, self._state, seen):
            return False
        self.events.info(
            f"Monitoring in-progress lab creation for {self.username}",
            1,
            step=Step.RESUMED,
        )
        self._log.info("Resuming lab creation", request_id=self.request_id)
        return True

    def conclude(self) -> None:
        """Come to the good end of an earlier process, for whoever reconnects."""
        self.events.complete(f"Lab Kubernetes pod started for {self.username}")
        self.end()

    # --- Operation -------------------------------------------------------

    def perform(self) -> LabState:
        """Take all steps, then follow the pod."""
        with self._cluster.follow(self._pod_ref, self.timeout) as self._follower:
            for step in self._steps:
                step()
            return self._follow()

    def succeed(self, result: LabState) -> None:
        """Report the running lab."""
        self._record.end(self, result)
        self.events.complete(f"Lab Kubernetes pod started for {self.username}")

    def fail(self, failure: Failure) -> None:
        """Keep what there is of the lab, for the next operation to remove."""
        ended = isinstance(failure.error, LabPodEndedError)
        status = LabStatus.TERMINATED if ended else LabStatus.FAILED
        self._record.end_failed(self, status)

    def explain(self, error: Exception) -> Failure:
        """Explain the error by what was being done, and what Kubernetes said."""
        return explain(
            error,
            last=self._reporter.last,
            trouble=self._reporter.cause,
            phase=current_phase(self.events.all(), self.began),
            object=str(self._object) if self._object else None,
            image=self._state.options.image,
            node=self._node,
        )

    @property
    def node(self) -> str | None:
        """Where its pod is; None while that has no node."""
        return self._node

    @property
    def trouble(self) -> SpawnTrouble | None:
        """What keeps it waiting, if that may well be the cause of its failure."""
        last, since = self._reporter.last, self._reporter.trouble_since
        cause = self._reporter.cause
        if cause is None or since is None or self._ended.is_set():
            return None
        return SpawnTrouble(
            username=self.username,
            cause=cause,
            since=datetime.fromtimestamp(since, UTC),
            text=str(last),
            image=self._state.options.image,
            node=self._node,
        )

    def with_facts(self, entry: HistoryEntry) -> HistoryEntry:
        """Add what was spawned where, and how long each phase took."""
        return replace(
            entry,
            seconds=phases(
                entry.events,
                accepted=self.started,
                began=self.began,
                ended=entry.ended.timestamp(),
            ),
            image=self._state.options.image,
            size=self._state.options.size,
            enable_debug=self._state.options.enable_debug,
            node=self._node,
            bytes_pulled=bytes_pulled(entry.events),
            fetched=was_fetched(entry.events),
        )

    def end(self) -> None:
        """Mark it as over, and let go of the objects: some hold secrets."""
        for name in _WORK:
            self.__dict__.pop(name, None)
        super().end()

    # --- Steps -----------------------------------------------------------

    def _remove_remains(self) -> None:
        if self._remains is None:
            return
        self._object = NAMESPACE.at(None, self._names.namespace)
        self.events.info(
            f"Deleting existing failed lab for {self.username}", 2, step=Step.CLEARING
        )
        remove_lab(self._labs, self, at=(5, 12))
        self.events.info(f"Lab for {self.username} deleted", 20, step=Step.CLEARED)

    def _build(self) -> None:
        self._objects = self._labs.builder.build(
            self._request.user,
            self._request.specification,
            self._request.image,
            self._read_secrets(),
            self._read_pull_secret(),
            self._labs.discovery(),
            self.request_id,
        )
        self._remaining = self._objects.remaining

    def _build_remaining(self) -> None:
        self._remaining = self._labs.builder.complete(
            self._recorded,
            self._env,
            self._read_pull_secret(),
            self._labs.discovery(),
        )

    def _ensure_namespace(self) -> None:
        """Create the namespace, and take it back if that came too late.

        A deletion that has cancelled the spawn meanwhile may have found no
        namespace to delete.
        """
        created = self._create_namespace()
        if self.cancelled:
            patience = Timeout("Lab deletion", KUBERNETES_REQUEST_TIMEOUT)
            self._cluster.remove(
                ObjectRef.of(self._objects.namespace), patience, uid=uid_of(created)
            )
            raise OperationCancelledError("Lab spawn cancelled")

    def _create_namespace(self) -> JSON:
        """Create the namespace in place of one that a crash has left."""
        namespace = self._objects.namespace
        self._object = ref = ObjectRef.of(namespace)
        timeout = self.timeout.ranked(_Rank.NAMESPACE)
        while True:
            try:
                return self._cluster.create(namespace, timeout)
            except KubernetesConflictError:
                existing = self._cluster.read(ref, timeout)
                if existing is None:
                    continue
                if not is_lab(existing):
                    raise
            self._log.warning("Replacing leftover namespace", namespace=ref.name)
            self._cluster.remove(ref, timeout, uid=uid_of(existing))

    def _ensure_secret(self) -> None:
        self._ensure(self._objects.secret, _Rank.SECRET)

    def _ensure_environment(self) -> None:
        self._ensure(self._objects.env_config_map, _Rank.ENVIRONMENT)
        self.mark_resumable()

    def _ensure_others(self) -> None:
        for obj in self._remaining.others:
            self._ensure(obj)

    def _ensure_pod(self) -> None:
        if not self._follower.wait_synced(_SYNC_SECONDS):
            self._labs.alerts.report("Cannot watch events about pods")
        self._wait_for_account()
        self._pod = self._ensure(self._remaining.pod)
        self._note_pod()
        self.events.info(
            "Created Kubernetes objects for user lab",
            _PROGRESS_CREATED,
            step=Step.CREATED,
        )

    def _find_pod(self) -> None:
        """Read the pod that is there now; it has to be the one that was found."""
        found = self._cluster.read(self._pod_ref, self.timeout)
        if found is None or uid_of(found) != uid_of(self._pod):
            raise self._vanished()
        self._pod = found
        self._note_pod()

    def _report_past(self) -> None:
        """Report what happened to the pod before anybody here followed it."""
        uid = uid_of(self._pod)
        try:
            events = self._cluster.list(
                EVENT,
                self.timeout.part(_PAST_SECONDS),
                namespace=self._names.namespace,
                fields=f"involvedObject.uid={uid}",
            )
            for notice in past_notices(events, uid):
                self._reporter.report(notice)
        except (KubernetesError, OperationTimeoutError) as e:
            self._log.warning("Cannot read past events of pod", error=str(e))

    def _follow(self) -> LabState:
        """Wait until the pod has started, reporting what happens to it.

        The watch of pods also loses those that only lose their label.
        """
        while (state := self._follow_in_watch()) is None:
            self._find_pod()
        return state

    def _follow_in_watch(self) -> LabState | None:
        """Follow the pod; None once the watch no longer shows it."""
        for news in self._follower.follow(self._pod):
            match news:
                case PodGone():
                    break
                case PodNotice():
                    self._reporter.report(news)
                case PodChanged(pod):
                    self._seen = pod
                    self._node = (pod.get("spec") or {}).get("nodeName")
                    status = status_of_pod(pod)
                    self._check_end(pod, status)
                    if status is LabStatus.RUNNING:
                        self._report_last_events(pod)
                        return replace(self._state, status=status)
                    self._reporter.report_state(waiting_notices(pod))
        return None

    def _check_end(self, pod: JSON, status: LabStatus) -> None:
        """Check that a pod may still start; a lost node never confirms its end."""
        end = why_pod_ends(pod, gone=False).reason
        if status is LabStatus.TERMINATED:
            raise LabPodEndedError(describe_pod_end(pod), end)
        if status is LabStatus.TERMINATING and end is EndReason.NODE_LOST:
            raise self._vanished()

    # --- Parts of steps --------------------------------------------------

    def _ensure(self, obj: JSON, rank: _Rank = _Rank.OTHERS) -> JSON:
        self._object = ObjectRef.of(obj)
        return self._cluster.ensure(obj, self.timeout.ranked(rank))

    def _note_pod(self) -> None:
        self._object = self._pod_ref
        self._state = replace(self._state, internal_url=self._url)
        self._record.update(self, self._state, uid_of(self._pod))

    def _read_secrets(self) -> dict[str, dict[str, str]]:
        """Read the keys of secrets that the configuration names."""
        found: dict[str, dict[str, str]] = {}
        for secret in self._labs.config.secrets:
            name, key = secret.secret_name, secret.secret_key
            if name not in found:
                found[name] = self._read_secret(name).get("data") or {}
            if key not in found[name]:
                namespace = self._labs.namespace
                raise MissingSecretError(f"No key {key} in secret {namespace}/{name}")
        return found

    def _read_pull_secret(self) -> JSON | None:
        name = self._labs.config.pull_secret
        return None if name is None else self._read_secret(name)

    def _read_secret(self, name: str) -> JSON:
        namespace = self._labs.namespace
        self._object = SECRET.at(namespace, name)
        timeout = self.timeout.ranked(_Rank.SOURCES)
        secret = self._labs.sources.read(self._object, timeout)
        if secret is None:
            raise MissingSecretError(f"Secret {namespace}/{name} does not exist")
        add_data_of(secret, self.confidential)
        return secret

    def _keep_settings(self, env: Mapping[str, str]) -> None:
        """Keep the environment from being shown, but for what the service sets."""
        known = {*SET_BY_CONTROLLER, *self._labs.config.env}
        settings = {name: env[name] for name in env if name not in known}
        self.confidential.add_settings(settings)

    def _wait_for_account(self) -> None:
        """Wait for the service account without which pods are refused.

        References
        ----------
        https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/
        """
        self._object = SERVICE_ACCOUNT.at(self._names.namespace, "default")
        pause = _ACCOUNT_PAUSE
        while True:
            try:
                if self._cluster.read(self._object, self.timeout):
                    return
            except KubernetesError as e:
                if e.status != 403:
                    raise
                # Not allowed to look: creating the pod will show it.
                return
            self.timeout.sleep(pause)
            pause = min(pause * 2, _ACCOUNT_LONGEST_PAUSE)

    def _report_last_events(self, pod: JSON) -> None:
        """Report events that come later than the state of the pod."""
        if not self._reporter.is_complete:
            for notice in self._follower.drain_events(pod, _DRAIN_SECONDS):
                self._reporter.report(notice)
                if self._reporter.is_complete:
                    return

    def _vanished(self) -> LabPodVanishedError:
        end = why_pod_ends(self._seen, gone=True)
        why = "" if end.reason is EndReason.DELETED else f": {end.text}"
        return LabPodVanishedError(
            f"{self._pod_ref} was deleted before the lab had started{why}", end.reason
        )
