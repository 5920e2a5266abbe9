"""What labs and file servers are told of the platform that they are on."""

from __future__ import annotations

from dataclasses import dataclass

from nublado.config.model import ContainerImage

__all__ = ["Platform"]


@dataclass(frozen=True, slots=True)
class Platform:
    """The platform around labs.

    Parameters
    ----------
    base_url
        Base URL of the platform.
    image
        Image of what runs beside labs.
    repertoire_url
        Base URL of the service discovery; None where there is none.
    """

    base_url: str
    image: ContainerImage
    repertoire_url: str | None = None
