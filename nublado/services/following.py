"""Whether the watches follow the cluster, and who is told if they do not."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from nublado.services.alerts import Alerts
from nublado.storage.kubernetes.watcher import Watcher

__all__ = ["WatchMonitor"]

_PATIENCE_SECONDS = 60.0
_LOOK_SECONDS = 5.0
_STOP_SECONDS = 5.0


class WatchMonitor:
    """Reports watches that have not followed the cluster for a minute.

    Parameters
    ----------
    watchers
        The watches.
    alerts
        Is told when one is lost, and when all have recovered.
    patience
        For how long a watch may be lost (seconds).
    """

    def __init__(
        self,
        watchers: Sequence[Watcher],
        alerts: Alerts,
        *,
        patience: float = _PATIENCE_SECONDS,
    ) -> None:
        self._watchers = watchers
        self._alerts = alerts
        self._patience = patience
        self._reported: set[str] = set()
        self._stopping = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name="watch-monitor", daemon=True
        )

    def start(self) -> None:
        """Begin to look at the watches, in a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """Look at them no more."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(_STOP_SECONDS)

    def problems(self) -> list[str]:
        """Which objects are not followed, since when and why."""
        return [_describe(watcher) for watcher in self._lost()]

    def check(self) -> None:
        """Report what has changed since the last check."""
        lost = {watcher.name: _describe(watcher) for watcher in self._lost()}
        if lost.keys() - self._reported:
            self._alerts.report("; ".join(lost.values()), event="Cannot follow cluster")
            self._reported |= lost.keys()
        elif self._reported and not lost:
            watches = ", ".join(sorted(self._reported))
            self._alerts.recovered("Following cluster again", watches=watches)
            self._reported.clear()

    def _run(self) -> None:
        while not self._stopping.wait(_LOOK_SECONDS):
            self.check()

    def _lost(self) -> list[Watcher]:
        return [w for w in self._watchers if w.lost > self._patience]


def _describe(watcher: Watcher) -> str:
    since = datetime.now(UTC) - timedelta(seconds=watcher.lost)
    reason = watcher.obstacle or "Kubernetes does not respond"
    return (
        f"{watcher.spec.resource.plural} have not been followed since"
        f" {since:%H:%M:%S} UTC, their last known state is served: {reason}"
    )
