"""Errors that become the response to a request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from nublado.exceptions.base import NubladoError

__all__ = [
    "ClientRequestError",
    "CrossSiteError",
    "FileserverCreationError",
    "FileserverDeletionError",
    "ForeignFormError",
    "FsadminCreationError",
    "FsadminDeletionError",
    "FsadminPhaseError",
    "InsufficientQuotaError",
    "InvalidDockerReferenceError",
    "InvalidLabSizeError",
    "InvalidTokenError",
    "LabDeletionError",
    "LabExistsError",
    "Location",
    "LoginUnavailableError",
    "MaintenanceError",
    "NoFsadminError",
    "NotKeptError",
    "NotSupportedError",
    "OperationInProgressError",
    "PermissionDeniedError",
    "ServiceStartingError",
    "ServiceStoppingError",
    "ServiceUnavailableError",
    "UnknownImageError",
    "UnknownUserError",
    "UnsupportedMediaTypeError",
    "ValidationProblem",
    "ValidationProblemsError",
]

Location = Sequence[str | int]
"""Where in a request an error lies, such as ``("body", "options", "size")``."""

_SIZE_LOCATION = ("body", "options", "size")


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
