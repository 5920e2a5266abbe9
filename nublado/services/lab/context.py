"""What every operation on a lab works with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nublado.config.model import LabConfig
from nublado.services.alerts import Alerts
from nublado.services.builder.lab import LabBuilder
from nublado.storage.kubernetes.cluster import Cluster
from nublado.storage.kubernetes.shared import SharedReads

__all__ = ["LabContext"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabContext:
    """Long-lived objects that labs are made with.

    Parameters
    ----------
    config
        Configuration of labs.
    namespace
        Namespace of the controller, where the secrets are.
    builder
        Builds the objects.
    cluster
        Where they are created.
    sources
        Reads what they are made of.
    alerts
        Receives failures.
    discovery
        Gives what labs are told of the platform's services, as JSON; None if
        that is not known.
    """

    config: LabConfig
    namespace: str
    builder: LabBuilder
    cluster: Cluster
    sources: SharedReads
    alerts: Alerts
    discovery: Callable[[], str | None] = lambda: None
