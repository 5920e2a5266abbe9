"""Tables, in which ``kubectl get`` shows objects.

References
----------
https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables
"""

from __future__ import annotations

from collections.abc import Sequence

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.kubernetes.columns import columns_of
from nublado.sandbox.kubernetes.resources import Kind

__all__ = ["make_table"]

_META = "meta.k8s.io/v1"


def make_table(
    kind: Kind, objects: Sequence[JSON], metadata: JSON, *, include: str = "Metadata"
) -> JSON:
    """Make the table of some objects.

    Parameters
    ----------
    kind
        Their kind.
    objects
        The objects.
    metadata
        Metadata of their list.
    include
        What of the objects comes with the rows: ``None``, ``Metadata`` or
        ``Object``.
    """
    columns = columns_of(kind)
    definitions = [
        {
            "name": column.name,
            "type": "integer" if column.number else "string",
            "format": "name" if column.name == "Name" else "",
            "description": column.name,
            "priority": 1 if column.wide else 0,
        }
        for column in columns
    ]
    rows: list[JSON] = []
    for obj in objects:
        row: JSON = {"cells": [column.cell(obj) for column in columns]}
        if include == "Object":
            row["object"] = obj
        elif include != "None":
            row["object"] = {
                "kind": "PartialObjectMetadata",
                "apiVersion": _META,
                "metadata": obj["metadata"],
            }
        rows.append(row)
    return {
        "kind": "Table",
        "apiVersion": _META,
        "metadata": metadata,
        "columnDefinitions": definitions,
        "rows": rows,
    }
