"""What is known of the services of the platform."""

from __future__ import annotations

import threading

import structlog

from nublado.exceptions import DiscoveryError
from nublado.models.domain.discovery import Discovery
from nublado.storage.repertoire import RepertoireClient

__all__ = ["DiscoveryService"]

_FIRST_SECONDS = 12.0
"""More than one request may take."""


class DiscoveryService:
    """Keeps the last answer of the service discovery, which may be away.

    Parameters
    ----------
    client
        Client of the service discovery; None on a platform without one, of
        which nothing is ever known.
    """

    def __init__(self, client: RepertoireClient | None) -> None:
        self._client = client
        self._known: Discovery | None = None
        self._tried = threading.Event()
        self._log = structlog.get_logger(__name__)

    @property
    def enabled(self) -> bool:
        """Whether there is a service discovery."""
        return self._client is not None

    @property
    def gafaelfawr_api(self) -> str | None:
        """Base URL of Gafaelfawr's API; None if it is not known."""
        return self._known.gafaelfawr_api if self._known else None

    @property
    def lab_document(self) -> str | None:
        """JSON for labs; None if nothing is known.

        The first attempt to learn it is waited for, for some seconds.
        """
        if self.enabled:
            self._tried.wait(_FIRST_SECONDS)
        return self._known.lab_document if self._known else None

    def refresh(self) -> None:
        """Ask again; what is known stays if that fails.

        Raises
        ------
        DiscoveryError
            Raised if the service discovery fails.
        """
        if self._client is None:
            return
        try:
            before, self._known = self._known, self._client.discover()
        finally:
            self._tried.set()
        found = self._known.gafaelfawr_api
        if found is None:
            self._log.warning(
                "Service discovery does not know Gafaelfawr, using the base URL"
            )
        elif before is None or before.gafaelfawr_api != found:
            self._log.info("Discovered Gafaelfawr", url=found)

    def begin(self) -> None:
        """Ask for the first time, in a thread of its own."""
        if self.enabled:
            threading.Thread(target=self._begin, name="discovery", daemon=True).start()

    def _begin(self) -> None:
        try:
            self.refresh()
        except DiscoveryError as e:
            self._log.warning(
                "Service discovery failed, using the base URL", error=str(e)
            )

    def close(self) -> None:
        """Close all connections."""
        if self._client is not None:
            self._client.close()
