"""Why an operation failed: every text about it is made of this."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

__all__ = ["Cause", "Failure"]


class Cause(StrEnum):
    """What went wrong, as far as it makes a difference to the user."""

    IMAGE = "image cannot be pulled"
    IMAGE_MISSING = "image does not exist"
    IMAGE_DENIED = "image may not be pulled"
    NO_ROOM = "no node has room"
    NO_NODE = "no node may run it"
    QUOTA = "quota exceeded"
    STORAGE = "volume cannot be mounted"
    MACHINE = "node cannot run pods"
    INIT_FAILED = "init container fails"
    OUT_OF_MEMORY = "out of memory"
    EVICTED = "evicted"
    NODE_LOST = "node lost"
    POD_DELETED = "pod was deleted"
    PROGRAM_ENDED = "container ended"
    NOT_SET_UP = "secret is missing"
    REFUSED = "refused by Kubernetes"
    KUBERNETES = "Kubernetes does not respond"
    TIMED_OUT = "timed out"
    TIMED_OUT_CREATING = "timed out creating objects"
    TIMED_OUT_SCHEDULING = "timed out without a node"
    TIMED_OUT_PREPARING = "timed out in init containers"
    TIMED_OUT_PULLING = "timed out pulling the image"
    TIMED_OUT_STARTING = "timed out starting the lab"
    INTERRUPTED = "service was interrupted"
    INTERNAL = "internal error"

    @property
    def is_of_image(self) -> bool:
        """Whether another image might well do."""
        return self in (Cause.IMAGE, Cause.IMAGE_MISSING, Cause.IMAGE_DENIED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """The end of an operation that has failed.

    Parameters
    ----------
    cause
        What went wrong.
    error
        The exception that ended it.
    summary
        The exception in words that may be shown.
    waited_for
        For one that ran out of time, what Kubernetes gave as reason last.
    container
        Container that Kubernetes gave that reason for.
    object, image, node
        What it was about at that moment; None where unknown.
    """

    cause: Cause
    error: Exception = field(repr=False)
    summary: str
    waited_for: str | None = None
    container: str | None = None
    object: str | None = None
    image: str | None = None
    node: str | None = None

    @property
    def text(self) -> str:
        """Text of the event that reports it."""
        if self.cause is Cause.INTERNAL or self.waited_for is None:
            return self.summary
        named = {
            "": self.object,
            "container ": self.container,
            "image ": self.image,
            "node ": self.node,
        }
        facts = ", ".join(
            f"{key}{value}"
            for key, value in named.items()
            if value and value not in self.waited_for
        )
        return f"{self.summary}: {self.waited_for}" + (f" ({facts})" if facts else "")

    @property
    def facts(self) -> dict[str, str]:
        """What else operators want to know, for the log line and the alert."""
        facts = {
            "cause": self.cause.value,
            "object": self.object,
            "container": self.container,
            "image": self.image,
            "node": self.node,
        }
        return {name: value for name, value in facts.items() if value}
