"""Releases of Kubernetes that the cluster can be, as far as clients notice."""

from __future__ import annotations

from dataclasses import dataclass

from nublado.models.domain.kubernetes import JSON

__all__ = ["DEFAULT_RELEASE", "RELEASES", "Release", "release_named"]


@dataclass(frozen=True, slots=True)
class Release:
    """A release.

    Parameters
    ----------
    minor
        Its number after ``1.``.
    patch
        Its number after that.
    build_date, go_version
        What ``/version`` says of its build.
    created, started
        What kubelets say of a container in events; formatted with its
        ``name``.
    """

    minor: int
    patch: int
    build_date: str
    go_version: str
    created: str
    started: str

    @property
    def name(self) -> str:
        """Name by which it is chosen, such as ``1.34``."""
        return f"1.{self.minor}"

    @property
    def kubelet_version(self) -> str:
        """Version that nodes report."""
        return f"v1.{self.minor}.{self.patch}"

    def version(self) -> JSON:
        """Answer to ``/version``."""
        return {
            "major": "1",
            "minor": str(self.minor),
            "emulationMajor": "1",
            "emulationMinor": str(self.minor),
            "minCompatibilityMajor": "1",
            "minCompatibilityMinor": str(self.minor - 1),
            "gitVersion": f"{self.kubelet_version}+sandbox",
            "gitCommit": "0" * 40,
            "gitTreeState": "clean",
            "buildDate": self.build_date,
            "goVersion": self.go_version,
            "compiler": "gc",
            "platform": "linux/amd64",
        }


RELEASES = {
    release.name: release
    for release in (
        Release(
            minor=34,
            patch=2,
            build_date="2025-11-11T19:10:36Z",
            go_version="go1.24.9",
            created="Created container: {name}",
            started="Started container {name}",
        ),
        # From 1.35 on the name is left to involvedObject.fieldPath:
        # https://github.com/kubernetes/kubernetes/pull/134043
        Release(
            minor=36,
            patch=0,
            build_date="2026-04-22T17:21:09Z",
            go_version="go1.26.1",
            created="Container created",
            started="Container started",
        ),
    )
}
"""Every release that can be chosen, by name."""

DEFAULT_RELEASE = "1.36"


def release_named(name: str) -> Release:
    """Release of a name.

    Raises
    ------
    ValueError
        Raised if there is none; says which there are.
    """
    try:
        return RELEASES[name]
    except KeyError as e:
        known = ", ".join(RELEASES)
        raise ValueError(f"kubernetes: must be one of {known}, not {name}") from e
