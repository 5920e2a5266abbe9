"""How fast and how well the embedded cluster works; changeable while it runs."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

from nublado.sandbox.checks import (
    check_fields,
    check_keys,
    check_patterns,
    check_range,
)
from nublado.sandbox.kubernetes.quantities import quantity

__all__ = ["ClusterSettings"]

Rules = dict[str, float]

_MOST_NODES = 5_000
_MOST_SECONDS = 86_400.0
_HIGHEST_EXIT_CODE = 255


@dataclass(slots=True)
class ClusterSettings:
    """Settings of the cluster; times are seconds.

    Parameters
    ----------
    nodes, node_cpu, node_memory, node_pods
        How many nodes there are at the start, and what fits on one.
    service_account_delay
        Until a new namespace has its default service account.
    scheduling_delay
        Until a new pod has a node.
    pull_seconds
        How long pulling an image takes.
    pull_rules
        By regular expression for images: how long pulling those takes.
    failing_pulls
        Regular expressions for images that cannot be pulled.
    pull_failure
        Why not: ``not-found``, ``denied`` or ``unavailable``.
    pull_backoff
        Pause after the first failed pull or start; doubled every time.
    start_delay
        How long a container takes to start.
    init_seconds
        How long an init container runs.
    exits
        By regular expression for images: exit code with which those end at
        once.
    termination_delay
        How long a container takes to stop.
    namespace_delay
        How long the removal of an empty namespace takes.
    image_bytes
        Size of an image.
    node_images
        How many images a node names in its status, the largest first; -1 for
        all.
    eviction_seconds
        How long pods stay on a node that does not answer; -1 for what they
        tolerate, which is 300 unless they say otherwise.
    job_retry
        Pause before a job tries again to make its pod; doubled every time.
    held_namespaces
        Regular expressions for namespaces whose end is held up, as by an
        aggregated API that does not answer.
    makes_ingresses
        Whether Gafaelfawr's operator works.
    gives_addresses, address_delay
        Whether ingresses get an address, and after how long.
    """

    nodes: int = 3
    node_cpu: int = 64
    node_memory: str = "256Gi"
    node_pods: int = 500
    service_account_delay: float = 0.05
    scheduling_delay: float = 0.0
    pull_seconds: float = 0.5
    pull_rules: Rules = field(default_factory=dict)
    failing_pulls: list[str] = field(default_factory=list)
    pull_failure: str = "not-found"
    pull_backoff: float = 1.0
    start_delay: float = 0.05
    init_seconds: float = 0.05
    exits: dict[str, int] = field(default_factory=dict)
    termination_delay: float = 0.1
    namespace_delay: float = 0.05
    image_bytes: int = 3_500_000_000
    node_images: int = 50
    eviction_seconds: float = -1.0
    job_retry: float = 1.0
    held_namespaces: list[str] = field(default_factory=list)
    makes_ingresses: bool = True
    gives_addresses: bool = True
    address_delay: float = 0.1

    @classmethod
    def from_json(cls, data: object) -> Self:
        """Make settings of JSON; what is left out has its default.

        Raises
        ------
        ValueError
            Raised if a setting is unknown or its value cannot be used.
        """
        settings = cls()
        settings.change(data)
        return settings

    def change(self, changes: object) -> None:
        """Change some settings; none if one of them is refused.

        Parameters
        ----------
        changes
            New values by name, as JSON has them.

        Raises
        ------
        ValueError
            Raised if a setting is unknown or its value cannot be used.
        """
        if not isinstance(changes, dict):
            raise ValueError("Settings must be a JSON object")  # noqa: TRY004
        check_keys(changes, {f.name for f in fields(self)}, "setting")
        check_fields(type(self), changes)
        _check_ranges(changes)
        for name, value in changes.items():
            setattr(self, name, value)

    def idle_patterns(self, images: Collection[str]) -> list[str]:
        """Tell which patterns match no image, and so may be misspelt.

        Parameters
        ----------
        images
            References of all images that are known.

        Returns
        -------
        list of str
            One sentence for each such pattern.
        """
        return [
            f"{name}: {pattern} matches no known image, such as "
            f"{max(images, default='none: there are none')}"
            for name in _IMAGE_PATTERNS
            for pattern in getattr(self, name)
            if not any(re.search(pattern, image) for image in images)
        ]

    def pull_time(self, image: str) -> float:
        """How long pulling an image takes."""
        for pattern, seconds in self.pull_rules.items():
            if re.search(pattern, image):
                return seconds
        return self.pull_seconds

    def pull_fails(self, image: str) -> bool:
        """Whether an image cannot be pulled."""
        return any(re.search(pattern, image) for pattern in self.failing_pulls)

    def why_pull_fails(self, image: str) -> str:
        """Why an image cannot be pulled, as containerd says it."""
        host = image.partition("/")[0]
        return _PULL_FAILURES[self.pull_failure].format(image=image, host=host)

    def is_held(self, namespace: str) -> bool:
        """Whether the end of a namespace is held up."""
        return any(re.search(pattern, namespace) for pattern in self.held_namespaces)

    def exit_code(self, image: str) -> int | None:
        """With what a container ends at once; None if it goes on."""
        for pattern, code in self.exits.items():
            if re.search(pattern, image):
                return code
        return None


_PULL_FAILURES = {
    "not-found": (
        'rpc error: code = NotFound desc = failed to pull and unpack image "{image}":'
        ' failed to resolve reference "{image}": {image}: not found'
    ),
    "denied": (
        'rpc error: code = Unknown desc = failed to pull and unpack image "{image}":'
        ' failed to resolve reference "{image}": pull access denied, repository does'
        " not exist or may require authorization: server message: insufficient_scope:"
        " authorization failed"
    ),
    "unavailable": (
        'rpc error: code = Unknown desc = failed to pull and unpack image "{image}":'
        ' failed to resolve reference "{image}": failed to do request: Head'
        ' "https://{host}/v2/": dial tcp: i/o timeout'
    ),
}
_IMAGE_PATTERNS = ("pull_rules", "failing_pulls", "exits")


def _check_ranges(changes: Mapping[str, Any]) -> None:
    for name in (*_IMAGE_PATTERNS, "held_namespaces"):
        check_patterns(name, changes.get(name, ()))
    for name, value in changes.items():
        numbers = value.values() if isinstance(value, dict) else [value]
        least, most = _range_of(name)
        for number in numbers:
            if isinstance(number, int | float):
                check_range(name, number, least, most)
    if "pull_failure" in changes:
        check_keys([changes["pull_failure"]], _PULL_FAILURES, "pull_failure")
    if "node_memory" in changes and not _is_memory(changes["node_memory"]):
        shown = changes["node_memory"]
        raise ValueError(f"node_memory must be a quantity such as 256Gi, not {shown}")


def _is_memory(text: str) -> bool:
    try:
        return quantity(text) > 0
    except ValueError:
        return False


def _range_of(name: str) -> tuple[float, float]:
    match name:
        case "nodes":
            return 0, _MOST_NODES
        case "node_cpu" | "node_pods" | "image_bytes":
            return 1, 2**63
        case "node_images":
            return -1, 2**31
        case "eviction_seconds":
            return -1, _MOST_SECONDS
        case "exits":
            return 0, _HIGHEST_EXIT_CODE
    return 0, _MOST_SECONDS
