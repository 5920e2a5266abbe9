"""Which images there are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["DockerSourceConfig", "GoogleSourceConfig", "ImagesConfig"]


@dataclass(frozen=True, slots=True)
class DockerSourceConfig:
    """Images come from a Docker registry (v2 API)."""

    repository: str
    registry: str = "docker.io"
    credentials_path: Path = Path("/etc/secrets/.dockerconfigjson")


@dataclass(frozen=True, slots=True)
class GoogleSourceConfig:
    """Images come from a Google Artifact Registry."""

    location: str
    project_id: str
    repository: str
    image: str


@dataclass(frozen=True, slots=True)
class ImagesConfig:
    """Which images users may choose, and which are prepulled.

    ``prepull_timeout`` is for one image on one node; times are seconds.
    """

    source: DockerSourceConfig | GoogleSourceConfig
    recommended_tag: str = "recommended"
    num_releases: int = 1
    num_weeklies: int = 2
    num_dailies: int = 3
    refresh_interval: float = 300.0
    prepull_timeout: float = 600.0
    cycle: int | None = None
    pin: tuple[str, ...] = ()
    alias_tags: tuple[str, ...] = ()
