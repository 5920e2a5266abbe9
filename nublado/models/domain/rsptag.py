"""Tags of images, parsed by the naming convention.

What a tag points to is not known here; see `nublado.models.domain.rspimage`.
The order of many tags is a matter of `nublado.models.domain.tag_collection`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import Self

from semver import Version

__all__ = ["MenuOrder", "RSPImageTag", "RSPImageType"]

_DEFAULT_TAG = "latest"
"""What a reference without a tag means to Docker and Kubernetes."""

_THURSDAY = 4
"""The day of an ISO week that decides which year the week belongs to."""

_NUMBER = r"[0-9]{1,9}"
_ARCHITECTURE = r"(?:-(?P<architecture>amd64|arm64|arm|ppc64le|s390x))?"
_EXTRA = (
    rf"(?:_c(?P<cycle>{_NUMBER})\.(?P<build>{_NUMBER}))?(?:_rsp(?P<rsp>{_NUMBER}))?"
    rf"(?:_(?P<rest>.*?))?{_ARCHITECTURE}"
)
_EXPERIMENTAL_PREFIX = "exp_"
_UNVERSIONED = re.compile(
    rf"(?P<name>.+?)(?:_c(?P<cycle>{_NUMBER}))?{_ARCHITECTURE}", re.DOTALL
)
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

MenuOrder = tuple[tuple[int, ...], str, bool, str]
"""Numbers, text, whether it is for any architecture, and the tag.

The numbers are those of the version, release candidate, cycle, build of the
cycle, and RSP build; what is missing comes before all others. The text is the
rest of a versioned tag, and the base name of all others.
"""


@dataclass(frozen=True, slots=True)
class RSPImageTag:
    """A tag, and what its name says.

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
    architecture
        The only architecture that it is for, such as ``arm64``.
    alias_name
        Name for people if it turns out to be an alias, without its target.
    rsp_build
        Number of the build of the platform, if the tag has one.
    basis
        The tag that an experimental one is based on.
    order
        Orders the tags of one kind, the newest last.
    """

    tag: str
    image_type: RSPImageType
    display_name: str
    version: Version | None = None
    cycle: int | None = None
    architecture: str | None = None
    alias_name: str = ""
    rsp_build: int | None = None
    basis: RSPImageTag | None = field(default=None, repr=False)
    order: MenuOrder = field(default=((), "", True, ""), repr=False)

    @classmethod
    def parse(cls, tag: str) -> Self:
        """Parse a tag by the naming convention; never raises.

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
        inner = cls._parse_versioned(tag[start:]) or cls._unversioned(
            tag[start:], RSPImageType.UNKNOWN
        )
        if not start:
            return inner
        prefixes = start // len(_EXPERIMENTAL_PREFIX)
        return cls(
            tag=tag,
            image_type=RSPImageType.EXPERIMENTAL,
            display_name="Experimental " * prefixes + inner.display_name,
            cycle=inner.cycle,
            architecture=inner.architecture,
            rsp_build=inner.rsp_build,
            basis=inner,
            order=(
                (),
                tag.removesuffix(f"-{inner.architecture}"),
                inner.architecture is None,
                tag,
            ),
        )

    @property
    def nominal_date(self) -> datetime | None:
        """The day that its name stands for, at 00:00 UTC; None if for none.

        Of a weekly that is the Thursday of the week, as ISO 8601 counts them. An
        experimental tag has the date of the tag that it is based on.
        """
        named = self.basis or self
        if named.version is None:
            return None
        year, second, third = named.version.to_tuple()[:3]
        try:
            match named.image_type:
                case RSPImageType.DAILY:
                    return datetime(year, second, third, tzinfo=UTC)
                case RSPImageType.WEEKLY:
                    thursday = datetime.fromisocalendar(year, second, _THURSDAY)
                    return thursday.replace(tzinfo=UTC)
        except ValueError:
            return None
        return None

    @classmethod
    def alias(cls, tag: str) -> Self:
        """Make a tag that is known to be another name of some image."""
        return cls._unversioned(tag or _DEFAULT_TAG, RSPImageType.ALIAS)

    @classmethod
    def _unversioned(cls, tag: str, image_type: RSPImageType) -> Self:
        match = _UNVERSIONED.fullmatch(tag)
        parts = match.groupdict() if match else {}
        name, cycle = parts.get("name") or tag, parts.get("cycle")
        architecture = parts.get("architecture")
        alias_name = name.replace("_", " ").title()
        display_name = alias_name if image_type is RSPImageType.ALIAS else name
        if cycle:
            display_name += f" (SAL Cycle {cycle})"
        if architecture:
            display_name += f" [{architecture}]"
        return cls(
            tag=tag,
            image_type=image_type,
            display_name=display_name,
            cycle=int(cycle) if cycle else None,
            architecture=architecture,
            alias_name=alias_name,
            order=((), name, architecture is None, tag),
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
        candidate = parts.get("candidate")
        numbers = [int(parts.get(p) or 0) for p in ("major", "minor", "patch")]
        version = Version(
            major=numbers[0],
            minor=numbers[1],
            patch=numbers[2],
            prerelease=f"rc{int(candidate)}" if candidate else None,
            build=_version_build(parts),
        )
        builds = [int(parts[p] or -1) for p in ("cycle", "build", "rsp")]
        return cls(
            tag=tag,
            image_type=image_type,
            display_name=f"{image_type.value} {form.format_map(parts)}{_extras(parts)}",
            version=version,
            cycle=int(parts["cycle"]) if parts["cycle"] else None,
            architecture=parts["architecture"],
            rsp_build=int(parts["rsp"]) if parts["rsp"] else None,
            order=(
                (*numbers, int(candidate or 0), *builds),
                parts["rest"] or "",
                parts["architecture"] is None,
                tag,
            ),
        )


def _extras(parts: dict[str, str | None]) -> str:
    """Write what follows the version for people."""
    text = ""
    if parts["cycle"]:
        text += f" (SAL Cycle {parts['cycle']}, Build {parts['build']})"
    if parts["rsp"]:
        text += f" (RSP Build {parts['rsp']})"
    for name in ("rest", "architecture"):
        if parts[name]:
            text += f" [{parts[name]}]"
    return text


def _version_build(parts: dict[str, str | None]) -> str | None:
    """Join what follows the version to the build part of a semantic version."""
    words = [f"c{parts['cycle']}", str(parts["build"])] if parts["cycle"] else []
    words += [f"rsp{parts['rsp']}"] if parts["rsp"] else []
    words += re.split(r"[_.]", parts["rest"] or "")
    words += [parts["architecture"] or ""]
    allowed = (_FORBIDDEN_IN_VERSION.sub("", word) for word in words)
    return ".".join(word for word in allowed if word) or None
