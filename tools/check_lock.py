"""Check that locks are closed, and that the environment is what they say.

Run with the Python of the environment that was installed from the locks. Each
is named with the extras of the project that it is for::

    python -m tools.check_lock requirements/run.txt=google

A lock is closed when every requirement of every package in it is satisfied by
a package in it. Then there is nothing that an installer would have to resolve,
and nothing that a new release of some package could break.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.markers import Marker, default_environment
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

__all__ = ["Lock", "LockError", "Pin", "main", "open_ends", "strays", "unpinned"]

_PROJECT = "nublado"
_INSTALLERS = frozenset({"pip"})
_MINORS = range(11, 15)

Environment = Mapping[str, str]
Distributions = Mapping[str, metadata.Distribution]


class LockError(Exception):
    """A lock cannot be read."""


@dataclass(frozen=True, slots=True)
class Pin:
    """One version of one package, perhaps only for some environments."""

    name: str
    version: str
    extras: frozenset[str]
    marker: Marker | None

    def holds(self, environment: Environment) -> bool:
        """Whether it is installed in an environment."""
        return self.marker is None or self.marker.evaluate(dict(environment))


@dataclass(frozen=True, slots=True)
class Lock:
    """What a lock pins, and for which extras of the project.

    Parameters
    ----------
    name
        Name for messages.
    pins
        Its pins.
    extras
        Extras of the project.
    """

    name: str
    pins: Sequence[Pin]
    extras: frozenset[str] = frozenset()

    @classmethod
    def read(cls, path: Path, extras: Iterable[str] = ()) -> Lock:
        """Read a file of requirements.

        Raises
        ------
        LockError
            Raised if a line is no pin.
        """
        text = re.sub(r"\\\n|(?:^|\s)#.*", " ", path.read_text())
        lines = [re.sub(r"\s--hash=\S+", "", line).strip() for line in text.split("\n")]
        pins = [_pin(str(path), line) for line in lines if line]
        return cls(str(path), pins, frozenset(extras))

    def within(self, environment: Environment) -> dict[str, Pin]:
        """Pins that hold in an environment, by name of the package."""
        return {pin.name: pin for pin in self.pins if pin.holds(environment)}


def open_ends(lock: Lock, installed: Distributions) -> Iterator[str]:
    """Find requirements that no pin satisfies.

    Parameters
    ----------
    lock
        The lock.
    installed
        Packages by name, which tell what they require.

    Yields
    ------
    str
        What is missing, and for what.
    """
    found = dict.fromkeys(
        message
        for environment in _environments()
        for message in _open_ends(lock, installed, environment)
    )
    yield from found


def unpinned(lock: Lock, installed: Distributions) -> Iterator[str]:
    """Find pins of which another version is installed, or none.

    Yields
    ------
    str
        What is pinned, and what is installed.
    """
    for pin in lock.within(_here()).values():
        distribution = installed.get(pin.name)
        if distribution is None:
            yield f"{lock.name}: {pin.name}=={pin.version} is not installed"
        elif distribution.version != pin.version:
            yield (
                f"{lock.name}: {pin.name}=={pin.version} is pinned,"
                f" but {distribution.version} is installed"
            )


def strays(locks: Iterable[Lock], installed: Distributions) -> Iterator[str]:
    """Find what is installed, but in no lock.

    Yields
    ------
    str
        What it is.
    """
    pinned = {name for lock in locks for name in lock.within(_here())}
    for name in sorted(set(installed) - pinned - _INSTALLERS - {_PROJECT}):
        yield f"{name}=={installed[name].version} is installed, but in no lock"


def main(arguments: Sequence[str]) -> int:
    """Check the locks that the arguments name; returns the exit code."""
    if not arguments:
        print(__doc__, file=sys.stderr)
        return 2
    installed: dict[str, metadata.Distribution] = {
        canonicalize_name(distribution.name): distribution
        for distribution in metadata.distributions()
    }
    locks = []
    try:
        for argument in arguments:
            path, _, extras = argument.partition("=")
            locks.append(Lock.read(Path(path), filter(None, extras.split(","))))
    except (LockError, OSError) as e:
        print(e, file=sys.stderr)
        return 1
    problems = [p for lock in locks for p in unpinned(lock, installed)]
    problems += [p for lock in locks for p in open_ends(lock, installed)]
    problems += strays(locks, installed)
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        print(
            "Pin anew with `make lock`, or install what is pinned with `make clean`"
            " and another make.",
            file=sys.stderr,
        )
    else:
        names = ", ".join(f"{lock.name} ({len(lock.pins)} packages)" for lock in locks)
        print(f"Closed and installed as pinned: {names}")
    return 1 if problems else 0


def _open_ends(
    lock: Lock, installed: Distributions, environment: Environment
) -> Iterator[str]:
    pins = lock.within(environment)
    wanted = [(name, pin.extras) for name, pin in pins.items()]
    wanted.append((_PROJECT, lock.extras))
    done: dict[str, frozenset[str]] = {}
    while wanted:
        name, extras = wanted.pop()
        known = done.get(name)
        if known is not None and extras <= known:
            continue
        done[name] = extras = extras | (known or frozenset())
        distribution = installed.get(name)
        if name in pins and distribution and distribution.version != pins[name].version:
            continue  # What another version requires is known where that is installed.
        for requirement in _requirements(distribution, extras, environment):
            pin = pins.get(canonicalize_name(requirement.name))
            if pin is None or not requirement.specifier.contains(
                pin.version, prereleases=True
            ):
                yield f"{lock.name}: no pin satisfies {requirement}, required by {name}"
            else:
                wanted.append((pin.name, frozenset(requirement.extras)))


def _requirements(
    distribution: metadata.Distribution | None,
    extras: frozenset[str],
    environment: Environment,
) -> Iterator[Requirement]:
    for text in (distribution.requires if distribution else None) or ():
        requirement = Requirement(text)
        marker = requirement.marker
        if marker is None or any(
            marker.evaluate({**environment, "extra": extra}) for extra in {"", *extras}
        ):
            yield requirement


def _pin(source: str, line: str) -> Pin:
    try:
        requirement = Requirement(line)
    except InvalidRequirement as e:
        raise LockError(f"{source}: {line} is no requirement") from e
    versions = list(requirement.specifier)
    if len(versions) != 1 or versions[0].operator != "==" or "*" in str(versions[0]):
        raise LockError(f"{source}: {line} does not pin one version")
    return Pin(
        name=canonicalize_name(requirement.name),
        version=versions[0].version,
        extras=frozenset(requirement.extras),
        marker=requirement.marker,
    )


def _here() -> Environment:
    return {key: str(value) for key, value in default_environment().items()}


def _environments() -> Iterator[Environment]:
    """Make this environment with each Python that the project is for."""
    for minor in _MINORS:
        version = f"3.{minor}"
        yield {
            **_here(),
            "python_version": version,
            "python_full_version": f"{version}.0",
        }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
