"""How fast and how well the embedded cluster works; changeable while it runs."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

__all__ = ["ClusterSettings"]

Rules = dict[str, float]


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

    def pull_time(self, image: str) -> float:
        """How long pulling an image takes."""
        for pattern, seconds in self.pull_rules.items():
            if re.search(pattern, image):
                return seconds
        return self.pull_seconds

    def pull_fails(self, image: str) -> bool:
        """Whether an image cannot be pulled."""
        return any(re.search(pattern, image) for pattern in self.failing_pulls)

    def is_held(self, namespace: str) -> bool:
        """Whether the end of a namespace is held up."""
        return any(re.search(pattern, namespace) for pattern in self.held_namespaces)

    def exit_code(self, image: str) -> int | None:
        """With what a container ends at once; None if it goes on."""
        for pattern, code in self.exits.items():
            if re.search(pattern, image):
                return code
        return None
