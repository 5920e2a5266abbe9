"""Labels and annotations that every object of a lab carries."""

from __future__ import annotations

from nublado.config.model import LabConfig
from nublado.constants import (
    ARGO_CD_ANNOTATIONS,
    CATEGORY_LAB,
    LABEL_ARGO_CD,
    LABEL_CATEGORY,
    LABEL_USER,
)
from nublado.models.domain.kubernetes import JSON
from nublado.models.domain.lab import LabObjectNames

__all__ = ["lab_metadata", "lab_selector"]


def lab_selector(username: str) -> dict[str, str]:
    """Labels that select the namespace, or the pod, of one user's lab."""
    return {LABEL_CATEGORY: CATEGORY_LAB, LABEL_USER: username}


def lab_metadata(config: LabConfig, names: LabObjectNames, name: str) -> JSON:
    """Metadata of the object ``name`` in a lab's namespace."""
    labels = lab_selector(names.username)
    if config.application is not None:
        labels[LABEL_ARGO_CD] = config.application
    return {
        "name": name,
        "namespace": names.namespace,
        "labels": labels,
        "annotations": dict(ARGO_CD_ANNOTATIONS),
    }
