"""What is known of images, in a form that outlives the process.

It is compressed JSON, and never longer than it may be: what matters least is
left out.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from io import BytesIO
from itertools import islice
from typing import Self

from nublado.models.domain.docker import DIGEST_PATTERN, TAG_PATTERN
from nublado.models.domain.kubernetes import JSON

__all__ = ["HeldImages", "Manifest", "RememberedImages"]

_FORMAT = 1
_MARGIN = 0.9
_DIGEST_BYTES = 32
"""No digest takes less, as it cannot be compressed."""

_COMPRESSION = 5
"""Higher levels take several times as long for little."""

_MOST_UNPACKED = 64 * 1024 * 1024
_DAMAGES = (
    EOFError,
    OSError,
    RecursionError,
    UnicodeDecodeError,
    json.JSONDecodeError,
    zlib.error,
)


@dataclass(frozen=True, slots=True)
class Manifest:
    """The manifest of a tag; ``size`` in bytes, None if unknown."""

    digest: str
    size: int | None = None


@dataclass(frozen=True, slots=True)
class HeldImages:
    """Images that a node has without listing them.

    Parameters
    ----------
    uid
        Of the node.
    digests
        Digests of the images.
    """

    uid: str
    digests: frozenset[str]


@dataclass(frozen=True, slots=True)
class RememberedImages:
    """What is known of the images of one repository.

    Parameters
    ----------
    registry, repository
        Where they are.
    tags
        All tags, with their manifests as far as they are known; those that
        matter most come first.
    nodes
        What nodes have without listing it, by name of node.
    """

    registry: str
    repository: str
    tags: Mapping[str, Manifest | None]
    nodes: Mapping[str, HeldImages] = field(default_factory=dict)

    def encode(self, max_bytes: int) -> bytes:
        """Write it down in at most so many bytes.

        What nodes have is left out first, as it can be found out again; then
        digests, and in the end tags, those that matter least.
        """
        kept = self._with_digests(max_bytes // _DIGEST_BYTES)
        encoded = kept._pack()
        if len(encoded) > max_bytes and self.nodes:
            return replace(self, nodes={}).encode(max_bytes)
        while len(encoded) > max_bytes and kept.tags:
            share = _MARGIN * max_bytes / len(encoded)
            kept = kept._without_least(share)
            encoded = kept._pack()
        return encoded

    def _without_least(self, share: float) -> Self:
        if known := sum(manifest is not None for manifest in self.tags.values()):
            return self._with_digests(int(known * share))
        tags = islice(self.tags.items(), int(len(self.tags) * share))
        return replace(self, tags=dict(tags))

    def _with_digests(self, number: int) -> Self:
        """Keep at most so many digests."""
        known = [tag for tag, manifest in self.tags.items() if manifest is not None]
        if len(known) <= number:
            return self
        least = set(known[number:])
        tags = {t: None if t in least else m for t, m in self.tags.items()}
        return replace(self, tags=tags)

    def _pack(self) -> bytes:
        known = {tag: manifest for tag, manifest in self.tags.items() if manifest}
        content: JSON = {
            "format": _FORMAT,
            "registry": self.registry,
            "repository": self.repository,
            "tags": list(self.tags),
            "digests": {tag: manifest.digest for tag, manifest in known.items()},
            "sizes": {t: m.size for t, m in known.items() if m.size is not None},
            "nodes": {
                name: {"uid": held.uid, "digests": sorted(held.digests)}
                for name, held in self.nodes.items()
            },
        }
        text = json.dumps(content, separators=(",", ":"))
        # Without the time, so that the same images are the same bytes.
        return gzip.compress(text.encode(), _COMPRESSION, mtime=0)

    @classmethod
    def decode(cls, encoded: bytes) -> Self:
        """Read what `encode` has written.

        Raises
        ------
        ValueError
            Raised if it is damaged, or of another version of the controller.
        """
        try:
            with gzip.open(BytesIO(encoded)) as file:
                text = file.read(_MOST_UNPACKED)
            content = json.loads(text)
            if content["format"] != _FORMAT:
                raise ValueError("is of another version of the controller")
            digests, sizes = content["digests"], content["sizes"]
            return cls(
                registry=str(content["registry"]),
                repository=str(content["repository"]),
                tags={
                    tag: _manifest(digests.get(tag), sizes.get(tag))
                    for tag in _matching(content["tags"], TAG_PATTERN)
                },
                nodes={
                    str(name): HeldImages(
                        str(held["uid"]),
                        frozenset(_matching(held["digests"], DIGEST_PATTERN)),
                    )
                    for name, held in content["nodes"].items()
                },
            )
        except _DAMAGES as e:
            raise ValueError(f"is damaged ({type(e).__name__})") from e
        except (AttributeError, KeyError, TypeError) as e:
            raise ValueError(f"has an unexpected form ({type(e).__name__})") from e


def _matching(texts: Iterable[str], pattern: re.Pattern[str]) -> list[str]:
    return [text for text in texts if pattern.fullmatch(text)]


def _manifest(digest: str | None, size: int | None) -> Manifest | None:
    if digest is None or not DIGEST_PATTERN.fullmatch(digest):
        return None
    return Manifest(digest, None if size is None else int(size))
