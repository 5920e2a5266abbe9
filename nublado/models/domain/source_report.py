"""How a source of images was read, for people who wonder what it found."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["SourceReport"]


@dataclass(slots=True)
class SourceReport:
    """What happened in one refresh.

    Parameters
    ----------
    endpoint
        URL that was used.
    credentials
        Key of the credentials that were accepted; None if access was
        anonymous.
    refused
        Status with which credentials were refused, by key.
    unusable
        Why credentials could not be used, by key.
    pages
        How many pages the list of tags had.
    tags
        How many tags were listed.
    digests
        How each digest was found, by tag.
    failed
        Why there is no digest, by tag.
    skipped
        Why a tag is not shown, by tag.
    """

    endpoint: str
    credentials: str | None = None
    refused: dict[str, int] = field(default_factory=dict)
    unusable: dict[str, str] = field(default_factory=dict)
    pages: int = 0
    tags: int = 0
    digests: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
