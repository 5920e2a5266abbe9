"""The file of the commands that clean registries up, and its variables."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from marshmallow import ValidationError

from nublado.config import paths
from nublado.config.document import (
    Document,
    UnreadableError,
    parse_value,
    read_document,
)
from nublado.config.fields import Choice, Text
from nublado.config.image_filters import ImageFiltersSchema
from nublado.config.images import DockerSourceSchema, GoogleSourceSchema
from nublado.config.loading import flattened, located
from nublado.config.model import DockerSourceConfig, GoogleSourceConfig, Profile
from nublado.config.root import LOG_LEVELS
from nublado.config.schema import ConfigSchema
from nublado.config.sections import Section, Tagged
from nublado.config.values import path_text, spelling
from nublado.exceptions import ConfigurationError, ConfigurationProblem
from nublado.models.domain.image_filter import ImageFilters

__all__ = ["RegistryConfig", "load_registry_config"]

_VARIABLES = {
    "NUBLADO_SOURCE": "source",
    "NUBLADO_PRUNE": "prune",
    "NUBLADO_LOG_LEVEL": "logLevel",
    "NUBLADO_LOG_PROFILE": "logProfile",
    "NUBLADO_DOCKER_CREDENTIALS_PATH": "dockerCredentialsPath",
}
"""Variables that override keys; YAML or JSON."""


@dataclass(frozen=True, slots=True)
class RegistryConfig:
    """Which repository is cleaned up, and what is kept.

    Parameters
    ----------
    source
        Where it is.
    prune
        What is kept; None if nothing says so.
    log_level, log_profile
        How logs are written.
    """

    source: DockerSourceConfig | GoogleSourceConfig
    prune: ImageFilters | None = None
    log_level: str = "WARNING"
    log_profile: Profile = Profile.DEVELOPMENT


class _RegistrySchema(ConfigSchema):
    """The file."""

    model = RegistryConfig
    meaningful_when_empty = frozenset({"prune"})
    source = Tagged(
        {"docker": DockerSourceSchema, "google": GoogleSourceSchema}, required=True
    )
    prune = Section(ImageFiltersSchema)
    log_level = Choice(LOG_LEVELS, any_case=True)
    log_profile = Choice(Profile)
    docker_credentials_path = Text(paths.local_path)

    def build(self, data: dict[str, Any]) -> RegistryConfig:
        """Create the configuration."""
        credentials = data.pop("docker_credentials_path", None)
        source = data["source"]
        if credentials is not None and isinstance(source, DockerSourceConfig):
            data["source"] = replace(source, credentials_path=Path(credentials))
        return RegistryConfig(**data)


def load_registry_config(
    file: Path | None, environ: Mapping[str, str] = os.environ
) -> RegistryConfig:
    """Read a file, whose keys variables override.

    Parameters
    ----------
    file
        The YAML file; None if all comes from variables.
    environ
        The environment.

    Raises
    ------
    ConfigurationError
        Raised with all that is wrong with file and variables.
    """
    name = str(file or "environment")
    try:
        document = read_document(file) if file else Document({}, {(): 1}, ())
    except UnreadableError as e:
        raise _error(name, [ConfigurationProblem("", e.line, e.message)]) from e
    problems = [
        ConfigurationProblem(path_text(key), line, "is given more than once")
        for key, line in document.duplicates
    ]
    data = dict(document.data)
    overridden: dict[str, str] = {}
    for variable, key in _VARIABLES.items():
        text = environ.get(variable, "").strip()
        if not text:
            continue
        overridden[key] = variable
        data.pop(spelling(data, key) or key, None)
        try:
            data[key] = parse_value(text)
        except UnreadableError as e:
            problems.append(ConfigurationProblem(variable, None, e.message))
    try:
        config: RegistryConfig = _RegistrySchema().read(data)
    except ValidationError as e:
        for path, message in flattened(e.messages):
            if path and path[0] in overridden:
                place = path_text((overridden[str(path[0])], *path[1:]))
                problems.append(ConfigurationProblem(place, None, message))
            else:
                problems += located(document, iter([(path, message)]))
    else:
        if not problems:
            return config
    raise _error(name, problems)


def _error(name: str, problems: list[ConfigurationProblem]) -> ConfigurationError:
    return ConfigurationError(name, problems)
