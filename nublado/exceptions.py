"""All errors that the controller raises on purpose.

Those below `ClientRequestError` become the response to a request; everything
else is an internal failure, shown to the caller as a correlation id only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

__all__ = [
    "ClientRequestError",
    "ConfigurationError",
    "ConfigurationProblem",
    "DiscoveryError",
    "DockerRegistryError",
    "FileserverCreationError",
    "FileserverDeletionError",
    "ForeignFormError",
    "ForeignObjectError",
    "FsadminCreationError",
    "FsadminDeletionError",
    "FsadminPhaseError",
    "FsadminPodError",
    "GafaelfawrError",
    "GafaelfawrUnavailableError",
    "GoogleRegistryError",
    "InsufficientQuotaError",
    "InvalidDockerReferenceError",
    "InvalidEnvironmentError",
    "InvalidLabSizeError",
    "InvalidTokenError",
    "KubernetesConflictError",
    "KubernetesError",
    "KubernetesNotFoundError",
    "LabDeletionError",
    "LabExistsError",
    "LabPodEndedError",
    "LabPodVanishedError",
    "LoginUnavailableError",
    "MaintenanceError",
    "MalformedLabError",
    "MissingSecretError",
    "NoFsadminError",
    "NotKeptError",
    "NotSupportedError",
    "NubladoError",
    "OperationCancelledError",
    "OperationInProgressError",
    "OperationTimeoutError",
    "PermissionDeniedError",
    "PrepullError",
    "ServiceStartingError",
    "ServiceStoppingError",
    "ServiceUnavailableError",
    "SpawnInterruptedError",
    "UnknownImageError",
    "UnknownUserError",
    "ValidationProblem",
    "ValidationProblemsError",
]

Location = Sequence[str | int]
"""Where in a request an error lies, such as ``("body", "options", "size")``."""

_SIZE_LOCATION = ("body", "options", "size")


class NubladoError(Exception):
    """Base of all errors that the controller raises itself."""


# --- Responses to requests -----------------------------------------------


class ClientRequestError(NubladoError):
    """An error that is the response to a request.

    Parameters
    ----------
    message
        Text for the caller.
    location
        Element of the request that caused it, if one did.
    """

    error: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500

    def __init__(self, message: str, location: Location | None = None) -> None:
        super().__init__(message)
        self.location = list(location) if location is not None else None


class InsufficientQuotaError(ClientRequestError):
    """The user's quota does not allow this lab."""

    error = "insufficient_quota"
    status = 403

    def __init__(self) -> None:
        message = "Insufficient quota to spawn requested lab"
        super().__init__(message, _SIZE_LOCATION)


class InvalidDockerReferenceError(ClientRequestError):
    """A reference to an image cannot be parsed, or has no tag."""

    error = "invalid_docker_reference"
    status = 422


class InvalidLabSizeError(ClientRequestError):
    """A legal size of lab that is not configured."""

    error = "invalid_lab_size"
    status = 422

    def __init__(self, size: str) -> None:
        super().__init__(f'Invalid lab size "{size}"', _SIZE_LOCATION)


class InvalidTokenError(ClientRequestError):
    """Gafaelfawr does not accept the user's token."""

    error = "invalid_token"
    status = 401

    def __init__(self) -> None:
        super().__init__("User token is invalid")


class LabExistsError(ClientRequestError):
    """The user has an active lab already."""

    error = "lab_exists"
    status = 409

    def __init__(self, username: str) -> None:
        super().__init__(f"Lab already exists for {username}")


class OperationInProgressError(ClientRequestError):
    """Another operation of the same user is in progress."""

    error = "operation_in_progress"
    status = 409

    def __init__(self, username: str) -> None:
        super().__init__(f"Conflicting operation for {username} already in progress")


class NotSupportedError(ClientRequestError):
    """The route belongs to a part that is disabled."""

    error = "not_supported"
    status = 404

    def __init__(self, part: str = "Fileserver") -> None:
        super().__init__(f"{part} is disabled in configuration")


class NoFsadminError(ClientRequestError):
    """There is no pod for the administration of file systems."""

    error = "not_found"
    status = 404

    def __init__(self) -> None:
        super().__init__("There is no fsadmin pod")


class FsadminPhaseError(ClientRequestError):
    """The pod for the administration of file systems does not run."""

    error = "invalid_phase"
    status = 404

    def __init__(self, phase: str) -> None:
        super().__init__(f"fsadmin pod is not running but {phase}")


class FsadminCreationError(ClientRequestError):
    """The pod for the administration of file systems could not be created."""

    error = "fsadmin_create_failed"
    status = 500

    def __init__(self, reason: str) -> None:
        super().__init__(f"Failed to create fsadmin pod: {reason}")


class FsadminDeletionError(ClientRequestError):
    """The pod for the administration of file systems could not be deleted."""

    error = "fsadmin_delete_failed"
    status = 500

    def __init__(self, reason: str) -> None:
        super().__init__(f"Failed to delete fsadmin pod: {reason}")


class CrossSiteError(ClientRequestError):
    """A page of another site makes the user's browser ask for something."""

    error = "permission_denied"
    status = 403

    def __init__(self) -> None:
        super().__init__("Requests from other sites are not allowed")


class ForeignFormError(ClientRequestError):
    """A form has no token of ours, or an old one."""

    error = "permission_denied"
    status = 403

    def __init__(self) -> None:
        super().__init__(
            "Nothing was done: the form is too old, from before a restart of the"
            " service, or not from this page. Open the page again."
        )


class PermissionDeniedError(ClientRequestError):
    """The user acts on something of another user."""

    error = "permission_denied"
    status = 403

    def __init__(self) -> None:
        super().__init__("Permission denied")


