"""The grammar of references to images."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from nublado.exceptions import InvalidDockerReferenceError, Location

__all__ = [
    "DIGEST_PATTERN",
    "REGISTRY_PATTERN",
    "REPOSITORY_PATTERN",
    "TAG_PATTERN",
    "DockerReference",
    "split_reference",
]

_LABEL = r"[A-Za-z0-9](?:[-A-Za-z0-9]*[A-Za-z0-9])?"
_REGISTRY = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-fA-F:]+\])(?::[0-9]{{1,5}})?"
_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_REPOSITORY = rf"{_COMPONENT}(?:/{_COMPONENT})*"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_DIGEST = r"[a-z0-9]+(?:[+._-][a-z0-9]+)*:[A-Za-z0-9=_-]+"

REGISTRY_PATTERN = re.compile(_REGISTRY, re.ASCII)
REPOSITORY_PATTERN = re.compile(_REPOSITORY, re.ASCII)
TAG_PATTERN = re.compile(_TAG, re.ASCII)
DIGEST_PATTERN = re.compile(_DIGEST, re.ASCII)
"""Match (with ``fullmatch``) the parts of a reference.

See the `OCI image format
<https://github.com/opencontainers/image-spec/blob/main/descriptor.md>`__ for
digests.
"""

_REFERENCE = re.compile(
    rf"(?P<registry>{_REGISTRY})/(?P<repository>{_REPOSITORY})"
    rf"(?::(?P<tag>{_TAG}))?(?:@(?P<digest>{_DIGEST}))?",
    re.ASCII,
)
_LONGEST = 1024


@dataclass(frozen=True, slots=True)
class DockerReference:
    """A reference to an image, in parts; it has a tag, a digest, or both.

    References
    ----------
    https://pkg.go.dev/github.com/distribution/reference
    """

    registry: str
    repository: str
    tag: str | None = None
    digest: str | None = None

    @classmethod
    def parse(cls, text: str, location: Location | None = None) -> Self:
        """Parse a reference.

        Parameters
        ----------
        text
            The reference, such as ``registry/repository:tag@sha256:…``. The
            short forms that Docker completes are refused.
        location
            Where in the request it was.

        Raises
        ------
        InvalidDockerReferenceError
            Raised if it cannot be parsed, or has neither tag nor digest.
        """
        match = _REFERENCE.fullmatch(text) if len(text) <= _LONGEST else None
        if match is None:
            shown = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
            message = f'Invalid Docker reference "{shown}"'
            raise InvalidDockerReferenceError(message, location)
        reference = cls(**match.groupdict())
        if reference.tag is None and reference.digest is None:
            raise reference.without_tag(location)
        return reference

    def __str__(self) -> str:
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.without_digest}{digest}"

    @property
    def without_digest(self) -> str:
        """``registry/repository:tag``, or without tag if there is none."""
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.registry}/{self.repository}{tag}"

    def without_tag(self, location: Location | None) -> InvalidDockerReferenceError:
        """Make the error that says that a tag is needed."""
        message = f'Docker reference "{self}" has no tag'
        return InvalidDockerReferenceError(message, location)


def split_reference(text: str) -> tuple[str, str | None, str | None]:
    """Split any reference, also a short form such as ``busybox``.

    Returns
    -------
    tuple
        Name, tag and digest; the parts are not checked.
    """
    rest, _, digest = text.partition("@")
    name, _, tag = rest.rpartition(":")
    if not name or "/" in tag:
        name, tag = rest, ""
    return name, tag or None, digest or None
