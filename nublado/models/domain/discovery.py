"""What a platform says of its services, and how much of it labs are told.

References
----------
`Repertoire <https://repertoire.lsst.io/>`__, and what it says of the `file in labs
<https://repertoire.lsst.io/user-guide/nublado.html>`__.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from nublado.models.domain.kubernetes import JSON
from nublado.models.domain.urls import PLAIN_URL

__all__ = ["Discovery"]

_MAX_DOCUMENT = 512 * 1024
"""Bytes of a document, which shares a config map of 1 MiB with other files."""

_DATABASE = ("url", "database", "schema_registry", "credentials_url")
_GAFAELFAWR = ("services", "internal", "gafaelfawr")


@dataclass(frozen=True, slots=True)
class Discovery:
    """What is needed of the answer of the service discovery.

    Parameters
    ----------
    gafaelfawr_api
        Base URL of Gafaelfawr's API; None if the answer does not have it.
    lab_document
        JSON for labs. It has what notebooks need, in a form that lasts.
    """

    gafaelfawr_api: str | None
    lab_document: str

    @classmethod
    def parse(cls, answer: JSON) -> Self:
        """Take what is needed from an answer.

        Raises
        ------
        ValueError
            Raised if it is more than a config map can hold.
        """
        document = json.dumps(_lab_document(answer), sort_keys=True, indent=2)
        if len(document) > _MAX_DOCUMENT:
            raise ValueError(f"has more than {_MAX_DOCUMENT} bytes for labs")
        return cls(_gafaelfawr_api(answer), document)


def _gafaelfawr_api(answer: JSON) -> str | None:
    """Find the URL that the user's token is sent to; an unsafe one is none."""
    service: object = answer
    for key in _GAFAELFAWR:
        service = _mapping(service).get(key)
    known = _service(service)
    api = known.get("versions", {}).get("v1", {}).get("url")
    base = known.get("url")
    url = api or (f"{base.rstrip('/')}/api/v1" if base else None)
    return url.rstrip("/") if url and PLAIN_URL.fullmatch(url) else None


def _lab_document(answer: JSON) -> JSON:
    databases = _mapping(answer.get("influxdb_databases"))
    internal = _mapping(_mapping(answer.get("services")).get("internal"))
    return {
        "datasets": {
            name: _dataset(dataset)
            for name, dataset in _mapping(answer.get("datasets")).items()
        },
        "influxdb_databases": {
            name: {key: of_one[key] for key in _DATABASE if key in of_one}
            for name, database in databases.items()
            if (of_one := _mapping(database))
        },
        "services": {
            "internal": {name: _service(service) for name, service in internal.items()}
        },
    }


def _dataset(dataset: object) -> JSON:
    known = _mapping(dataset)
    shown: JSON = {}
    if isinstance(known.get("butler_config"), str):
        shown["butler_config"] = known["butler_config"]
    services = _mapping(known.get("services"))
    if services:
        shown["services"] = {name: _service(s) for name, s in services.items()}
    return shown


def _service(service: object) -> JSON:
    """URL of a service, and of each version of its API."""
    known = _mapping(service)
    shown = _only_url(known)
    versions = {
        name: _only_url(_mapping(version))
        for name, version in _mapping(known.get("versions")).items()
    }
    return shown | ({"versions": versions} if versions else {})


def _only_url(known: Mapping[str, object]) -> JSON:
    url = known.get("url")
    return {"url": url} if isinstance(url, str) else {}


def _mapping(value: object) -> JSON:
    return value if isinstance(value, dict) else {}
