"""What operators should know of a configuration that can be used."""

from __future__ import annotations

from nublado.config.environment import DEFAULT_CONTROLLER_TAG, Environment
from nublado.config.model import Config

__all__ = ["notes", "notes_on_environment"]


def notes(config: Config) -> list[str]:
    """What a file asks for, and does not get or might not expect."""
    found = []
    if config.metrics:
        found.append(
            "metrics: events are not published; Prometheus finds the same numbers at"
            " /metrics"
        )
    if config.lab.standard_inithome and not config.lab.standard_containers:
        found.append(
            "lab.standardInithome: has no effect, since lab.standardContainers is false"
        )
    return found


def notes_on_environment(config: Config, environment: Environment) -> list[str]:
    """What an environment asks for, and does not get, or lacks."""
    found = [
        f"{variable}: is accepted, and has no effect"
        for variable in environment.without_effect
    ]
    if _needs_controller_image(config):
        image = environment.controller_image
        if environment.controller_repository is None:
            found.append(
                "NUBLADO_CONTROLLER_REPOSITORY: is not set; standard containers run"
                f" {image.reference}"
            )
        if environment.controller_tag is None:
            found.append(
                f"NUBLADO_CONTROLLER_TAG: is not set; {DEFAULT_CONTROLLER_TAG} is used"
            )
    return found


def _needs_controller_image(config: Config) -> bool:
    fileserver = config.fileserver
    return (
        config.lab.standard_containers
        or config.fsadmin is not None
        or (fileserver is not None and fileserver.image is None)
    )
