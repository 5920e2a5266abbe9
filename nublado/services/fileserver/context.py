"""What every operation on a file server works with, and where it looks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import structlog

from nublado.config.model import FileserverConfig
from nublado.constants import CATEGORY_FILESERVER, LABEL_CATEGORY, LABEL_USER
from nublado.exceptions import KubernetesError
from nublado.models.domain.fileserver import FileserverNames
from nublado.models.domain.kubernetes import JSON, label_of, namespace_of
from nublado.services.alerts import Alerts
from nublado.services.builder.fileserver import FileserverBuilder
from nublado.services.history import History
from nublado.services.observed.fileserver import ObservedFileserver, refusal_of_pod
from nublado.storage.kubernetes.cluster import Cluster
from nublado.storage.kubernetes.resource import (
    EVENT,
    GAFAELFAWR_INGRESS,
    INGRESS,
    JOB,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    SERVICE,
    Resource,
)
from nublado.timeout import Timeout

__all__ = ["WATCHED", "FileserverContext"]

WATCHED = (JOB, INGRESS, POD)
"""Kinds that show whether a file server runs."""

_LEFTOVERS = (GAFAELFAWR_INGRESS, SERVICE, PERSISTENT_VOLUME_CLAIM)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileserverContext:
    """Long-lived objects that file servers are made with.

    Parameters
    ----------
    config
        Configuration of file servers.
    builder
        Builds their objects.
    cluster
        Where they are created.
    alerts
        Receives failures.
    history
        Keeps what became of operations.
    """

    config: FileserverConfig
    builder: FileserverBuilder
    cluster: Cluster
    alerts: Alerts
    history: History

    def user_of(self, obj: JSON) -> str | None:
        """Whose file server an object belongs to; None if to none."""
        is_ours = (
            namespace_of(obj) == self.config.namespace
            and label_of(obj, LABEL_CATEGORY) == CATEGORY_FILESERVER
        )
        return label_of(obj, LABEL_USER) if is_ours else None

    def observe(self, username: str) -> ObservedFileserver:
        """What the watches know of a user's file server; costs no request."""
        return ObservedFileserver.of(
            (resource.kind, obj)
            for resource in WATCHED
            for obj in self.cluster.watcher(resource).cache.objects()
            if self.user_of(obj) == username
        )

    def read(self, username: str, timeout: Timeout) -> ObservedFileserver:
        """Read what there is of a user's file server.

        Raises
        ------
        KubernetesError
            Raised if it cannot be read.
        """
        name = FileserverNames(username).fileserver
        namespace = self.config.namespace
        job = self.cluster.read(JOB.at(namespace, name), timeout)
        ingress = self.cluster.read(INGRESS.at(namespace, name), timeout)
        pods = tuple(self.list(POD, timeout, username))
        return ObservedFileserver(job, ingress, pods)

    def find(self, timeout: Timeout) -> dict[str, ObservedFileserver]:
        """Find all file servers and what is left of any, by user.

        Raises
        ------
        KubernetesError
            Raised if they cannot be listed.
        """
        found: dict[str, list[tuple[str, JSON]]] = {}
        for resource in WATCHED:
            for obj in self.list(resource, timeout):
                found.setdefault(self._label(obj), []).append((resource.kind, obj))
        for resource in _LEFTOVERS:
            try:
                for obj in self.list(resource, timeout):
                    found.setdefault(self._label(obj), [])
            except KubernetesError as e:
                if e.status != 403:
                    raise
                # Only needed to find what was left.
                log = structlog.get_logger(__name__)
                log.warning("Not allowed to look for leftovers", error=str(e))
        found.pop("", None)
        return {name: ObservedFileserver.of(objs) for name, objs in found.items()}

    def list(
        self, resource: Resource, timeout: Timeout, username: str | None = None
    ) -> Iterator[JSON]:
        """List objects of one user's file server, or of all.

        Raises
        ------
        KubernetesError
            Raised if they cannot be listed.
        """
        labels = f"{LABEL_CATEGORY}={CATEGORY_FILESERVER}"
        if username is not None:
            labels += f",{LABEL_USER}={username}"
        return self.cluster.list(
            resource, timeout, namespace=self.config.namespace, labels=labels
        )

    def refusal(self, job_uid: str, timeout: Timeout) -> str | None:
        """Why Kubernetes refuses to create the pod of a job; None if it does not.

        Raises
        ------
        KubernetesError
            Raised if events cannot be listed.
        """
        about = f"involvedObject.kind=Job,involvedObject.uid={job_uid}"
        events = self.cluster.list(
            EVENT, timeout, namespace=self.config.namespace, fields=about
        )
        return refusal_of_pod(events)

    @staticmethod
    def _label(obj: JSON) -> str:
        return label_of(obj, LABEL_USER) or ""
