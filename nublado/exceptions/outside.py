"""What goes wrong with the systems around the controller."""

from __future__ import annotations

from nublado.exceptions.base import NubladoError

__all__ = [
    "DiscoveryError",
    "DockerRegistryError",
    "GafaelfawrError",
    "GafaelfawrUnavailableError",
    "GoogleRegistryError",
    "KubernetesConflictError",
    "KubernetesError",
    "KubernetesNotFoundError",
    "RegistryEmptyError",
]


class KubernetesError(NubladoError):
    """A request to Kubernetes failed.

    Parameters
    ----------
    message
        What was attempted, such as ``Error creating object``.
    kind
        Kind of the object.
    namespace, name
        Which object; either may be None.
    status
        HTTP status; None if there was no response.
    body
        What Kubernetes responded, or why it did not. Must not hold
        anything secret.

    Attributes
    ----------
    fate_unknown
        Whether the request, or an earlier attempt of it, may have taken effect
        all the same.
    is_outage
        Whether the server was away, or had just come back.
    """

    fate_unknown = False
    is_outage = False

    def __init__(
        self,
        message: str,
        *,
        kind: str,
        namespace: str | None = None,
        name: str | None = None,
        status: int | None = None,
        body: str | None = None,
    ) -> None:
        self.message = message
        self.kind = kind
        self.namespace = namespace
        self.name = name
        self.status = status
        self.body = body
        super().__init__(self._text())

    @property
    def object_name(self) -> str:
        """``Kind namespace/name``, as far as they are known."""
        path = "/".join(part for part in (self.namespace, self.name) if part)
        return f"{self.kind} {path}" if path else self.kind

    def _text(self) -> str:
        status = f", status {self.status}" if self.status is not None else ""
        text = f"{self.message} ({self.object_name}{status})"
        return f"{text}: {self.body}" if self.body else text


class KubernetesNotFoundError(KubernetesError):
    """The object does not exist (404)."""


class KubernetesConflictError(KubernetesError):
    """The object exists already, or has changed meanwhile (409).

    If the fate of an earlier attempt is unknown, it may conflict with that.
    """


class DiscoveryError(NubladoError):
    """The service discovery failed, or its response cannot be used."""


class GafaelfawrError(NubladoError):
    """Gafaelfawr failed, or its response cannot be understood."""


class GafaelfawrUnavailableError(GafaelfawrError):
    """Gafaelfawr does not respond, or only that it cannot."""


class DockerRegistryError(NubladoError):
    """A Docker registry failed, or its response cannot be understood.

    ``retry_after`` is how many seconds it wants to be left alone, if it says so.
    """

    def __init__(self, message: str, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class RegistryEmptyError(NubladoError):
    """A registry has none of the images that it had."""


class GoogleRegistryError(NubladoError):
    """Google Artifact Registry failed."""
