from __future__ import annotations

from pathlib import Path

import pytest

from nublado.exceptions import ConfigurationError
from nublado.storage.metadata import PodMetadata


def write(directory: Path, **files: str) -> None:
    for name, content in files.items():
        (directory / name).write_text(content)


def test_metadata_is_read(tmp_path: Path) -> None:
    write(tmp_path, name="nublado-5d7\n", namespace="nublado\n", uid="d86-11")
    assert PodMetadata.read(tmp_path) == PodMetadata("nublado-5d7", "nublado", "d86-11")


def test_owner_reference_names_the_pod() -> None:
    assert PodMetadata("nublado-5d7", "nublado", "d86-11").owner_reference() == {
        "apiVersion": "v1",
        "kind": "Pod",
        "name": "nublado-5d7",
        "uid": "d86-11",
    }


def test_everything_missing_is_reported_with_its_remedy(tmp_path: Path) -> None:
    write(tmp_path, namespace="nublado", uid=" \n")
    with pytest.raises(ConfigurationError) as caught:
        PodMetadata.read(tmp_path)
    assert str(caught.value).splitlines() == [
        f"{tmp_path}:1: name: No such file or directory; mount metadata.name of the"
        " pod there by the downward API, or set metadataPath to where it is",
        f"{tmp_path}:1: uid: File is empty; mount metadata.uid of the pod there by the"
        " downward API, or set metadataPath to where it is",
    ]


@pytest.mark.parametrize("namespace", ["Nublado", "a/b", "../secrets"])
def test_namespace_must_be_a_name(tmp_path: Path, namespace: str) -> None:
    write(tmp_path, name="nublado-5d7", namespace=namespace, uid="d86-11")
    with pytest.raises(ConfigurationError, match="is not the name of a namespace"):
        PodMetadata.read(tmp_path)


def test_binary_files_are_reported(tmp_path: Path) -> None:
    write(tmp_path, name="nublado-5d7", namespace="nublado")
    (tmp_path / "uid").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match=r"uid: .*decode"):
        PodMetadata.read(tmp_path)
