"""The reference has just the keys that the schemas have."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nublado.config.containers import (
    ContainerImageSchema,
    HostPathSourceSchema,
    InitContainerSchema,
    NFSSourceSchema,
    PVCSourceSchema,
    VolumeMountSchema,
    VolumeSchema,
)
from nublado.config.fileserver import FileserverSchema
from nublado.config.fsadmin import FsadminSchema
from nublado.config.image_filters import ImageFilterSchema, ImageFiltersSchema
from nublado.config.images import (
    DockerSourceSchema,
    GoogleSourceSchema,
    ImagesSchema,
)
from nublado.config.lab import LabSchema, LabSecretSchema, LabSizeSchema, NSSSchema
from nublado.config.resources import ContainerResourcesSchema
from nublado.config.root import RootSchema
from nublado.config.schema import ConfigSchema
from nublado.config.tolerations import TolerationSchema
from nublado.config.values import camel_case

_REFERENCE = Path(__file__).parents[2] / "docs" / "configuration.md"
_SECTIONS = dict(
    re.findall(
        r"^##+ (.+?)\n(.*?)(?=^##|\Z)", _REFERENCE.read_text(), re.MULTILINE | re.DOTALL
    )
)


def keys(schema: type[ConfigSchema], below: str = "") -> set[str]:
    return {f"{below}{camel_case(name)}" for name in schema().fields}


def below(schema: type[ConfigSchema], key: str, inner: type[ConfigSchema]) -> set[str]:
    """Keys of a schema, with those of a section spelled as paths."""
    return keys(schema) - {key} | keys(inner, f"{key}.")


def sources(**schemas: type[ConfigSchema]) -> set[str]:
    return {f"{kind} {key}" for kind, schema in schemas.items() for key in keys(schema)}


EXPECTED = {
    "Top level": keys(RootSchema),
    "`lab`": below(LabSchema, "nss", NSSSchema),
    "`lab.sizes`": below(LabSizeSchema, "resources", ContainerResourcesSchema),
    "`lab.secrets`": keys(LabSecretSchema),
    "`lab.volumes`": (
        keys(VolumeSchema) - {"source"}
        | {"source.type"}
        | sources(
            hostPath=HostPathSourceSchema,
            nfs=NFSSourceSchema,
            persistentVolumeClaim=PVCSourceSchema,
        )
        - {"persistentVolumeClaim resources"}
        | {"persistentVolumeClaim resources.requests"}
    ),
    "`volumeMounts`": keys(VolumeMountSchema),
    "`lab.initContainers`": keys(InitContainerSchema),
    "Container images": keys(ContainerImageSchema),
    "Tolerations": keys(TolerationSchema),
    "`images`": keys(ImagesSchema)
    | sources(docker=DockerSourceSchema, google=GoogleSourceSchema),
    "`fileserver`": below(FileserverSchema, "resources", ContainerResourcesSchema),
    "`fsadmin`": below(FsadminSchema, "resources", ContainerResourcesSchema),
    "`dropdownMenu`": keys(ImageFilterSchema),
}


@pytest.mark.parametrize("section", EXPECTED)
def test_reference_has_the_keys_of_the_schema(section: str) -> None:
    assert documented(_SECTIONS[section]) == EXPECTED[section]


def test_reference_names_each_kind_of_image_that_can_be_filtered() -> None:
    text = _SECTIONS["`dropdownMenu`"]
    assert [kind for kind in keys(ImageFiltersSchema) if f"`{kind}`" not in text] == []


def documented(text: str) -> set[str]:
    """Keys in the first column of the tables, behind their type where there is one."""
    found: set[str] = set()
    is_typed, kind = False, ""
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if not line.startswith("|") or set(line) <= set("|- "):
            continue
        if "key" in cells[:2]:
            is_typed = cells[1] == "key"
        elif is_typed:
            kind = cells[0].strip("`") or kind
            found |= {f"{kind} {key}" for key in code(cells[1])}
        else:
            found |= code(cells[0])
    return found


def code(cell: str) -> set[str]:
    return set(re.findall(r"`([^`]+)`", cell))
