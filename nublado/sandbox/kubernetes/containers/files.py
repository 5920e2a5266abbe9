"""The files of a pod, in a folder that stands for the root of its containers.

A container of a real cluster has a file system of its own. A process of this
machine has not: its mounts are symbolic links below a folder, which go to the
folders of the pod's volumes.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from posixpath import normpath

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.kubernetes.containers.fields import ContainerConfigError, Values

__all__ = ["PodFiles", "remove_tree"]

Files = dict[str, tuple[bytes, int]]
"""Content and mode of files by path within a volume."""


class PodFiles:
    """Volumes and mounts of one pod.

    Parameters
    ----------
    directory
        Where the files that go with the pod are.
    kept
        Where the files of network file systems, claims and hosts are, which
        outlive it.
    pod
        The pod.
    """

    def __init__(self, directory: Path, kept: Path, pod: JSON) -> None:
        self.root = directory / "root"
        self._volumes = directory / "volumes"
        self._kept = kept
        self._pod = pod

    def make(self, container: JSON, values: Values) -> None:
        """Write the volumes and link the mounts of a container.

        What its processes have left in volumes of the pod stays.

        Raises
        ------
        ContainerConfigError
            Raised if something is missing, or cannot be mounted.
        """
        name = container["name"]
        places = {
            volume["name"]: self._volume(volume, name, values)
            for volume in self._pod["spec"].get("volumes") or ()
        }
        self.root.mkdir(parents=True, exist_ok=True)
        mounts = container.get("volumeMounts") or ()
        # What holds other mounts comes before those.
        for mount in sorted(mounts, key=lambda m: _parts(m["mountPath"])):
            source = places[mount["name"]]
            if sub_path := mount.get("subPath"):
                source = _inside(source, sub_path)
                if not source.exists():
                    source.mkdir(parents=True)
            self._link(self.inside(mount["mountPath"]), source)

    def inside(self, path: str) -> Path:
        """Where a path of a container is on this machine."""
        return _inside(self.root, path)

    def folder(self, path: str) -> Path:
        """Like `inside`, for a folder, which is made if it is missing."""
        place = self.inside(path)
        place.mkdir(parents=True, exist_ok=True)
        return place

    def home(self, user: int | None) -> str | None:
        """Home of a user by the password file of the pod; None if unknown."""
        try:
            lines = self.inside("/etc/passwd").read_text().splitlines()
        except OSError:
            return None
        for fields in (line.split(":") for line in lines):
            if len(fields) > 5 and fields[2] == str(user):
                return fields[5]
        return None

    def _volume(self, volume: JSON, container_name: str, values: Values) -> Path:
        kept = self._kept_place(volume)
        place = kept or self._volumes / volume["name"]
        place.mkdir(parents=True, exist_ok=True)
        for path, (content, mode) in _files(volume, container_name, values).items():
            target = _inside(place, path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
            target.write_bytes(content)
            target.chmod(mode)
        return place

    def _kept_place(self, volume: JSON) -> Path | None:
        match volume:
            case {"nfs": {"server": server, "path": path}}:
                return _inside(self._kept / "nfs", f"{server}/{path}")
            case {"hostPath": {"path": path}}:
                return _inside(self._kept / "host", path)
            case {"persistentVolumeClaim": {"claimName": name}}:
                namespace = self._pod["metadata"]["namespace"]
                return _inside(self._kept / "claims", f"{namespace}/{name}")
        return None

    def _link(self, target: Path, source: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            if target.is_symlink():
                target.unlink()
            elif target.is_dir():
                target.rmdir()
            target.symlink_to(source)
        except OSError as e:
            raise ContainerConfigError(
                f"cannot mount on {target.relative_to(self.root)}, where there are"
                f" files already: {e.strerror}"
            ) from e


def remove_tree(directory: Path) -> None:
    """Remove a folder, whatever the modes of what is in it."""
    for folder, names, _ in os.walk(directory):
        for place in (Path(folder, name) for name in names):
            if not place.is_symlink():
                place.chmod(0o700)
    shutil.rmtree(directory, ignore_errors=True)


def _parts(path: str) -> tuple[str, ...]:
    return Path(normpath(f"/{path}")).parts


def _inside(folder: Path, path: str) -> Path:
    """Join a path that cannot lead out of a folder."""
    return folder / normpath(f"/{path}").lstrip("/")


def _files(volume: JSON, container_name: str, values: Values) -> Files:
    """Content of a volume that Kubernetes writes."""
    for kind, source in volume.items():
        if kind == "projected":
            mode = source.get("defaultMode", 0o644)
            return {
                path: file
                for part in source.get("sources") or ()
                for part_kind, inner in part.items()
                for path, file in _projection(
                    part_kind, inner, mode, container_name, values
                )
            }
        if kind in ("configMap", "secret", "downwardAPI"):
            mode = source.get("defaultMode", 0o644)
            return dict(_projection(kind, source, mode, container_name, values))
    return {}


def _projection(
    kind: str, source: JSON, mode: int, container_name: str, values: Values
) -> Iterator[tuple[str, tuple[bytes, int]]]:
    if kind == "downwardAPI":
        for item in source.get("items") or ():
            text = (
                values.field(item["fieldRef"])
                if "fieldRef" in item
                else values.resource(item["resourceFieldRef"], container_name)
            )
            yield item["path"], (text.encode(), item.get("mode", mode))
    elif kind in ("configMap", "secret"):
        yield from _content(kind, source, mode, values)


def _content(
    kind: str, source: JSON, mode: int, values: Values
) -> Iterator[tuple[str, tuple[bytes, int]]]:
    name = source.get("secretName") or source["name"]
    optional = bool(source.get("optional"))
    look_up = values.secret if kind == "secret" else values.config_map
    content = look_up(name, optional=optional) or {}
    items = source.get("items")
    if items is None:
        yield from ((key, (data, mode)) for key, data in content.items())
        return
    for item in items:
        if item["key"] in content:
            yield item["path"], (content[item["key"]], item.get("mode", mode))
        elif not optional:
            key = item["key"]
            raise ContainerConfigError(f"references non-existent {kind} key: {key}")
