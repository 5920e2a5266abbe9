"""Create the pod for file systems and wait until it runs."""

from __future__ import annotations

from datetime import UTC, datetime

from nublado.exceptions import FsadminPodError, NubladoError, OperationCancelledError
from nublado.models.domain.failure import Failure
from nublado.models.domain.history import HistoryKind
from nublado.models.domain.kubernetes import JSON, PodPhase, is_terminating
from nublado.models.domain.pod import PodNotice
from nublado.services.fsadmin.context import FsadminContext, phase_of, runs, start_of
from nublado.services.fsadmin.removal import remove_pod
from nublado.services.observed.failure import explain
from nublado.services.observed.notices import cause_of
from nublado.services.observed.pod_status import describe_pod_end, waiting_notices
from nublado.services.operation import Operation, OperationKind
from nublado.storage.kubernetes.pod import PodChanged, PodGone
from nublado.storage.kubernetes.resource import ObjectRef
from nublado.timeout import Timeout

__all__ = ["Creation"]

_CLEANUP_SECONDS = 30.0
_ENDED = (PodPhase.SUCCEEDED, PodPhase.FAILED)


class Creation(Operation[datetime]):
    """Creates the pod unless it runs; its result is when that was started.

    Parameters
    ----------
    fsadmin
        What it is made with.
    username
        Who asks for it.

    Attributes
    ----------
    pod_started
        When the pod was started, after the operation has succeeded.
    """

    kind = OperationKind.SPAWN
    noted_as = HistoryKind.FSADMIN_CREATION
    title = "Creation of fsadmin pod"
    timed_as = "Creation of fsadmin pod"
    epitaph = "Creation of fsadmin pod failed"

    def __init__(self, fsadmin: FsadminContext, username: str) -> None:
        super().__init__(
            username,
            alerts=fsadmin.alerts,
            history=fsadmin.history,
            seconds=fsadmin.config.timeout,
        )
        self._fsadmin = fsadmin
        self._made: JSON | None = None
        self._last: PodNotice | None = None
        self.pod_started = datetime.now(UTC)

    # --- Operation -------------------------------------------------------

    def perform(self) -> datetime:
        """Create it, in place of one that does not run, and wait until it does."""
        fsadmin = self._fsadmin
        existing = fsadmin.read(self.timeout)
        if existing is not None:
            if runs(existing):
                return start_of(existing) or self.pod_started
            self._log.info("Replacing fsadmin pod", phase=phase_of(existing))
            remove_pod(fsadmin, existing, self.timeout)
        fsadmin.alerts.warn(
            "Privileged pod with all file systems is being created",
            user=self.username,
            pod=str(fsadmin.ref),
        )
        for claim in fsadmin.builder.claims():
            self._claim(claim)
        return self._run_pod()

    def succeed(self, result: datetime) -> None:
        """Keep what callers are told."""
        self.pod_started = result
        self.events.complete("Pod runs", 100)
        self._log.info("Privileged pod with all file systems runs")

    def fail(self, failure: Failure) -> None:
        """Remove the pod, which may otherwise start when nobody expects it."""
        del failure
        if self._made is None:
            return
        timeout = Timeout(
            "Removal of fsadmin pod", _CLEANUP_SECONDS, self.timeout.cancellation
        )
        try:
            remove_pod(self._fsadmin, self._made, timeout)
        except OperationCancelledError:
            return
        except NubladoError as e:
            event = "Cannot clean up fsadmin pod"
            self._fsadmin.alerts.report(e, event=event, user=self.username)

    def explain(self, error: Exception) -> Failure:
        """Explain the error by what Kubernetes said of the pod."""
        last = self._last
        return explain(
            error,
            last=last,
            trouble=cause_of(last, main=None) if last is not None else None,
            object=str(self._fsadmin.ref),
        )

    # --- Steps -----------------------------------------------------------

    def _claim(self, claim: JSON) -> None:
        """Create a claim; one that is there is kept, unless it is going away."""
        cluster = self._fsadmin.cluster
        existing = cluster.ensure(claim, self.timeout)
        if is_terminating(existing):
            cluster.wait_gone(ObjectRef.of(claim), self.timeout)
            cluster.create(claim, self.timeout)

    def _run_pod(self) -> datetime:
        fsadmin, pod = self._fsadmin, self._fsadmin.builder.pod(self.username)
        with fsadmin.cluster.follow(fsadmin.ref, self.timeout) as follower:
            self._made = fsadmin.cluster.create(pod, self.timeout)
            for news in follower.follow(self._made):
                match news:
                    case PodGone():
                        raise FsadminPodError(f"{fsadmin.ref} was deleted")
                    case PodNotice():
                        self._last = news
                    case PodChanged(state):
                        if runs(state):
                            return start_of(state) or datetime.now(UTC)
                        self._check(state)
        raise FsadminPodError(f"{fsadmin.ref} is no longer followed")

    def _check(self, pod: JSON) -> None:
        """Note why a pod does not run yet; raise if it never will."""
        if phase_of(pod) in _ENDED:
            raise FsadminPodError(describe_pod_end(pod, str(self._fsadmin.ref)))
        if notices := waiting_notices(pod):
            self._last = notices[-1]
