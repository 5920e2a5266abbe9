"""How long a spawn usually takes, by how long the last ones took."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from statistics import median

from nublado.models.domain.history import HistoryEntry, SpawnPhase

__all__ = ["Basis", "Estimate", "estimate"]

_FEWEST = 3
"""So many spawns make a habit."""

_MOST = 20
_LATE_FACTOR = 2.0
_LATE_SECONDS = 10.0
_LONG_SHARE = 0.9


class Basis(StrEnum):
    """Which spawns an estimate goes by."""

    IMAGE_AND_SIZE = "image and size"
    IMAGE = "image"
    SIZE = "size"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Estimate:
    """How long a spawn usually takes.

    Parameters
    ----------
    seconds
        From its request until the lab runs, without the time in which its image is
        fetched.
    fetched
        Whether its image has to be fetched; None if that is not known yet.
    fetch_seconds
        How long that usually takes; None if nobody knows.
    last_fetch_seconds
        How long it took for this image the last time; None if nobody knows.
    late_after
        After how many seconds in all it takes much longer than usual.
    basis
        Which spawns it goes by.
    """

    seconds: float
    fetched: bool | None
    fetch_seconds: float | None
    last_fetch_seconds: float | None
    late_after: float
    basis: Basis

    @property
    def total(self) -> float:
        """All of it, as far as it is known that the image has to be fetched."""
        return self.seconds + (self.fetch_seconds or 0.0 if self.fetched else 0.0)


def estimate(
    spawns: Iterable[HistoryEntry], image: str, size: str, *, fetched: bool | None
) -> Estimate | None:
    """Estimate how long a spawn will take.

    The last spawns of the same image and size count; where they are too few, those
    of the image, then those of the size, then all.

    Parameters
    ----------
    spawns
        Spawns that succeeded, the newest first.
    image
        Reference of the image, with digest.
    size
        Name of the size.
    fetched
        Whether its node has to fetch the image; None if that is not known yet.

    Returns
    -------
    Estimate or None
        None where too few spawns are known.
    """
    spawns = [spawn for spawn in spawns if spawn.started is not None]
    found = _usual(spawns, image, size)
    if found is None:
        return None
    basis, samples = found
    seconds = median(samples)
    of_image = _fetches(spawn for spawn in spawns if spawn.image == image)
    fetches = of_image or _fetches(spawns)
    fetch = median(fetches) if fetches else None
    long_fetch = 0.0 if fetched is False or not fetches else _long(fetches)
    likely = seconds + long_fetch
    late_after = max(
        _LATE_FACTOR * likely, likely + _LATE_SECONDS, _long(samples) + long_fetch
    )
    return Estimate(
        seconds=seconds,
        fetched=fetched,
        fetch_seconds=fetch,
        last_fetch_seconds=of_image[0] if of_image else None,
        late_after=late_after,
        basis=basis,
    )


def _usual(
    spawns: Sequence[HistoryEntry], image: str, size: str
) -> tuple[Basis, list[float]] | None:
    """Find the closest group of which enough is known, and how long those took.

    Spawns of which nobody knows whether an image was fetched count only where
    there is nothing better.
    """
    groups: dict[Basis, Callable[[HistoryEntry], bool]] = {
        Basis.IMAGE_AND_SIZE: lambda spawn: (spawn.image, spawn.size) == (image, size),
        Basis.IMAGE: lambda spawn: spawn.image == image,
        Basis.SIZE: lambda spawn: spawn.size == size,
        Basis.ALL: bool,
    }
    certain = [spawn for spawn in spawns if spawn.fetched is not None]
    for candidates in (certain, spawns):
        for basis, belongs in groups.items():
            samples = list(
                islice(map(_without_fetch, filter(belongs, candidates)), _MOST)
            )
            if len(samples) >= _FEWEST:
                return basis, samples
    return None


def _without_fetch(spawn: HistoryEntry) -> float:
    total = spawn.total_seconds or 0.0
    fetch = spawn.seconds.get(SpawnPhase.PULLED, 0.0) if spawn.fetched else 0.0
    return max(0.0, total - fetch)


def _fetches(spawns: Iterable[HistoryEntry]) -> list[float]:
    """How long nodes took to fetch images, the last time first."""
    fetches = (
        spawn.seconds[SpawnPhase.PULLED]
        for spawn in spawns
        if spawn.fetched and SpawnPhase.PULLED in spawn.seconds
    )
    return list(islice(fetches, _MOST))


def _long(samples: Sequence[float]) -> float:
    """How long about nine tenths of them took at most."""
    return sorted(samples)[math.ceil(_LONG_SHARE * (len(samples) - 1))]
