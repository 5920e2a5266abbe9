"""Keeps the last known images where the next process finds them."""

from __future__ import annotations

import base64
import binascii

import structlog

from nublado.constants import (
    CATEGORY_IMAGES,
    KUBERNETES_REQUEST_TIMEOUT,
    LABEL_CATEGORY,
)
from nublado.exceptions import NubladoError, OperationCancelledError
from nublado.models.domain.kubernetes import JSON
from nublado.models.domain.remembered import RememberedImages
from nublado.services.alerts import Alerts
from nublado.storage.kubernetes.cluster import Cluster
from nublado.storage.kubernetes.resource import CONFIG_MAP
from nublado.timeout import Cancellation, Timeout

__all__ = ["ImageMemory"]

_NAME = "nublado-images"
_KEY = "images.json.gz"
_MOST_BYTES = 512 * 1024
"""Half of what a config map may hold."""


class ImageMemory:
    """A config map in the controller's namespace.

    Images are not worth failing for: what cannot be kept or recalled is
    reported, and no more.

    Parameters
    ----------
    cluster
        Where it is.
    namespace
        Namespace of the controller.
    alerts
        Is told when images cannot be kept, and when they can again.
    """

    def __init__(self, *, cluster: Cluster, namespace: str, alerts: Alerts) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._alerts = alerts
        self._cancellation = Cancellation()
        self._kept: RememberedImages | None = None
        self._has_failed = False
        self._log = structlog.get_logger(__name__)

    def close(self) -> None:
        """End a request that is under way."""
        self._cancellation.cancel()

    def recall(self) -> RememberedImages | None:
        """Read what was kept last; None if there is nothing that can be read."""
        ref = CONFIG_MAP.at(self._namespace, _NAME)
        try:
            found = self._cluster.read(ref, self._timeout())
            self._kept = None if found is None else _decode(found)
        except OperationCancelledError:
            raise
        except (NubladoError, ValueError) as e:
            self._log.warning("Cannot recall images", config_map=ref.name, error=str(e))
        return self._kept

    def keep(self, images: RememberedImages) -> None:
        """Write images down, if they are others than before."""
        if images == self._kept:
            return
        encoded = images.encode(_MOST_BYTES)
        try:
            self._cluster.replace(self._config_map(encoded), self._timeout())
        except OperationCancelledError:
            raise
        except NubladoError as e:
            self._note_failure(e)
            return
        self._kept = images
        self._log.info("Kept images", images=len(images.tags), bytes=len(encoded))
        if self._has_failed:
            self._has_failed = False
            self._alerts.recovered("Images are kept again")

    def _note_failure(self, error: NubladoError) -> None:
        """Alert of the first of several failures in a row."""
        if self._has_failed:
            self._log.warning("Cannot keep images", error=str(error))
        else:
            self._has_failed = True
            self._alerts.report(error, event="Cannot keep images")

    def _config_map(self, encoded: bytes) -> JSON:
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": _NAME,
                "namespace": self._namespace,
                "labels": {LABEL_CATEGORY: CATEGORY_IMAGES},
            },
            "binaryData": {_KEY: base64.b64encode(encoded).decode()},
        }

    def _timeout(self) -> Timeout:
        return Timeout("Keeping images", KUBERNETES_REQUEST_TIMEOUT, self._cancellation)


def _decode(config_map: JSON) -> RememberedImages:
    """Read images from the config map.

    Raises
    ------
    ValueError
        Raised if it does not hold any.
    """
    content = (config_map.get("binaryData") or {}).get(_KEY)
    if content is None:
        raise ValueError(f"has no {_KEY}")
    try:
        encoded = base64.b64decode(content, validate=True)
    except (binascii.Error, TypeError) as e:
        raise ValueError("is not base64") from e
    return RememberedImages.decode(encoded)
