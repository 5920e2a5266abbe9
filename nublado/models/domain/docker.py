"""The grammar of references to images."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from nublado.exceptions import InvalidDockerReferenceError, Location

__all__ = ["DIGEST_PATTERN", "DockerReference"]

_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\])"
_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_DIGEST = r"[a-z0-9]+(?:[+._-][a-z0-9]+)*:[A-Za-z0-9=_-]+"

DIGEST_PATTERN = re.compile(_DIGEST, re.ASCII)
"""Matches (with ``fullmatch``) the digest of an image.

See the `OCI image format
<https://github.com/opencontainers/image-spec/blob/main/descriptor.md>`__.
"""

_REFERENCE = re.compile(
    rf"(?P<registry>{_HOST}(?::[0-9]{{1,5}})?)/"
    rf"(?P<repository>{_COMPONENT}(?:/{_COMPONENT})*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?"
    rf"(?:@(?P<digest>{_DIGEST}))?",
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
            short forms that Docker completes are not understood.
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
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.registry}/{self.repository}{tag}{digest}"

    def without_tag(self, location: Location | None) -> InvalidDockerReferenceError:
        """Make the error that says that a tag is needed."""
        message = f'Docker reference "{self}" has no tag'
        return InvalidDockerReferenceError(message, location)
