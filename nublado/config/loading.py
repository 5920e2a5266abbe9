"""From a file to a configuration, or to everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from marshmallow import ValidationError
from marshmallow.exceptions import SCHEMA

from nublado.config.consistency import inconsistencies
from nublado.config.document import Document, UnreadableError, read_document
from nublado.config.model import Config
from nublado.config.root import RootSchema
from nublado.config.values import YamlPath, path_text
from nublado.exceptions import ConfigurationError, ConfigurationProblem

__all__ = ["check", "load"]


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
    result = _examine(path)
    if isinstance(result, Config):
        return result
    raise ConfigurationError(str(path), result)


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
    result = _examine(path)
    return [] if isinstance(result, Config) else result


def _examine(path: Path) -> Config | list[ConfigurationProblem]:
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
        problems += _located(document, _flattened(e.messages))
    problems += _located(document, inconsistencies(document.data))
    if config and not problems:
        return config
    return sorted(problems, key=lambda problem: problem.line or 0)


def _located(
    document: Document, found: Iterator[tuple[YamlPath, str]]
) -> Iterator[ConfigurationProblem]:
    for path, message in found:
        actual, line = document.locate(path)
        yield ConfigurationProblem(path_text(actual), line, message)


def _flattened(messages: object, path: YamlPath = ()) -> Iterator[tuple[YamlPath, str]]:
    """Messages of marshmallow, which nest as the file does."""
    if isinstance(messages, dict):
        for key, inner in messages.items():
            yield from _flattened(inner, path if key == SCHEMA else (*path, key))
    elif isinstance(messages, list):
        for message in messages:
            yield from _flattened(message, path)
    else:
        yield path, str(messages)
