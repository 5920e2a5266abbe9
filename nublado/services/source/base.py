"""What a source of images has to do, and what all sources have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TypeVar

from nublado.config.model import ImagesConfig
from nublado.models.domain.rspimage import RSPImage, RSPImageCollection
from nublado.models.domain.rsptag import RSPImageTag
from nublado.models.domain.tag_collection import RSPImageTagCollection
from nublado.timeout import Timeout

__all__ = ["ImageSource", "Manifest", "choose_prepulled"]

_C = TypeVar("_C", RSPImageCollection, RSPImageTagCollection)


def choose_prepulled(tags: _C, config: ImagesConfig) -> _C:
    """Choose what every node is to have."""
    return tags.subset(
        releases=config.num_releases,
        weeklies=config.num_weeklies,
        dailies=config.num_dailies,
        include={config.recommended_tag, *config.pin},
    )


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a tag points to; ``size`` is bytes, None if unknown."""

    digest: str
    size: int | None = None


class ImageSource(ABC):
    """Where images come from.

    A source is refreshed by one thread at a time, but `digest` may be called
    by any.

    Parameters
    ----------
    config
        Which images there are to be.
    registry, repository
        Where they are, as references name it.
    """

    def __init__(self, config: ImagesConfig, registry: str, repository: str) -> None:
        self.registry = registry
        self.repository = repository
        self._config = config
        self._tags = RSPImageTagCollection(())

    def images(
        self, before: RSPImageCollection, timeout: Timeout
    ) -> RSPImageCollection:
        """Find out which images there are now.

        All have their tags, and those to prepull their digests: where the
        source fails for one of these, the digest that it had before. One that
        the source does not have any more is left out.

        Parameters
        ----------
        before
            What the source had before.
        timeout
            How long it may take.

        Raises
        ------
        NubladoError
            Raised if the source fails.
        """
        listed = self._list(timeout)
        tags = self._of_cycle(listed)
        wanted = {tag.tag for tag in choose_prepulled(tags, self._config)}
        asked = [tag for tag in wanted if listed.get(tag) is None]
        digests = self._digests(asked, timeout) if asked else {}
        gone = {tag for tag, digest in digests.items() if digest is None}
        known = {tag: image.digest for tag in asked if (image := before.get(tag))}
        known.update(digests)
        return RSPImageCollection(
            self._image(tag, listed.get(tag.tag), known.get(tag.tag))
            for tag in tags
            if tag.tag not in gone
        )

    def _of_cycle(self, names: Collection[str]) -> RSPImageTagCollection:
        """Understand tags, and choose those of the cycle if there is one.

        Those that the configuration names belong to it unless their own name
        tells another cycle.
        """
        config = self._config
        self._tags = RSPImageTagCollection.from_names(
            names,
            aliases={config.recommended_tag, *config.alias_tags},
            known=self._tags,
        )
        if config.cycle is None:
            return self._tags
        named = {config.recommended_tag, *config.pin}
        return self._tags.of_cycle(config.cycle, keep=named)

    def _image(
        self, tag: RSPImageTag, manifest: Manifest | None, digest: str | None
    ) -> RSPImage:
        if manifest is None:
            return RSPImage(self.registry, self.repository, tag, digest)
        return RSPImage(
            self.registry, self.repository, tag, manifest.digest, manifest.size
        )

    @abstractmethod
    def _list(self, timeout: Timeout) -> Mapping[str, Manifest | None]:
        """List all tags, with what they point to where that costs nothing."""

    @abstractmethod
    def _digests(
        self, tags: Collection[str], timeout: Timeout
    ) -> Mapping[str, str | None]:
        """Find out the digests of tags that were listed without.

        None is that of a tag which is gone. Tags for which the source failed
        are left out; if it failed for all of them, it raises.
        """

    @abstractmethod
    def digest(self, reference: str, timeout: Timeout) -> str | None:
        """Find out the digest of a tag, or whether there is a digest.

        Returns
        -------
        str or None
            The digest; None if there is no such image.

        Raises
        ------
        NubladoError
            Raised if the source fails.
        """

    @abstractmethod
    def close(self) -> None:
        """Close all connections."""
