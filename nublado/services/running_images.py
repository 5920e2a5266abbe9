"""Which images the labs of a cluster are running."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from nublado.constants import CATEGORY_LAB, LABEL_CATEGORY
from nublado.models.domain.kubernetes import JSON
from nublado.models.domain.rspimage import RSPImageCollection
from nublado.storage.kubernetes.cluster import Cluster
from nublado.storage.kubernetes.resource import POD
from nublado.timeout import Timeout

__all__ = ["running_digests"]

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def running_digests(
    cluster: Cluster, images: RSPImageCollection, timeout: Timeout
) -> set[str]:
    """Find the digests that pods of labs name, in any of their containers.

    What is named by its tag alone is what that tag points to now.

    Parameters
    ----------
    cluster
        Where labs run.
    images
        All images of the repository.
    timeout
        How long it may take.

    Raises
    ------
    KubernetesError
        Raised if pods cannot be listed.
    """
    digests: set[str] = set()
    by_reference = {image.reference: image.digest for image in images}
    labels = f"{LABEL_CATEGORY}={CATEGORY_LAB}"
    for reference in _references(cluster.list(POD, timeout, labels=labels)):
        digests.update(_DIGEST.findall(reference))
        digest = by_reference.get(reference)
        if digest is not None:
            digests.add(digest)
    return digests


def _references(pods: Iterable[JSON]) -> Iterator[str]:
    """All references to images, as specified and as run."""
    for pod in pods:
        spec, status = pod["spec"], pod.get("status") or {}
        for kind in ("containers", "initContainers", "ephemeralContainers"):
            for container in spec.get(kind) or ():
                yield container.get("image") or ""
            for container in status.get(f"{kind[:-1]}Statuses") or ():
                yield container.get("imageID") or ""
