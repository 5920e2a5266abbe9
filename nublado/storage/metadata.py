"""What the controller knows of the pod that it runs in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nublado.constants import KUBERNETES_NAME_PATTERN
from nublado.exceptions import ConfigurationError, ConfigurationProblem
from nublado.models.domain.kubernetes import JSON

__all__ = ["PodMetadata"]

_FILES = ("name", "namespace", "uid")


@dataclass(frozen=True, slots=True)
class PodMetadata:
    """The controller's own pod."""

    name: str
    namespace: str
    uid: str

    @classmethod
    def read(cls, directory: Path) -> PodMetadata:
        """Read the metadata from a volume of the downward API.

        Parameters
        ----------
        directory
            Directory with the files ``name``, ``namespace`` and ``uid``.

        Raises
        ------
        ConfigurationError
            Raised if a file is missing or unusable; names all such files.

        References
        ----------
        https://kubernetes.io/docs/concepts/workloads/pods/downward-api/
        """
        found: dict[str, str] = {}
        problems = []
        for name in _FILES:
            try:
                found[name] = _read(directory / name)
            except (OSError, ValueError) as e:
                reason = e.strerror if isinstance(e, OSError) else str(e)
                message = (
                    f"{reason}; mount metadata.{name} of the pod there by the downward"
                    " API, or set metadataPath to where it is"
                )
                problems.append(ConfigurationProblem(name, None, message))
        namespace = found.get("namespace", "")
        if namespace and not KUBERNETES_NAME_PATTERN.fullmatch(namespace):
            message = f"{namespace!r} is not the name of a namespace"
            problems.append(ConfigurationProblem("namespace", None, message))
        if problems:
            raise ConfigurationError(str(directory), problems)
        return cls(**found)

    def owner_reference(self) -> JSON:
        """Make the reference that lets an object go when this pod goes.

        Only for objects in the pod's own namespace.

        References
        ----------
        https://kubernetes.io/docs/concepts/overview/working-with-objects/owners-dependents/
        """
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "name": self.name,
            "uid": self.uid,
        }


def _read(path: Path) -> str:
    text = path.read_text(encoding="utf-8").strip()
    if not text:
        raise ValueError("File is empty")
    return text
