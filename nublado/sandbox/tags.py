"""Tags as the build system of the platform makes them, as many as are wanted."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import islice

__all__ = ["digest_of", "make_tags"]

_NEWEST = date(2026, 11, 19)
_CYCLE = 45
_RELEASES = [(major, minor) for major in range(30, 16, -1) for minor in (1, 0)]


def digest_of(name: str) -> str:
    """Digest that the image of a name has."""
    return f"sha256:{hashlib.sha256(name.encode()).hexdigest()}"


def make_tags(
    count: int,
    *,
    recommended: str = "recommended",
    pinned: tuple[str, ...] = (),
    cycle: int | None = None,
) -> dict[str, str]:
    """Make tags and their digests.

    Parameters
    ----------
    count
        How many, besides aliases.
    recommended
        Alias of the second newest weekly (of the cycle).
    pinned
        Tags that have to exist.
    cycle
        Cycle of which there have to be tags.
    """
    suffix = f"_c{cycle:04d}.001" if cycle is not None else ""
    names = list(islice(_names(suffix), count))
    tags = {name: digest_of(name.split("-")[0]) for name in names}
    tags.update({name: digest_of(name) for name in pinned if name not in tags})
    weeklies = [name for name in names if name.startswith("w_") and "-" not in name]
    dailies = [name for name in names if name.startswith("d_") and "-" not in name]
    releases = [
        n for n in names if n.startswith("r") and "rc" not in n and "-" not in n
    ]
    own = [name for name in weeklies if name.endswith(suffix)]
    for alias, targets, index in (
        (recommended, own or weeklies or names, 1),
        ("latest_weekly", weeklies, 0),
        ("latest_daily", dailies, 0),
        ("latest_release", releases, 0),
    ):
        if targets:
            tags[alias] = tags[targets[min(index, len(targets) - 1)]]
    return tags


def _names(suffix: str) -> Iterator[str]:
    """Tags without end, newest first, all kinds mixed."""
    releases = iter(_RELEASES)
    day = 0
    while True:
        built = _NEWEST - timedelta(days=day)
        daily = f"d_{built:%Y_%m_%d}"
        yield daily
        if day % 7 == 0:
            year, week, _ = built.isocalendar()
            weekly = f"w_{year}_{week:02d}"
            yield weekly
            yield f"{weekly}_c{_CYCLE - day // 28:04d}.{day // 7 % 4 + 1:03d}"
            if suffix:
                yield f"{weekly}{suffix}"
            yield f"{weekly}-amd64"
            yield f"{weekly}-arm64"
        if day % 28 == 3:
            release = next(releases, None)
            if release is not None:
                major, minor = release
                yield f"r{major}_0_{minor}"
                yield f"r{major}_0_{minor}_rc1"
                yield f"r{major}_0_{minor}_rc2"
        if day % 10 == 1:
            yield f"exp_{daily}_branch{day}"
            yield f"exp_w_{built:%Y}_{built.isocalendar().week:02d}_nosev{day}"
        if day % 50 == 5:
            yield f"test-build-{day}"
        day += 1
