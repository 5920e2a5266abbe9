"""Rules for the names, labels and amounts that Kubernetes accepts.

Each rule accepts a text and returns it, or raises `ValueError` with what was
expected.

References
----------
`Object names and labels
<https://kubernetes.io/docs/concepts/overview/working-with-objects/names/>`__,
and the validation in ``k8s.io/apimachinery/pkg/util/validation``.
"""

from __future__ import annotations

import re
from decimal import Decimal

from nublado.config.values import quoted
from nublado.constants import (
    KUBERNETES_NAME_PATTERN,
    RESERVED_ENV,
    RESERVED_ENV_PREFIX,
    STANDARD_CONTAINER_PREFIX,
)
from nublado.units import parse_quantity

__all__ = [
    "RESERVED_VOLUME_NAMES",
    "config_map_key",
    "dns_label",
    "dns_subdomain",
    "environment_name",
    "init_container_name",
    "label_value",
    "namespace_prefix",
    "qualified_name",
    "quantity",
    "secret_key",
    "storage_class",
    "volume_name",
]

RESERVED_VOLUME_NAMES = frozenset(
    {
        "discovery-v1-json",
        "env",
        "group",
        "lab-startup",
        "passwd",
        "runtime",
        "secrets",
        "tmp",
    }
)
"""Names of the volumes that labs have of their own."""

_MAX_LABEL = 63
_MAX_SUBDOMAIN = 253
_MAX_USERNAME = 32
_MAX_PREFIX = _MAX_LABEL - 1 - _MAX_USERNAME

_QUALIFIED = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?", re.ASCII)
_CONFIG_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}", re.ASCII)
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


def dns_label(text: str) -> str:
    """Name of a namespace, volume or container (RFC 1123 label)."""
    if len(text) > _MAX_LABEL or not KUBERNETES_NAME_PATTERN.fullmatch(text):
        raise ValueError(
            f"must be at most {_MAX_LABEL} lower-case letters, digits and hyphens,"
            f" with a letter or digit at each end, not {quoted(text)}"
        )
    return text


def dns_subdomain(text: str) -> str:
    """Name of a secret, and of most other objects (RFC 1123 subdomain)."""
    labels = text.split(".")
    if len(text) > _MAX_SUBDOMAIN or not all(
        KUBERNETES_NAME_PATTERN.fullmatch(label) for label in labels
    ):
        raise ValueError(
            f"must be at most {_MAX_SUBDOMAIN} lower-case letters, digits, hyphens"
            " and dots, with a letter or digit at each end and beside each dot,"
            f" not {quoted(text)}"
        )
    return text


def namespace_prefix(text: str) -> str:
    """Prefix of namespaces that leaves room for a hyphen and a username."""
    dns_label(text)
    if len(text) > _MAX_PREFIX:
        raise ValueError(
            f"must be at most {_MAX_PREFIX} characters, not {len(text)}, so that"
            f" PREFIX-USERNAME fits into the {_MAX_LABEL} characters of a namespace"
        )
    return text


def volume_name(text: str) -> str:
    """Name of a volume that does not collide with those every lab has."""
    dns_label(text)
    if text in RESERVED_VOLUME_NAMES:
        raise ValueError(f"must not be {quoted(text)}, which every lab has already")
    return text


def init_container_name(text: str) -> str:
    """Name of an init container, unlike that of the lab's container."""
    dns_label(text)
    if text == "notebook":
        raise ValueError('must not be "notebook", the name of the lab\'s container')
    if text.startswith(STANDARD_CONTAINER_PREFIX):
        raise ValueError(
            f"must not begin with {quoted(STANDARD_CONTAINER_PREFIX)}, as the names of"
            " standard init containers do"
        )
    return text


def storage_class(text: str) -> str:
    """Name of a storage class; the empty one means static volumes."""
    return dns_subdomain(text) if text else text


def qualified_name(text: str) -> str:
    """Key of a label, an annotation or a taint, with or without a domain."""
    domain, slash, name = text.rpartition("/")
    try:
        if slash:
            dns_subdomain(domain.lower())
        valid = _QUALIFIED.fullmatch(name) is not None
    except ValueError:
        valid = False
    if not valid:
        raise ValueError(
            "must be a name of at most 63 letters, digits, '-', '_' and '.', after"
            f" a domain and a slash if wanted, not {quoted(text)}"
        )
    return text


def label_value(text: str) -> str:
    """Value of a label; may be empty."""
    if text and not _QUALIFIED.fullmatch(text):
        raise ValueError(
            "must be at most 63 letters, digits, '-', '_' and '.', with a letter or"
            f" digit at each end, not {quoted(text)}"
        )
    return text


def config_map_key(text: str) -> str:
    """Key of a config map or a secret."""
    if not _CONFIG_KEY.fullmatch(text) or text == "." or text.startswith(".."):
        raise ValueError(
            f"must be at most {_MAX_SUBDOMAIN} letters, digits, '-', '_' and '.',"
            f" not {quoted(text)}"
        )
    return text


def secret_key(text: str) -> str:
    """Key of a secret, unlike that of the user's token."""
    config_map_key(text)
    if text == "token":
        raise ValueError('must not be "token", the key of the user\'s own token')
    return text


def environment_name(text: str) -> str:
    """Name of an environment variable that the configuration may set."""
    if not _IDENTIFIER.fullmatch(text):
        raise ValueError(
            "must be an environment variable name: letters, digits and '_', with"
            f" no digit in front, not {quoted(text)}"
        )
    if text in RESERVED_ENV or text.startswith(RESERVED_ENV_PREFIX):
        raise ValueError(f"{text} is reserved: the controller or JupyterHub sets it")
    return text


def quantity(text: str) -> str:
    """Amount of storage above zero, spelled as Kubernetes accepts it."""
    try:
        amount = parse_quantity(text)
    except ValueError:
        amount = Decimal(0)
    if not amount:
        raise ValueError(
            f"must be a Kubernetes quantity above zero such as 10Gi, not {quoted(text)}"
        )
    return text
