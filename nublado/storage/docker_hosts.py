"""Hosts of Docker registries: their URLs, and which token services to trust."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from nublado.models.domain.urls import is_loopback, origin_of

__all__ = ["is_trusted_realm", "plain_endpoint", "registry_endpoint", "secured"]

_DOCKER_HUB = "docker.io"
_DOCKER_HUB_API = "registry-1.docker.io"

_SECOND_LEVEL = frozenset(
    {
        *("ac", "ad", "co", "com", "ed", "edu", "go", "gob", "gouv", "gov", "govt"),
        *("id", "ltd", "me", "mil", "ne", "net", "nhs", "nom", "or", "org", "plc"),
        *("res", "sch"),
    }
)
"""Names below a country under which anyone may register, as in ``co.uk``."""

_SHARED = frozenset(
    {
        *("amazonaws.com", "appspot.com", "azurecr.io", "azurewebsites.net"),
        *("cloudfront.net", "github.io", "gitlab.io", "herokuapp.com", "pkg.dev"),
        *("run.app", "web.app"),
    }
)
"""Domains below which hosts belong to different customers."""


def secured(url: str, endpoint: str) -> str:
    """Reach a URL of a registry by https if the registry itself is.

    Behind a proxy that ends TLS, registries believe that they are reached by
    http, and say so in redirects and realms. URLs of other hosts stay as they
    are.

    Parameters
    ----------
    url
        URL that the registry gave.
    endpoint
        URL of the registry.

    Raises
    ------
    ValueError
        Raised if it is not an HTTP URL, or one that may be misread.
    """
    scheme, host, _ = origin_of(url)
    own_scheme, own_host, _ = origin_of(endpoint)
    if (scheme, own_scheme) != ("http", "https") or host != own_host:
        return url
    return (
        urlsplit(url)
        ._replace(scheme="https", netloc=urlsplit(endpoint).netloc)
        .geturl()
    )


def registry_endpoint(registry: str, mirrors: Mapping[str, str]) -> str:
    """Find the base URL of a registry's API.

    Parameters
    ----------
    registry
        Host of the registry, as references name it.
    mirrors
        URLs to use instead, by the host of a registry.
    """
    if registry in mirrors:
        return mirrors[registry].rstrip("/")
    if registry == _DOCKER_HUB:
        return f"https://{_DOCKER_HUB_API}"
    return f"https://{registry}"


def plain_endpoint(endpoint: str) -> str | None:
    """Where to look for a registry that does not speak TLS; None for nowhere.

    Only on this very machine may it do without, as for Docker.

    Parameters
    ----------
    endpoint
        URL of the registry with https.

    References
    ----------
    https://docs.docker.com/reference/cli/dockerd/#insecure-registries
    """
    parts = urlsplit(endpoint)
    if parts.scheme != "https" or not is_loopback(parts.hostname or ""):
        return None
    return parts._replace(scheme="http").geturl()


def is_trusted_realm(realm: str, endpoint: str) -> bool:
    """Whether a registry's credentials may be sent to its token service.

    That is so for https on the registry's own host, or one in the same
    registrable domain. Loopback registries may send clients to loopback hosts.

    Parameters
    ----------
    realm
        URL of the service that grants tokens.
    endpoint
        URL of the registry.
    """
    try:
        scheme, host, _ = origin_of(realm)
        _, own, _ = origin_of(endpoint)
    except ValueError:
        return False
    if is_loopback(own) and is_loopback(host):
        return True
    if scheme != "https":
        return False
    domain = _registrable_domain(host)
    return host == own or (domain is not None and domain == _registrable_domain(own))


def _registrable_domain(host: str) -> str | None:
    """Find the part of a host name that its owner has registered.

    There are thousands of suffixes under which anyone may register. The most
    common ones are known here; a wrong guess towards a longer domain only
    means that a registry has to grant tokens itself.
    """
    labels = host.rstrip(".").split(".")
    if len(labels) < 2 or labels[-1].isdigit() or ":" in host:
        return None
    if any(host.endswith(f".{shared}") for shared in _SHARED):
        return host
    wanted = 3 if len(labels[-1]) == 2 and labels[-2] in _SECOND_LEVEL else 2
    return ".".join(labels[-wanted:]) if len(labels) >= wanted else None
