"""The configuration file while the service runs: a restart would read it again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nublado.config import check
from nublado.exceptions import ConfigurationProblem
from nublado.services.alerts import Alerts

__all__ = ["ConfigurationFile", "ConfigurationWatch"]


@dataclass(frozen=True, slots=True)
class ConfigurationFile:
    """How the file is now.

    Parameters
    ----------
    has_changed
        Whether it is another than the running service has read.
    problems
        Everything that is wrong with it.
    """

    has_changed: bool = False
    problems: Sequence[ConfigurationProblem] = ()


class ConfigurationWatch:
    """Tells what the next start would find, while the service goes on as it is.

    Parameters
    ----------
    path
        The file. What is in it now is what the service runs with.
    alerts
        Is told once of each change that cannot be used.
    """

    def __init__(self, path: Path, alerts: Alerts) -> None:
        self._path = path
        self._alerts = alerts
        self._running = _read(path)
        self._seen = self._running
        self.file = ConfigurationFile()

    def look(self) -> ConfigurationFile:
        """Look at the file, and report it if it has changed."""
        content = _read(self._path)
        if content == self._seen:
            return self.file
        before, self._seen = self.file, content
        problems = tuple(check(self._path))
        self.file = ConfigurationFile(content != self._running, problems)
        if problems:
            self._alerts.report(
                "; ".join(map(str, problems)),
                event="Configuration cannot be used",
                file=str(self._path),
                remedy="correct it before the next start; what runs goes on",
            )
        elif not self.file.has_changed or before.problems:
            self._alerts.recovered("Configuration can be used", file=str(self._path))
        else:
            self._alerts.announce(
                "Configuration has changed",
                file=str(self._path),
                remedy="restart the service to apply it",
            )
        return self.file


def _read(path: Path) -> bytes | None:
    """Read a file; None if that is impossible, which `check` explains."""
    try:
        return path.read_bytes()
    except OSError:
        return None
