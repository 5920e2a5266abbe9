"""The interface of image sources, and what they have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from typing import TypeVar

from nublado.config.model import ImagesConfig
from nublado.exceptions import RegistryEmptyError
from nublado.models.domain.remembered import Manifest
from nublado.models.domain.rspimage import RSPImage, RSPImageCollection
from nublado.models.domain.rsptag import RSPImageTag
from nublado.models.domain.source_report import SourceReport
from nublado.models.domain.tag_collection import RSPImageTagCollection
from nublado.timeout import Timeout

__all__ = ["ImageSource", "Manifest", "choose_prepulled"]

_DOCKER_HUB = "docker.io"

_C = TypeVar("_C", RSPImageCollection, RSPImageTagCollection)


def choose_prepulled(tags: _C, config: ImagesConfig) -> _C:
    """Choose the images that every node is to have."""
    return tags.subset(
        releases=config.num_releases,
        weeklies=config.num_weeklies,
        dailies=config.num_dailies,
        include={config.recommended_tag, *config.pin},
    )


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
        self._listed: Mapping[str, Manifest | None] = {}
        self._skipped: dict[str, str] = {}

    @property
    def report(self) -> SourceReport:
        """What happened in the last refresh."""
        report = self._report()
        report.skipped = self._skipped
        return report

    def images(
        self, before: RSPImageCollection, timeout: Timeout
    ) -> RSPImageCollection:
        """List the images that exist now.

        All have their tags, and those to prepull their digests. Where the
        source fails for one of these, it keeps its previous digest; one that
        no longer exists is left out.

        Parameters
        ----------
        before
            The previous images.
        timeout
            How long it may take.

        Raises
        ------
        NubladoError
            Raised if the source fails, or suddenly has no tags.
        """
        listed = self._list(timeout)
        if not listed and before:
            # Registries that are being cleaned up or restored tell so.
            raise RegistryEmptyError(f"{self.places[0]} has no tags any more")
        self._listed = listed
        tags = self._of_cycle(listed)
        self._skipped = {
            tag: _reason_to_skip(self._tags.get(tag))
            for tag in listed
            if tag not in tags
        }
        wanted = {tag.tag for tag in choose_prepulled(tags, self._config)}
        unknown = [tag for tag in wanted if listed.get(tag) is None]
        digests = self._digests(unknown, timeout) if unknown else {}
        gone = {tag for tag, digest in digests.items() if digest is None}
        self._skipped |= dict.fromkeys(gone, "gone since they were listed")
        known = {tag: image.digest for tag in unknown if (image := before.get(tag))}
        known.update(digests)
        return RSPImageCollection(
            self._image(tag, listed.get(tag.tag), known.get(tag.tag))
            for tag in tags
            if tag.tag not in gone
        )

    def recalled(self, tags: Mapping[str, Manifest | None]) -> RSPImageCollection:
        """Make the images of tags that were listed before, without the source."""
        self._listed = tags
        return RSPImageCollection(
            self._image(tag, tags[tag.tag], None) for tag in self._of_cycle(tags)
        )

    def remembered(self, images: RSPImageCollection) -> dict[str, Manifest | None]:
        """Collect what to remember for `recalled`.

        Parameters
        ----------
        images
            The images that `images` has made of what was listed last.

        Returns
        -------
        dict
            All tags that were listed, with what is known of them; those to
            prepull come first, then the others in the order of the menu.
        """
        ordered = [*choose_prepulled(images, self._config), *images]
        known = {
            image.tag: self._listed.get(image.tag)
            or (Manifest(image.digest) if image.digest else None)
            for image in ordered
        }
        return known | {t: m for t, m in self._listed.items() if t not in known}

    def names_of(self, reference: str) -> tuple[str, ...]:
        """Names that nodes may have for a tag or digest of the repository."""
        separator = "@" if ":" in reference else ":"
        return tuple(f"{place}{separator}{reference}" for place in self.places)

    @property
    def places(self) -> tuple[str, ...]:
        """The repository as nodes name it; the first is that of references."""
        place = f"{self.registry}/{self.repository}"
        if self.registry == _DOCKER_HUB and "/" not in self.repository:
            return place, f"{self.registry}/library/{self.repository}"
        return (place,)

    def _of_cycle(self, names: Collection[str]) -> RSPImageTagCollection:
        """Parse tags, and choose those of the cycle if there is one.

        Those that the configuration names belong to it unless their own name
        has another cycle.
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
        """List all tags, with their manifests where these come for free."""

    @abstractmethod
    def _digests(
        self, tags: Collection[str], timeout: Timeout
    ) -> Mapping[str, str | None]:
        """Look up the digests of tags that were listed without.

        It is None for a tag that is gone. Tags for which the source failed
        are left out.
        """

    @abstractmethod
    def digest(self, reference: str, timeout: Timeout) -> str | None:
        """Look up the digest of a tag, or whether there is a digest.

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
    def _report(self) -> SourceReport:
        """What happened in the last refresh, as far as the registry is concerned."""

    @abstractmethod
    def close(self) -> None:
        """Close all connections."""


def _reason_to_skip(tag: RSPImageTag | None) -> str:
    if tag is None:
        return "variants of another tag for one architecture"
    return "not of the configured cycle"
