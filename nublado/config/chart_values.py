"""Values of the original's Helm chart, as those of ours."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

import yaml

__all__ = ["ChartValues", "read_chart_values"]

_KEPT = ("resources", "nodeSelector", "tolerations", "affinity", "podAnnotations")
"""Values below ``controller`` that both charts have, with the same meaning."""

_ASKED_FOR = {
    "image": (
        "controller.image names the original's image: put it into extraEnv, as"
        " NUBLADO_CONTROLLER_REPOSITORY and NUBLADO_CONTROLLER_TAG, for the standard"
        " init containers; image names that of this controller."
    ),
    "slackAlerts": (
        "controller.slackAlerts: set slack.secretName to the secret with the webhook."
    ),
}


@dataclass(frozen=True, slots=True)
class ChartValues:
    """Values of the original's chart, taken apart.

    Parameters
    ----------
    config
        Text of the controller's configuration.
    before, after
        Other values of our chart, around it.
    remarks
        What is left to do, and what was left out.
    """

    config: str
    before: str
    after: str
    remarks: tuple[str, ...]

    def with_config(self, config: str) -> str:
        """Put values together around a configuration."""
        section = textwrap.indent(config.rstrip("\n") + "\n", "  ")
        return f"{self.before}config:\n{section}{self.after}"


def read_chart_values(text: str) -> ChartValues | None:
    """Take values apart; None for a file that has none below ``controller.config``.

    Parameters
    ----------
    text
        A YAML file.
    """
    root = _compose(text)
    controller = _entry(root, "controller")
    config = _entry(controller, "config")
    if config is None or controller is None or not isinstance(root, yaml.MappingNode):
        return None
    remarks = [
        f"{key} is not a matter of this chart, and left out"
        for key in _keys(root)
        if key not in ("controller", "global")
    ]
    before = _base_url(text, root, remarks)
    after = "".join(_others(text, controller, remarks))
    return ChartValues(_block(text, config), before, after, tuple(remarks))


def _compose(text: str) -> yaml.Node | None:
    try:
        return yaml.compose(text, yaml.SafeLoader)
    except (yaml.YAMLError, ValueError, RecursionError):
        # Said better where the file is checked.
        return None


def _keys(node: yaml.MappingNode) -> list[str]:
    return [str(key.value) for key, _ in node.value]


def _entry(node: yaml.Node | None, name: str) -> yaml.MappingNode | None:
    found = _value(node, name)
    return found if isinstance(found, yaml.MappingNode) else None


def _value(node: yaml.Node | None, name: str) -> yaml.Node | None:
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((value for key, value in node.value if key.value == name), None)


def _base_url(text: str, root: yaml.Node, remarks: list[str]) -> str:
    url = _value(_entry(root, "global"), "baseUrl")
    if isinstance(url, yaml.ScalarNode) and url.value:
        return f"baseUrl: {_block(text, url).strip()}\n"
    remarks.append("baseUrl is required: the URL of the platform")
    return ""


def _others(
    text: str, controller: yaml.MappingNode, remarks: list[str]
) -> Iterator[str]:
    for key, value in controller.value:
        name = str(key.value)
        if name == "config":
            continue
        if name in _KEPT:
            yield from (f"{c}\n" for c in _comments_above(text, key.start_mark.line))
            yield _section(name, _block(text, value))
        elif name == "ingress":
            yield _section(name, _block(text, value))
            remarks.append("controller.ingress: compare its keys with those of ours")
        elif name == "googleServiceAccount" and value.value:
            account = (
                f'  annotations:\n    iam.gke.io/gcp-service-account: "{value.value}"'
            )
            yield f"serviceAccount:\n{account}\n"
        else:
            fallback = f"controller.{name} has no counterpart, and is left out"
            remarks.append(_ASKED_FOR.get(name, fallback))


def _section(name: str, block: str) -> str:
    if "\n" not in block.rstrip("\n") and ": " not in block.partition("#")[0]:
        return f"{name}: {block.strip()}\n"
    if block.lstrip().startswith(("{", "[")):
        return f"{name}: {block.strip()}\n"
    return f"{name}:\n{textwrap.indent(block.rstrip(), '  ')}\n"


def _block(text: str, node: yaml.Node) -> str:
    """Text of a node with its comments, moved to the left edge."""
    start, end = node.start_mark, node.end_mark
    is_block = isinstance(node, yaml.CollectionNode) and not node.flow_style
    if not is_block:
        return text[start.index : end.index] + "\n"
    indent = int(start.column)
    first = int(start.line)
    first -= len(_comments_above(text, first))
    lines = text[: int(end.index)].splitlines()[first:]
    while lines and not lines[-1].strip():
        lines.pop()
    # Comments behind the last value that are further left are about what follows.
    while lines and _is_comment_before(lines[-1], indent):
        lines.pop()
    moved = [line[indent:] if not line[:indent].strip() else line for line in lines]
    return "\n".join(moved) + "\n"


def _comments_above(text: str, line: int) -> list[str]:
    """Lines of comments right above a line, which is counted from 0."""
    lines = text.splitlines()
    indent = len(lines[line]) - len(lines[line].lstrip())
    first = line
    while first > 0 and lines[first - 1].startswith(f"{' ' * indent}#"):
        first -= 1
    return [comment.strip() for comment in lines[first:line]]


def _is_comment_before(line: str, indent: int) -> bool:
    stripped = line.lstrip()
    is_left = len(line) - len(stripped) < indent
    return not stripped or (is_left and stripped.startswith("#"))
