"""A YAML file as plain values, with the line of each.

Only what YAML itself says is checked here; the meaning is for the schemas.
Nothing is ever constructed from tags, and aliases cannot grow a file beyond
bounds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from nublado.config.values import Number, Value, YamlPath, quoted, spelling

__all__ = ["Document", "UnreadableError", "parse_value", "read_document"]

_MAX_BYTES = 2 * 1024 * 1024
"""Twice what a config map can hold."""

_MAX_VALUES = 100_000
"""Values in a file with its aliases written out."""

_CORE = "tag:yaml.org,2002:"


class UnreadableError(Exception):
    """A file is no YAML that could be checked further.

    Parameters
    ----------
    message
        What is wrong.
    line
        Where, counted from 1; None if the file as a whole is to blame.
    """

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.line = line


@dataclass(frozen=True, slots=True)
class Document:
    """What a file contains.

    Parameters
    ----------
    data
        The file's mapping.
    lines
        Line of each key and list item, counted from 1.
    duplicates
        Keys that a mapping has more than once, with their lines.
    """

    data: Mapping[str, Value]
    lines: Mapping[YamlPath, int]
    duplicates: tuple[tuple[YamlPath, int], ...]

    def locate(self, path: YamlPath) -> tuple[YamlPath, int]:
        """Find a setting in the file.

        Parameters
        ----------
        path
            Path with its keys in camelCase.

        Returns
        -------
        tuple
            Path as the file spells it, and its line: for what is missing, the
            line of the innermost mapping or list that is there.
        """
        value: object = self.data
        actual: YamlPath = ()
        for part in path:
            if isinstance(value, dict):
                key = spelling(value, str(part))
                if key is None:
                    break
                actual, value = (*actual, key), value[key]
            elif isinstance(value, list) and isinstance(part, int):
                actual, value = (*actual, part), value[part]
            else:
                break
        return actual + path[len(actual) :], self.lines[actual]


def read_document(path: Path) -> Document:
    """Read a YAML file.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    UnreadableError
        Raised if it cannot be read, is not YAML, or is not a mapping.
    """
    root = _parse(_read_text(path))
    if root is None:
        raise UnreadableError("is empty; must have keys such as lab and images", 1)
    if not isinstance(root, yaml.MappingNode):
        raise UnreadableError("must be a mapping with keys such as lab and images", 1)
    reader = _Reader()
    try:
        data = reader.read(root)
    except RecursionError as e:
        raise UnreadableError("is nested too deeply") from e
    return Document(data, reader.lines, tuple(reader.duplicates))


def parse_value(text: str) -> Value:
    """Parse the text of a value, such as that of an environment variable.

    Parameters
    ----------
    text
        YAML, of which JSON is a part.

    Raises
    ------
    UnreadableError
        Raised if it is not YAML.
    """
    root = _parse(text)
    try:
        return None if root is None else _Reader().value(root)
    except RecursionError as e:
        raise UnreadableError("is nested too deeply") from e


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except (OSError, ValueError) as e:
        reason = e.strerror if isinstance(e, OSError) else str(e)
        raise UnreadableError(f"cannot be read: {reason}") from e
    if len(content) > _MAX_BYTES:
        raise UnreadableError(f"is larger than {_MAX_BYTES // 1024} KiB")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as e:
        line = content.count(b"\n", 0, e.start) + 1
        raise UnreadableError("is not UTF-8 text", line) from e


def _parse(text: str) -> yaml.Node | None:
    try:
        return yaml.compose(text, yaml.SafeLoader)
    except yaml.MarkedYAMLError as e:
        raise UnreadableError(*_syntax_problem(e)) from e
    except yaml.reader.ReaderError as e:
        line = text.count("\n", 0, e.position) + 1
        raise UnreadableError("contains a character that YAML forbids", line) from e
    except (ValueError, OverflowError) as e:
        raise UnreadableError("escapes a character that does not exist") from e
    except RecursionError as e:
        raise UnreadableError("is nested too deeply") from e


def _syntax_problem(error: yaml.MarkedYAMLError) -> tuple[str, int | None]:
    """Message and line of a syntax error, as short as PyYAML allows."""
    mark = error.problem_mark or error.context_mark
    message = " ".join(text for text in (error.context, error.problem) if text)
    if error.problem and "'\\t'" in error.problem:
        message += "; YAML is indented with spaces, never with tabs"
    return f"is not valid YAML: {message}", mark.line + 1 if mark else None


class _Reader:
    """Turns PyYAML's nodes into values, and notes their lines."""

    def __init__(self) -> None:
        self.lines: dict[YamlPath, int] = {(): 1}
        self.duplicates: list[tuple[YamlPath, int]] = []
        self._count = 0
        self._open: list[yaml.Node] = []
        self._scalars = yaml.constructor.SafeConstructor()

    def read(self, root: yaml.MappingNode) -> dict[str, Value]:
        self._open.append(root)
        return self._mapping(root, ())

    def value(self, root: yaml.Node) -> Value:
        return self._value(root, ())

    def _mapping(self, node: yaml.MappingNode, path: YamlPath) -> dict[str, Value]:
        result: dict[str, Value] = {}
        for key, key_node, value_node, merged in self._entries(node):
            here = (*path, key)
            if key not in result:
                self.lines[here] = _line(key_node)
                result[key] = self._value(value_node, here)
            elif not merged:
                self.duplicates.append((here, _line(key_node)))
        return result

    def _value(self, node: yaml.Node, path: YamlPath) -> Value:
        self._count_one(node)
        if any(node is parent for parent in self._open):
            raise UnreadableError("an alias contains itself", _line(node))
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        if node.tag not in (f"{_CORE}map", f"{_CORE}seq"):
            raise UnreadableError(f"tag {quoted(node.tag)} is not allowed", _line(node))
        self._open.append(node)
        value: Value
        if isinstance(node, yaml.MappingNode):
            value = self._mapping(node, path)
        else:
            value = [self._item(item, (*path, n)) for n, item in enumerate(node.value)]
        self._open.pop()
        return value

    def _item(self, node: yaml.Node, path: YamlPath) -> Value:
        self.lines[path] = _line(node)
        return self._value(node, path)

    def _entries(
        self, node: yaml.MappingNode, depth: int = 0
    ) -> Iterator[tuple[str, yaml.Node, yaml.Node, bool]]:
        """Entries of a mapping, its own ones before those of merge keys."""
        merges = []
        for key_node, value_node in node.value:
            self._count_one(key_node)
            if not isinstance(key_node, yaml.ScalarNode):
                raise UnreadableError(
                    "a key must be plain text; quote one that begins with a brace",
                    _line(key_node),
                )
            if key_node.tag == f"{_CORE}merge":
                merges.append((key_node, value_node))
            else:
                yield _checked(key_node), key_node, value_node, depth > 0
        for key_node, merge in merges:
            sources = merge.value if isinstance(merge, yaml.SequenceNode) else [merge]
            for source in sources:
                if not isinstance(source, yaml.MappingNode) or source in self._open:
                    raise UnreadableError("<< must name a mapping", _line(key_node))
                yield from self._entries(source, depth + 1)

    def _scalar(self, node: yaml.ScalarNode) -> Value:
        text = _checked(node)
        match node.tag.removeprefix(_CORE):
            case "null":
                return None
            case "bool":
                return yaml.SafeLoader.bool_values.get(text.lower(), text)
            case "int":
                return _number(text, node, self._scalars.construct_yaml_int)
            case "float":
                return _number(text, node, self._scalars.construct_yaml_float)
            case "str" | "timestamp" | "value" | "merge":
                return text
            case _:
                raise UnreadableError(
                    f"tag {quoted(node.tag)} is not allowed", _line(node)
                )

    def _count_one(self, node: yaml.Node) -> None:
        self._count += 1
        if self._count > _MAX_VALUES:
            raise UnreadableError("aliases make the file too large", _line(node))


def _number(
    text: str,
    node: yaml.ScalarNode,
    convert: Callable[[yaml.ScalarNode], int | float],
) -> Number | str:
    """Convert a number; what only looks like one (``0x_``) is text."""
    try:
        return Number(text, convert(node))
    except (ValueError, OverflowError):
        return text


def _checked(node: yaml.ScalarNode) -> str:
    """Text of a scalar, which must be encodable."""
    text = str(node.value)
    try:
        text.encode()
    except UnicodeEncodeError as e:
        raise UnreadableError("contains half a character", _line(node)) from e
    return text


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