class UnsupportedMediaTypeError(ClientRequestError):
    """The body is not declared as JSON."""

    error = "unsupported_media_type"
    status = 415

    def __init__(self) -> None:
        super().__init__("Body must be declared as application/json")


class UnknownImageError(ClientRequestError):
    """No image matches the request."""

    error = "unknown_image"
    status = 400


class UnknownUserError(ClientRequestError):
    """Nothing exists for this user."""

    error = "unknown_user"
    status = 404

    def __init__(self, username: str) -> None:
        super().__init__(f"Unknown user {username}")


class LabDeletionError(ClientRequestError):
    """A lab could not be deleted; its events and the log say why."""

    error = "delete_failed"
    status = 500

    def __init__(self) -> None:
        super().__init__("Failed to delete lab")


class FileserverCreationError(ClientRequestError):
    """A file server could not be created."""

    error = "file_server_create_failed"
    status = 500

    def __init__(self, reason: str) -> None:
        super().__init__(f"Failed to create file server: {reason}")


class FileserverDeletionError(ClientRequestError):
    """A file server could not be deleted."""

    error = "file_server_delete_failed"
    status = 500

    def __init__(self, reason: str) -> None:
        super().__init__(f"Failed to delete file server: {reason}")


class ServiceUnavailableError(ClientRequestError):
    """The service cannot respond now; ``retry_after`` is in seconds."""

    error = "unavailable"
    status = 503

    def __init__(self, message: str, retry_after: int = 2) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class LoginUnavailableError(ServiceUnavailableError):
    """Nobody can be authenticated, since the login service does not answer."""

    def __init__(self) -> None:
        super().__init__("Login service does not answer, try again", 10)


class ServiceStartingError(ServiceUnavailableError):
    """What a request needs is not up yet."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"Service is starting, try again: {reason}")


class ServiceStoppingError(ServiceUnavailableError):
    """The process is about to end; the next one can respond."""

    def __init__(self) -> None:
        super().__init__("Service is stopping, try again")


class MaintenanceError(ServiceUnavailableError):
    """Operators let no labs be started; the message is theirs."""

    error = "maintenance"

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message, retry_after)


class NotKeptError(ServiceUnavailableError):
    """What users are to be told cannot be kept in the cluster."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"Nothing has changed, it cannot be kept: {reason}")


@dataclass(frozen=True, slots=True)
class ValidationProblem:
    """One element of a request that does not validate."""

    type: str
    message: str
    location: tuple[str | int, ...]


class ValidationProblemsError(NubladoError):
    """A request does not validate; all problems are reported together."""

    status = 422

    def __init__(self, problems: Sequence[ValidationProblem]) -> None:
        super().__init__("; ".join(p.message for p in problems))
        self.problems = tuple(problems)


# --- Configuration -------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ConfigurationProblem:
    """One thing wrong with a configuration file.

    Parameters
    ----------
    path
        YAML path, such as ``lab.volumes[2].source.path``; empty for the file.
    line
        Line in the file, counted from 1; None if there is none to name.
    message
        What is wrong and what was expected.
    """

    path: str
    line: int | None
    message: str


class ConfigurationError(NubladoError):
    """A configuration file cannot be used; carries everything wrong with it."""

    def __init__(self, file: str, problems: Sequence[ConfigurationProblem]) -> None:
        self.file = file
        self.problems = tuple(problems)
        lines = [
            f"{file}:{p.line or 1}: {p.path + ': ' if p.path else ''}{p.message}"
            for p in problems
        ]
        super().__init__("\n".join(lines))


class InvalidEnvironmentError(NubladoError):
    """Environment variables of the process cannot be used.

    Parameters
    ----------
    problems
        What is wrong with each variable, beginning with its name.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(problems))


# --- Operations ----------------------------------------------------------


class OperationCancelledError(NubladoError):
    """The operation was cancelled while it waited."""


class OperationTimeoutError(NubladoError):
    """An operation used up its time.

    Attributes
    ----------
    waited_for
        What it was waiting for, where that is known better than by its
        operation.
    """

    waited_for: str | None = None

    def __init__(self, operation: str, seconds: float) -> None:
        super().__init__(f"{operation} timed out after {seconds}")
        self.operation = operation
        self.seconds = seconds


class LabPodEndedError(NubladoError):
    """The pod of a lab ended before or instead of starting.

    Parameters
    ----------
    message
        How it ended, in words.
    end
        Why, as one of few words.
    """

    def __init__(self, message: str, end: str) -> None:
        super().__init__(message)
        self.end = end


class LabPodVanishedError(NubladoError):
    """The pod of a lab was deleted while it was waited for.

    Parameters
    ----------
    message
        What has happened, in words.
    end
        Why it was deleted, as one of few words.
    """

    def __init__(self, message: str, end: str) -> None:
        super().__init__(message)
        self.end = end


class SpawnInterruptedError(NubladoError):
    """A spawn was cut off by a crash of the service, and cannot go on."""

    def __init__(self) -> None:
        super().__init__(
            "The service was interrupted before your lab had started, try again"
        )


class FsadminPodError(NubladoError):
    """The pod for the administration of file systems ended instead of running."""


class ForeignObjectError(NubladoError):
    """An object has a name that is ours, but somebody else has made it."""

    def __init__(self, object_name: str) -> None:
        super().__init__(
            f"{object_name} exists, but the controller has not made it; delete it, or"
            " configure another name"
        )


class PrepullError(NubladoError):
    """A pod could not make its node pull an image."""


class MissingSecretError(NubladoError):
    """A secret, or a key of one, that the configuration names does not exist."""


class MalformedLabError(NubladoError):
    """The Kubernetes objects of a lab are malformed."""


# --- Outside systems -----------------------------------------------------


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
