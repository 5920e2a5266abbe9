"""What ends an operation."""

from __future__ import annotations

from nublado.exceptions.base import NubladoError

__all__ = [
    "ForeignObjectError",
    "FsadminPodError",
    "LabPodEndedError",
    "LabPodVanishedError",
    "MalformedLabError",
    "MissingSecretError",
    "OperationCancelledError",
    "OperationTimeoutError",
    "PrepullError",
    "SpawnInterruptedError",
]


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
