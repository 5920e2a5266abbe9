"""Tags of images, and what their names mean.

What a tag points to is not known here; see `nublado.models.domain.rspimage`.
The order of many tags is a matter of `nublado.models.domain.tag_collection`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum
from typing import Self

from semver import Version

__all__ = ["MenuOrder", "RSPImageTag", "RSPImageType"]

_DEFAULT_TAG = "latest"
"""What a reference without a tag means to Docker and Kubernetes."""

_NUMBER = r"[0-9]{1,9}"
_EXTRA = rf"(?:_c(?P<cycle>{_NUMBER})\.(?P<build>{_NUMBER}))?(?:_(?P<rest>.+))?"
_EXPERIMENTAL_PREFIX = "exp_"
_TRAILING_CYCLE = re.compile(rf"(?P<name>.+)_c(?P<cycle>{_NUMBER})", re.DOTALL)
_FORBIDDEN_IN_VERSION = re.compile(r"[^0-9A-Za-z-]+")


class RSPImageType(Enum):
    """Kind of an image, in the order of the menu."""

    ALIAS = "Alias"
    RELEASE = "Release"
    WEEKLY = "Weekly"
    DAILY = "Daily"
    CANDIDATE = "Release Candidate"
    EXPERIMENTAL = "Experimental"
    UNKNOWN = "Unknown"

    @property
    def versioned(self) -> bool:
        """Whether tags of this kind name a version."""
        return self in _VERSIONED


_VERSIONED = frozenset(
    {
        RSPImageType.RELEASE,
        RSPImageType.WEEKLY,
        RSPImageType.DAILY,
        RSPImageType.CANDIDATE,
    }
)


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text.replace("#", _NUMBER) + _EXTRA, re.DOTALL)


_PATTERNS = (
    (
        RSPImageType.CANDIDATE,
        _pattern("r(?P<major>#)_(?P<minor>#)_(?P<patch>#)_rc(?P<candidate>#)"),
        "r{major}.{minor}.{patch}-rc{candidate}",
    ),
    (
        RSPImageType.RELEASE,
        _pattern("r(?P<major>#)_(?P<minor>#)_(?P<patch>#)"),
        "r{major}.{minor}.{patch}",
    ),
    (
        RSPImageType.RELEASE,
        _pattern("r(?P<major>[0-9]{2})(?P<minor>[0-9])"),
        "r{major}.{minor}.0",
    ),
    (
        RSPImageType.WEEKLY,
        _pattern("w_(?P<major>#)_(?P<minor>#)"),
        "{major}_{minor}",
    ),
    (
        RSPImageType.DAILY,
        _pattern("d_(?P<major>#)_(?P<minor>#)_(?P<patch>#)"),
        "{major}_{minor}_{patch}",
    ),
)
"""Kind, pattern and form of the display name; the first match counts."""

MenuOrder = tuple[tuple[int, ...], str, str]
"""Numbers of the version, its build part, and the tag."""


@dataclass(frozen=True, slots=True)
class RSPImageTag:
    """A tag, parsed.

    Make one with `parse` or `alias`.

    Parameters
    ----------
    tag
        The tag itself.
    image_type
        Kind of image.
    display_name
        Name for people.
    version
        Semantic version, for versioned kinds. Two of them compare as the
        standard says, which is not the order of the menu; use ``order``.
    cycle
        SAL cycle, if the tag is of one.
    order
        Orders the tags of one kind, the newest last.
    """

    tag: str
    image_type: RSPImageType
    display_name: str
    version: Version | None = None
    cycle: int | None = None
    order: MenuOrder = field(default=((), "", ""), repr=False)

    @classmethod
    def parse(cls, tag: str) -> Self:
        """Understand a tag by the naming convention; never raises.

        Parameters
        ----------
        tag
            The tag; an empty one means ``latest``. One that follows no
            convention is of the kind unknown.
        """
        tag = tag or _DEFAULT_TAG
        start = 0
        while tag.startswith(_EXPERIMENTAL_PREFIX, start):
            start += len(_EXPERIMENTAL_PREFIX)
        if start == len(tag):
            start -= len(_EXPERIMENTAL_PREFIX)
        inner = cls._parse_versioned(tag[start:]) or cls._unknown(tag[start:])
        if not start:
            return inner
        prefixes = start // len(_EXPERIMENTAL_PREFIX)
        return cls(
            tag=tag,
            image_type=RSPImageType.EXPERIMENTAL,
            display_name="Experimental " * prefixes + inner.display_name,
            cycle=inner.cycle,
            order=((), "", tag),
        )

    @classmethod
    def alias(cls, tag: str) -> Self:
        """Create a tag that is known to be another name of some image."""
        tag = tag or _DEFAULT_TAG
        name, cycle_text, cycle = _split_cycle(tag)
        return cls(
            tag=tag,
            image_type=RSPImageType.ALIAS,
            display_name=name.replace("_", " ").title() + cycle_text,
            cycle=cycle,
            order=((), "", tag),
        )

    @classmethod
    def _unknown(cls, tag: str) -> Self:
        name, cycle_text, cycle = _split_cycle(tag)
        return cls(
            tag=tag,
            image_type=RSPImageType.UNKNOWN,
            display_name=name + cycle_text,
            cycle=cycle,
            order=((), "", tag),
        )

    @classmethod
    def _parse_versioned(cls, tag: str) -> Self | None:
        for image_type, pattern, form in _PATTERNS:
            if match := pattern.fullmatch(tag):
                return cls._from_match(tag, image_type, match.groupdict(), form)
        return None

    @classmethod
    def _from_match(
        cls,
        tag: str,
        image_type: RSPImageType,
        parts: dict[str, str | None],
        form: str,
    ) -> Self:
        cycle, build, rest = parts["cycle"], parts["build"], parts["rest"]
        candidate = parts.get("candidate")
        numbers = [int(parts.get(p) or 0) for p in ("major", "minor", "patch")]
        version = Version(
            major=numbers[0],
            minor=numbers[1],
            patch=numbers[2],
            prerelease=f"rc{int(candidate)}" if candidate else None,
            build=_version_build(cycle, build, rest),
        )
        display_name = f"{image_type.value} {form.format_map(parts)}"
        if cycle:
            display_name += f" (SAL Cycle {cycle}, Build {build})"
        if rest:
            display_name += f" [{rest}]"
        return cls(
            tag=tag,
            image_type=image_type,
            display_name=display_name,
            version=version,
            cycle=int(cycle) if cycle else None,
            order=((*numbers, int(candidate or 0)), version.build or "", tag),
        )


def _version_build(
    cycle: str | None, build: str | None, rest: str | None
) -> str | None:
    """Join what follows the version to the build part of a semantic version."""
    words = [f"c{cycle}", str(build)] if cycle else []
    words += re.split(r"[_.]", rest or "")
    allowed = (_FORBIDDEN_IN_VERSION.sub("", word) for word in words)
    return ".".join(word for word in allowed if word) or None


def _split_cycle(tag: str) -> tuple[str, str, int | None]:
    """Split the cycle off an unversioned tag: name, text of the cycle, cycle."""
    match = _TRAILING_CYCLE.fullmatch(tag)
    if not match:
        return tag, "", None
    cycle = match["cycle"]
    return match["name"], f" (SAL Cycle {cycle})", int(cycle)
