"""Sections of the status page, rendered once for all who look at it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable

from flask import Flask, render_template

from nublado.context import ProcessContext
from nublado.handlers.stream import RETRY
from nublado.models.domain.kubernetes import JSON
from nublado.models.v1.status import dump_status

__all__ = ["SECTIONS", "StatusFeed", "StatusSource", "shown_status"]

SECTIONS = (
    "notices",
    "health",
    "trend",
    "labs",
    "operations",
    "prepulls",
    "fileservers",
    "fsadmin",
    "failures",
    "machinery",
)
"""Sections of the page; each has a template."""

_REFRESH_SECONDS = 2.0
_IDLE_SECONDS = 90.0


class StatusFeed:
    """Renders the sections every two seconds, while somebody looks.

    Parameters
    ----------
    app
        Has the templates.
    context
        Knows the state of the service.
    """

    def __init__(self, app: Flask, context: ProcessContext) -> None:
        self._app = app
        self._context = context
        self._lock = threading.Lock()
        self._listeners: list[Callable[[], None]] = []
        self._thread: threading.Thread | None = None
        self._frames: dict[str, tuple[int, bytes]] = {}
        self._version = 0

    @property
    def stopping(self) -> bool:
        """Whether the process is about to end."""
        return self._context.stopping

    def listen(self, listener: Callable[[], None]) -> None:
        """Call a listener, which must not block, after each change."""
        with self._lock:
            self._listeners.append(listener)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="status-feed", daemon=True
                )
                self._thread.start()

    def unlisten(self, listener: Callable[[], None]) -> None:
        """Call a listener no more."""
        with self._lock:
            self._listeners.remove(listener)

    def since(self, version: int) -> tuple[int, bytes]:
        """Sections that have changed since a version, and the present one."""
        with self._lock:
            frames = [
                self._frames[section][1]
                for section in SECTIONS
                if section in self._frames and self._frames[section][0] > version
            ]
            return self._version, b"".join(frames)

    def _run(self) -> None:
        while self._is_wanted():
            changed = self._render_safely()
            if changed or self.stopping:
                self._tell()
            self._context.stops_within(_REFRESH_SECONDS)

    def _is_wanted(self) -> bool:
        """Whether to go on; what was rendered is of no use to later listeners."""
        with self._lock:
            if self._listeners and not self.stopping:
                return True
            self._thread = None
            self._frames.clear()
        self._tell()
        return False

    def _tell(self) -> None:
        with self._lock:
            listeners = list(self._listeners)
        for listener in listeners:
            listener()

    def _render_safely(self) -> bool:
        try:
            return self._render()
        except Exception as e:  # noqa: BLE001
            # The next state may be one that can be shown.
            self._context.alerts.report(e, event="Cannot render status page")
            return False

    def _render(self) -> bool:
        """Render all sections; tell whether one has changed."""
        with self._app.app_context():
            shown = shown_status(self._context)
            notices = self._context.notices.current
            frames = {
                section: _frame(
                    section,
                    render_template(
                        f"admin/{section}.html", status=shown, notices=notices
                    ),
                )
                for section in SECTIONS
            }
        with self._lock:
            changed = [
                section
                for section, frame in frames.items()
                if self._frames.get(section, (0, b""))[1] != frame
            ]
            if changed:
                self._version += 1
            for section in changed:
                self._frames[section] = (self._version, frames[section])
        return bool(changed)


class StatusSource:
    """The feed as the stream of one client."""

    def __init__(self, feed: StatusFeed) -> None:
        self._feed = feed
        self._version = 0
        self._prefix = RETRY
        self._wake: Callable[[], None] | None = None

    def attach(self, wake: Callable[[], None]) -> None:
        """Call ``wake`` for each change."""
        self._wake = wake
        self._feed.listen(wake)

    def pull(self) -> tuple[bytes, bool]:
        """Take the sections that have changed."""
        self._version, data = self._feed.since(self._version)
        if data:
            data, self._prefix = self._prefix + data, b""
        return data, self._feed.stopping

    def detach(self) -> None:
        """Call ``wake`` no more."""
        if self._wake is not None:
            self._feed.unlisten(self._wake)


def shown_status(context: ProcessContext) -> JSON:
    """State as the page shows it: nothing in it changes but what matters."""
    shown = dump_status(context.status.status())
    # The feed renders sections outside of requests, where Flask knows no URLs.
    prefix = context.config.path_prefix
    shown["users_url"] = f"{prefix}/admin/users"
    # The service's own runbook is there however the reader has come here.
    shown["runbook_url"] = context.config.runbook_url or f"{prefix}/runbook"
    for watcher in shown["watchers"]:
        watcher["stalled"] = watcher.pop("idle") > _IDLE_SECONDS
    return shown


def _frame(section: str, html: str) -> bytes:
    return f"event: {section}\ndata: {json.dumps({'html': html})}\n\n".encode()
