"""Follow one pod: its state, and the events that Kubernetes records about it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import structlog

from nublado.exceptions import KubernetesError, OperationTimeoutError
from nublado.models.domain.kubernetes import JSON, uid_of, version_of
from nublado.models.domain.pod import PodNotice
from nublado.storage.kubernetes.cache import Change, ChangeType, Key, WatchSpec
from nublado.storage.kubernetes.mailbox import Mailbox
from nublado.storage.kubernetes.resource import EVENT
from nublado.storage.kubernetes.watcher import Watcher
from nublado.timeout import Timeout

__all__ = [
    "POD_EVENTS",
    "PodChanged",
    "PodFollower",
    "PodGone",
    "PodNews",
    "past_notices",
    "reduce_pod",
]

_QUIET_SECONDS = 10.0
_QUIET_ROUNDS = 6
_READ_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class PodChanged:
    """The pod has a new state."""

    pod: JSON


@dataclass(frozen=True, slots=True)
class PodGone:
    """The pod was deleted."""


PodNews = PodChanged | PodGone | PodNotice


def reduce_pod(pod: JSON) -> JSON:
    """Keep only what the state is read from; hundreds are held in memory."""
    metadata = {k: v for k, v in pod["metadata"].items() if k != "managedFields"}
    node = (pod.get("spec") or {}).get("nodeName")
    spec = {"nodeName": node} if node else {}
    return {"metadata": metadata, "spec": spec, "status": pod.get("status") or {}}


def _pod_of_event(event: JSON) -> Key:
    involved = event["involvedObject"]
    return involved.get("namespace"), str(involved.get("name", ""))


def _reduce_event(event: JSON) -> JSON:
    return {
        "metadata": event["metadata"],
        "involvedObject": event.get("involvedObject") or {},
        "reason": event.get("reason") or "",
        "message": event.get("message") or "",
    }


POD_EVENTS = WatchSpec(
    resource=EVENT,
    fields="involvedObject.kind=Pod",
    key=_pod_of_event,
    reduce=_reduce_event,
    remembered=False,
    on_demand=True,
)
"""Events about pods, passed on to whoever listens for the pod."""


class PodFollower:
    """Reports what happens to one pod, from before its creation on.

    Parameters
    ----------
    key
        Namespace and name of the pod.
    mailbox
        Where its changes and its events arrive.
    timeout
        Deadline of the operation that follows it.
    read
        Reads the pod within a deadline; None if there is none.
    watchers
        Watches that fill the mailbox, that of pods first.
    """

    def __init__(
        self,
        *,
        key: Key,
        mailbox: Mailbox[Change],
        timeout: Timeout,
        read: Callable[[Timeout], JSON | None],
        watchers: tuple[Watcher, ...],
    ) -> None:
        self._key = key
        self._mailbox = mailbox
        self._timeout = timeout
        self._read = read
        self._watchers = watchers

    def wait_synced(self, seconds: float) -> bool:
        """Wait until nothing can be missed; False if that takes longer."""
        return all(watcher.wait_synced(seconds) for watcher in self._watchers)

    def follow(self, pod: JSON) -> Iterator[PodNews]:
        """Yield news of a pod, beginning with its state as given, until it is gone.

        Raises
        ------
        OperationCancelledError, OperationTimeoutError
            Raised if the operation was cancelled or its time is up.
        """
        uid, version = uid_of(pod), version_of(pod)
        yield PodChanged(pod)
        quiet_rounds = 0
        while True:
            change = self._mailbox.receive(_QUIET_SECONDS)
            if change is None:
                quiet_rounds += 1
                change = self._missed_change(version, quiet_rounds)
                if change is None:
                    continue
            quiet_rounds = 0
            if "involvedObject" in change.object:
                yield from _news(change, uid)
            elif uid_of(change.object) == uid:
                version = version_of(change.object)
                if change.type is ChangeType.DELETED:
                    yield PodGone()
                    return
                yield PodChanged(change.object)

    def drain_events(self, pod: JSON, seconds: float) -> Iterator[PodNotice]:
        """Yield events that are still on their way, for so many seconds.

        They come by another watch than the state of the pod, and often later.
        """
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            change = self._mailbox.receive(left)
            if change is not None and "involvedObject" in change.object:
                yield from _news(change, uid_of(pod))

    def _missed_change(self, version: str, quiet_rounds: int) -> Change | None:
        """Read the pod, in case the watch has missed a change of it.

        An active watch that shows the pod is trusted; every sixth quiet
        interval the pod is re-read anyway.
        """
        pods, *_ = self._watchers
        known = pods.cache.get(self._key)
        is_watched = known is not None and pods.idle < _QUIET_SECONDS
        if is_watched and quiet_rounds % _QUIET_ROUNDS:
            return None
        try:
            pod = self._read(self._timeout.part(_READ_SECONDS))
        except (KubernetesError, OperationTimeoutError) as e:
            log = structlog.get_logger(__name__)
            log.warning("Cannot read pod while waiting", error=str(e))
            return None
        if pod is not None and version_of(pod) == version:
            return None
        for watcher in self._watchers:
            watcher.reconnect()
        if pod is not None:
            return Change(ChangeType.MODIFIED, reduce_pod(pod))
        known = pods.cache.get(self._key)
        return Change(ChangeType.DELETED, known) if known is not None else None


def past_notices(events: Iterable[JSON], uid: str) -> list[PodNotice]:
    """Tell what events that were listed say of a pod, the oldest first.

    Parameters
    ----------
    events
        The events, as Kubernetes lists them.
    uid
        The pod that they have to be about.
    """
    reduced = (_reduce_event(event) for event in sorted(events, key=_last_seen))
    return [notice for event in reduced for notice in _notices(event, uid)]


def _last_seen(event: JSON) -> str:
    metadata = event["metadata"]
    seen = event.get("lastTimestamp") or event.get("eventTime")
    return str(seen or metadata.get("creationTimestamp") or "")


def _news(change: Change, uid: str) -> Iterator[PodNotice]:
    if change.type is not ChangeType.DELETED:
        yield from _notices(change.object, uid)


def _notices(event: JSON, uid: str) -> Iterator[PodNotice]:
    involved = event["involvedObject"]
    if event["message"] and involved.get("uid") in (None, uid):
        # Such as "spec.containers{notebook}".
        _, _, container = (involved.get("fieldPath") or "").partition("{")
        yield PodNotice(
            event["reason"], event["message"], container.removesuffix("}") or None
        )
