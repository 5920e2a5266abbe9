"""From a file to a configuration, or to everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from marshmallow import ValidationError
from marshmallow.exceptions import SCHEMA

from nublado.config import kubernetes_names
from nublado.config.consistency import inconsistencies
from nublado.config.document import Document, UnreadableError, read_document
from nublado.config.environment import Environment
from nublado.config.model import Config
from nublado.config.root import RootSchema
from nublado.config.style import with_defaults_of_style
from nublado.config.values import YamlPath, path_text
from nublado.exceptions import (
    ConfigurationError,
    ConfigurationProblem,
    InvalidEnvironmentError,
)
from nublado.models.domain.urls import origin_of

__all__ = [
    "check",
    "check_fit",
    "check_for",
    "examine",
    "flattened",
    "load",
    "load_for",
    "located",
]


def load(path: Path) -> Config:
    """Read and check a configuration file.

    Parameters
    ----------
    path
        The YAML file.

    Raises
    ------
    ConfigurationError
        Raised with all problems of the file if there are any.
    """
    result = examine(path)
    if isinstance(result, Config):
        return result
    raise ConfigurationError(str(path), result)


def load_for(environment: Environment) -> Config:
    """Read the configuration of a process, and check that its environment fits.

    Parameters
    ----------
    environment
        Environment of the process, which says where the file is.

    Raises
    ------
    ConfigurationError
        Raised with all problems of the file if there are any.
    InvalidEnvironmentError
        Raised if the environment lacks what the configuration needs.
    """
    config = load(environment.config_path)
    check_fit(config, environment)
    return config


def check_fit(config: Config, environment: Environment) -> None:
    """Check that an environment has what a configuration needs of it.

    Raises
    ------
    InvalidEnvironmentError
        Raised if file servers could never be reached at the base URL, since
        Kubernetes has ingresses for names, not for addresses; or if nothing
        says which image they run.
    """
    if config.fileserver is None:
        return
    problems = []
    if not _has_name(environment.external_url):
        problems.append(
            f"EXTERNAL_INSTANCE_URL: {environment.external_url} must have a DNS name"
            " as its host, not an IP address, because Kubernetes makes no other"
            " ingress for a file server. Set it to the URL of the platform, such as"
            " https://data.example.org, or set fileserver.enabled to false."
        )
    if config.fileserver.image is None and environment.controller_repository is None:
        problems.append(
            "NUBLADO_CONTROLLER_REPOSITORY: is required, since the configuration has"
            " no fileserver.image. Set it to the repository of the image that has the"
            " file server, such as ghcr.io/lsst-sqre/nublado."
        )
    if problems:
        raise InvalidEnvironmentError(problems)


def _has_name(url: str) -> bool:
    """Whether the host of a URL is a name that an ingress may have.

    References
    ----------
    https://kubernetes.io/docs/reference/kubernetes-api/service-resources/ingress-v1/
    """
    try:
        _, host, _ = origin_of(url)
        kubernetes_names.dns_subdomain(host)
    except ValueError:
        return False
    return not host.rpartition(".")[2].isdigit()


def check(path: Path) -> list[ConfigurationProblem]:
    """Find everything that is wrong with a configuration file.

    Parameters
    ----------
    path
        The YAML file.

    Returns
    -------
    list
        Problems in the order of their lines; empty if the file can be used.
    """
    result = examine(path)
    return [] if isinstance(result, Config) else result


def check_for(environment: Environment) -> list[ConfigurationProblem]:
    """Find everything for which a process could not start.

    Parameters
    ----------
    environment
        Environment of the process, which says where the file is.

    Returns
    -------
    list
        Problems of the file in the order of their lines; if it has none, what
        it needs and the environment lacks.
    """
    result = examine(environment.config_path)
    if not isinstance(result, Config):
        return result
    try:
        check_fit(result, environment)
    except InvalidEnvironmentError as e:
        return [ConfigurationProblem("", None, problem) for problem in e.problems]
    return []


def examine(path: Path) -> Config | list[ConfigurationProblem]:
    """Read a configuration file.

    Parameters
    ----------
    path
        The YAML file.

    Returns
    -------
    Config or list
        The configuration, or all that is wrong with the file, in the order of
        its lines.
    """
    try:
        document = read_document(path)
    except UnreadableError as e:
        return [ConfigurationProblem("", e.line, e.message)]
    problems = [
        ConfigurationProblem(path_text(key), line, "is given more than once")
        for key, line in document.duplicates
    ]
    config: Config | None = None
    try:
        config = RootSchema().read(document.data)
    except ValidationError as e:
        problems += located(document, flattened(e.messages))
    problems += located(document, inconsistencies(document.data))
    if config and not problems:
        return with_defaults_of_style(config, document.data)
    return sorted(problems, key=lambda problem: problem.line or 0)


def located(
    document: Document, found: Iterator[tuple[YamlPath, str]]
) -> Iterator[ConfigurationProblem]:
    """Say where in a file problems are."""
    for path, message in found:
        actual, line = document.locate(path)
        yield ConfigurationProblem(path_text(actual), line, message)


def flattened(messages: object, path: YamlPath = ()) -> Iterator[tuple[YamlPath, str]]:
    """Messages of marshmallow, which nest as the file does."""
    if isinstance(messages, dict):
        for key, inner in messages.items():
            yield from flattened(inner, path if key == SCHEMA else (*path, key))
    elif isinstance(messages, list):
        for message in messages:
            yield from flattened(message, path)
    else:
        yield path, str(messages)
