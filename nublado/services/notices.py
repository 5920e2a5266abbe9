"""What operators tell users, kept in a config map so that it outlives the process."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeVar

import structlog
from marshmallow import ValidationError

from nublado.constants import ARGO_CD_ANNOTATIONS, NOTICES_NAME
from nublado.exceptions import (
    KubernetesConflictError,
    KubernetesError,
    MaintenanceError,
    NotKeptError,
    OperationCancelledError,
    OperationTimeoutError,
)
from nublado.models.domain.kubernetes import JSON
from nublado.models.domain.notices import Notice, Notices
from nublado.models.v1.notices import dump_notice, read_notice
from nublado.services.alerts import Alerts
from nublado.storage.kubernetes.cluster import Cluster
from nublado.storage.kubernetes.resource import CONFIG_MAP
from nublado.timeout import Cancellation, Timeout

__all__ = ["NoticeService"]

T = TypeVar("T")

_KEYS = ("drain", "announcement")
_WORK = "Keeping notices"
_CHANGE_SECONDS = 15.0
_MOST_COLLISIONS = 8
_RETRY_SECONDS = 300
_MALFORMED = "Cannot read notices"


class NoticeService:
    """Knows what users are told, and changes it.

    All requests to Kubernetes are made by one thread, so that what was read
    before a change never takes the place of what was read after it.

    Parameters
    ----------
    cluster
        Where it is kept.
    namespace
        Namespace of the controller.
    alerts
        Is told of changes, and of what cannot be read.
    clock
        Tells the time.
    """

    def __init__(
        self,
        *,
        cluster: Cluster,
        namespace: str,
        alerts: Alerts,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._cluster = cluster
        self._ref = CONFIG_MAP.at(namespace, NOTICES_NAME)
        self._alerts = alerts
        self._clock = clock
        self._cancellation = Cancellation()
        self._thread = ThreadPoolExecutor(1, "notices")
        self._lock = threading.Lock()
        self._kept = Notices()
        self._malformed: str | None = None
        self._log = structlog.get_logger(__name__)

    def stop(self) -> None:
        """Make no more requests."""
        self._cancellation.cancel()
        self._thread.shutdown(wait=False, cancel_futures=True)

    @property
    def current(self) -> Notices:
        """What users are told now."""
        with self._lock:
            kept = self._kept
        return kept.at(self._clock())

    def check_open(self) -> None:
        """Check that labs may be started.

        Raises
        ------
        MaintenanceError
            Raised with the message of the operators if none may be.
        """
        drain = self.current.drain
        if drain is not None:
            seconds = _RETRY_SECONDS
            if drain.until is not None:
                left = (drain.until - self._clock()).total_seconds()
                seconds = min(seconds, max(1, round(left)))
            raise MaintenanceError(drain.message, seconds)

    def load(self) -> None:
        """Read again what is kept.

        Raises
        ------
        NubladoError
            Raised if Kubernetes does not say; what was known stays.
        """

        def read() -> None:
            self._set(self._read(self._timeout()))

        self._in_thread(read)

    def drain(self, notice: Notice) -> None:
        """Let no labs be started; those that exist are left alone.

        Raises
        ------
        NotKeptError
            Raised if that cannot be kept, and so does not come into effect.
        """
        self._change(lambda known: replace(known, drain=notice))
        self._report("Labs cannot be started", notice.by, notice)

    def undrain(self, by: str) -> None:
        """Let labs be started again; raises as `drain` does."""
        self._change(lambda known: replace(known, drain=None))
        self._report("Labs can be started again", by)

    def announce(self, notice: Notice) -> None:
        """Tell users something on all pages; raises as `drain` does."""
        self._change(lambda known: replace(known, announcement=notice))
        self._report("Announced to users", notice.by, notice)

    def withdraw(self, by: str) -> None:
        """Tell users no longer; raises as `drain` does."""
        self._change(lambda known: replace(known, announcement=None))
        self._report("Announcement withdrawn", by)

    def _report(self, event: str, by: str, notice: Notice | None = None) -> None:
        facts: dict[str, object] = {"by": by}
        if notice is not None:
            until = notice.until.isoformat() if notice.until else None
            facts |= {"message": notice.message, "until": until}
        self._alerts.announce(event, **facts)

    # --- In the thread that talks to Kubernetes --------------------------

    def _in_thread(self, work: Callable[[], T]) -> T:
        try:
            future = self._thread.submit(copy_context().run, work)
        except RuntimeError as e:
            raise OperationCancelledError("Service is stopping") from e
        try:
            return future.result(2 * _CHANGE_SECONDS)
        except TimeoutError as e:
            raise OperationTimeoutError(_WORK, 2 * _CHANGE_SECONDS) from e

    def _timeout(self) -> Timeout:
        return Timeout(_WORK, _CHANGE_SECONDS, self._cancellation)

    def _change(self, edit: Callable[[Notices], Notices]) -> None:
        def change() -> None:
            self._set(self._keep(edit, self._timeout()))

        try:
            self._in_thread(change)
        except (KubernetesError, OperationCancelledError, OperationTimeoutError) as e:
            raise NotKeptError(str(e)) from e

    def _set(self, kept: JSON | None) -> None:
        notices = self._parse(kept)
        with self._lock:
            self._kept = notices

    def _read(self, timeout: Timeout) -> JSON | None:
        return self._cluster.read(self._ref, timeout)

    def _keep(self, edit: Callable[[Notices], Notices], timeout: Timeout) -> JSON:
        """Change what is kept, whatever others do to it meanwhile."""
        collisions = 0
        while True:
            kept = self._read(timeout)
            data = _dump(edit(self._parse(kept).at(self._clock())))
            try:
                if kept is None:
                    return self._cluster.create(self._new(data), timeout)
                return self._cluster.replace({**kept, "data": data}, timeout)
            except KubernetesConflictError:
                collisions += 1
                if collisions >= _MOST_COLLISIONS:
                    raise

    def _new(self, data: JSON) -> JSON:
        metadata = {
            "name": self._ref.name,
            "namespace": self._ref.namespace,
            "annotations": dict(ARGO_CD_ANNOTATIONS),
        }
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": metadata,
            "data": data,
        }

    def _parse(self, kept: JSON | None) -> Notices:
        """Read a config map, which anybody may have edited."""
        data = (kept or {}).get("data") or {}
        read: dict[str, Notice] = {}
        malformed = None
        for key in _KEYS:
            if key not in data:
                continue
            try:
                read[key] = read_notice(json.loads(data[key]))
            except (ValueError, ValidationError) as e:
                malformed = f"{key} in {self._ref}: {e}"
        if malformed is not None and malformed != self._malformed:
            self._alerts.report(malformed, event=_MALFORMED)
        self._malformed = malformed
        return Notices(**read)


def _dump(notices: Notices) -> JSON:
    told = {key: getattr(notices, key) for key in _KEYS}
    return {
        key: json.dumps(dump_notice(notice), ensure_ascii=False)
        for key, notice in told.items()
        if notice is not None
    }
