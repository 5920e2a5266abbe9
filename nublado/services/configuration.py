"""The configuration file while the service runs: a restart would read it again."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path

from nublado.config import check_for
from nublado.config.environment import Environment
from nublado.models.domain.configuration_file import ConfigurationFile
from nublado.services.alerts import Alerts

__all__ = ["ConfigurationWatch"]


class ConfigurationWatch:
    """Tells what the next start would find, while the service goes on as it is.

    That the file cannot be used is a problem of the service's health, which
    reports it; that it waits for a restart is told here.

    Parameters
    ----------
    environment
        Environment of the process, which says where the file is. What is in it
        now is what the service runs with.
    alerts
        Is told of each change that a restart would apply.
    """

    def __init__(self, environment: Environment, alerts: Alerts) -> None:
        self._environment = environment
        self._alerts = alerts
        self._lock = threading.Lock()
        self._running = self._seen = _read(environment.config_path)
        self._file = ConfigurationFile()

    @property
    def file(self) -> ConfigurationFile:
        """The file as it was found last."""
        return self._file

    def look(self) -> ConfigurationFile:
        """Look at the file, and tell if it has changed."""
        path = self._environment.config_path
        with self._lock:
            content = _read(path)
            if content == self._seen:
                return self._file
            before, self._seen = self._file, content
            self._file = self._examined(content)
        if self._file.problems:
            return self._file
        if self._file.has_changed:
            self._alerts.announce(
                "Configuration has changed",
                file=str(path),
                remedy="restart the service to apply it",
            )
        elif not before.problems:
            self._alerts.announce("Configuration has changed back", file=str(path))
        return self._file

    def _examined(self, content: bytes | None) -> ConfigurationFile:
        if content == self._running:
            return ConfigurationFile()
        problems = tuple(check_for(self._environment))
        return ConfigurationFile(True, datetime.now(UTC), problems)


def _read(path: Path) -> bytes | None:
    """Read a file; None if that is impossible, which `check_for` explains."""
    try:
        return path.read_bytes()
    except OSError:
        return None
