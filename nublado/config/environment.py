"""The environment of the process: what comes from there, not from the file.

Nothing else of the controller reads environment variables.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nublado.config import image_names
from nublado.config.model import ContainerImage, PullPolicy
from nublado.config.platform import Platform
from nublado.config.values import quoted
from nublado.constants import CONFIG_PATH
from nublado.exceptions import InvalidEnvironmentError
from nublado.models.domain.urls import PLAIN_URL, is_loopback, origin_of

__all__ = ["DEFAULT_CONTROLLER_TAG", "Environment", "Network"]

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

DEFAULT_CONTROLLER_TAG = "11.0.0"
"""Version of the lab's helpers where none is named."""

_CONTROLLER_REPOSITORY = "ghcr.io/lsst-sqre/nublado"

_MIN_THREADS = 16
_MAX_THREADS = 1024
_MAX_SECONDS = 10**9
_KUBECONFIG = "~/.kube/config"
_PRIVATE_NETWORKS = (
    "127.0.0.0/8,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,100.64.0.0/10,::1/128,fc00::/7"
)
_REGISTRY = re.compile(r"[A-Za-z0-9.-]+(?::[0-9]{1,5})?", re.ASCII)


def _networks(text: str) -> tuple[Network, ...]:
    networks = []
    for network in filter(None, (part.strip() for part in text.split(","))):
        try:
            networks.append(ipaddress.ip_network(network))
        except ValueError as e:
            raise ValueError(
                "must be networks such as 10.0.0.0/8, separated by commas,"
                f" not {quoted(network)}"
            ) from e
    return tuple(networks)


@dataclass(frozen=True, slots=True)
class Environment:
    """Settings of the process.

    Parameters
    ----------
    config_path
        The configuration file.
    bind
        Address and port on which to listen.
    external_url
        Base URL of the platform.
    kubeconfig
        How to reach Kubernetes; None inside a cluster.
    metadata_path
        Directory with the metadata of the controller's pod, in place of the
        configured one.
    slack_webhook
        Where alerts go; a secret.
    registry_mirrors
        URLs to use in place of registries, by the registry's host.
    trusted_proxies
        Networks whose ``X-Forwarded-*`` headers are trusted.
    threads
        How many requests are served concurrently; event streams need none.
    refresh_interval
        How often to list images (seconds), in place of what is configured.
    controller_repository, controller_tag, controller_pull_policy
        The image with what runs beside labs; see `controller_image`.
    repertoire_url
        Base URL of Repertoire, the platform's service discovery.
    without_effect
        Names of variables that are set for what the controller does not do.
    """

    config_path: Path = CONFIG_PATH
    bind: str = "0.0.0.0:8080"
    external_url: str = "http://127.0.0.1:8080"
    kubeconfig: str | None = _KUBECONFIG
    metadata_path: Path | None = None
    slack_webhook: str | None = field(default=None, repr=False)
    registry_mirrors: Mapping[str, str] = field(default_factory=dict)
    trusted_proxies: tuple[Network, ...] = _networks(_PRIVATE_NETWORKS)
    threads: int = 64
    refresh_interval: float | None = None
    controller_repository: str | None = None
    controller_tag: str | None = None
    controller_pull_policy: PullPolicy = PullPolicy.IF_NOT_PRESENT
    repertoire_url: str | None = None
    without_effect: tuple[str, ...] = ()

    @property
    def controller_image(self) -> ContainerImage:
        """Image of standard init containers, file servers and ``fsadmin``."""
        return ContainerImage(
            self.controller_repository or _CONTROLLER_REPOSITORY,
            self.controller_tag or DEFAULT_CONTROLLER_TAG,
            self.controller_pull_policy,
        )

    @property
    def platform(self) -> Platform:
        """What labs and file servers are told."""
        return Platform(self.external_url, self.controller_image, self.repertoire_url)

    @classmethod
    def read(cls, environ: Mapping[str, str] = os.environ) -> Environment:
        """Read the environment; an empty variable counts as unset.

        Raises
        ------
        InvalidEnvironmentError
            Raised with every variable whose value cannot be used.
        """
        values: dict[str, object] = {}
        problems = []
        for attribute, (variable, parse) in _VARIABLES.items():
            text = environ.get(variable, "").strip()
            if not text:
                continue
            try:
                values[attribute] = parse(text)
            except ValueError as e:
                problems.append(f"{variable}: {e}")
        if problems:
            raise InvalidEnvironmentError(problems)
        values["without_effect"] = tuple(
            sorted(name for name in environ if _has_no_effect(name) and environ[name])
        )
        if environ.get("KUBERNETES_SERVICE_HOST"):
            values["kubeconfig"] = None
        return cls(**values)  # type: ignore[arg-type]


def _has_no_effect(name: str) -> bool:
    return name in ("SENTRY_DSN", "SENTRY_ENVIRONMENT") or name.startswith("METRICS_")


def _whole_number(minimum: int, maximum: int, unit: str) -> Callable[[str], int]:
    def parse(text: str) -> int:
        is_number = re.fullmatch(r"[0-9]{1,9}", text, re.ASCII)
        if not is_number or not minimum <= int(text) <= maximum:
            raise ValueError(
                f"must be a whole number of {unit} from {minimum} to {maximum},"
                f" not {quoted(text)}"
            )
        return int(text)

    return parse


def _base_url(text: str) -> str:
    # Never quotes the text: a URL that is refused may hold a password.
    if not PLAIN_URL.fullmatch(text):
        raise ValueError(
            "must be a URL such as https://data.example.org,"
            " with neither user nor password"
        )
    return text.rstrip("/")


def _mirrors(text: str) -> dict[str, str]:
    """Parse ``HOST=URL,…``, such as ``docker.io=https://mirror.example.org``."""
    mirrors: dict[str, str] = {}
    for number, entry in enumerate(text.split(","), 1):
        if not entry.strip():
            continue
        host, _, url = (part.strip() for part in entry.partition("="))
        try:
            mirrors[host] = _mirror(host, url)
        except ValueError as e:
            # Never quotes the entry: a URL that is refused may hold a password.
            raise ValueError(f"entry {number} {e}") from None
    return mirrors


def _pull_policy(text: str) -> PullPolicy:
    for policy in PullPolicy:
        if policy.lower() == text.lower():
            return policy
    raise ValueError(f"must be one of {', '.join(PullPolicy)}, not {quoted(text)}")


def _mirror(host: str, url: str) -> str:
    if not _REGISTRY.fullmatch(host) or not PLAIN_URL.fullmatch(url):
        raise ValueError("must be HOST=URL, with neither user nor password")
    scheme, mirror, _ = origin_of(url)
    if scheme == "http" and not is_loopback(mirror):
        raise ValueError("must use https; only loopback hosts may use http")
    return url.rstrip("/")


_VARIABLES: dict[str, tuple[str, Callable[[str], object]]] = {
    "config_path": ("NUBLADO_CONFIG", Path),
    "bind": ("NUBLADO_BIND", str),
    "external_url": ("EXTERNAL_INSTANCE_URL", _base_url),
    "kubeconfig": ("KUBECONFIG", str),
    "metadata_path": ("NUBLADO_METADATA_PATH", Path),
    "slack_webhook": ("NUBLADO_SLACK_WEBHOOK", _base_url),
    "registry_mirrors": ("NUBLADO_REGISTRY_MIRRORS", _mirrors),
    "trusted_proxies": ("NUBLADO_TRUSTED_PROXIES", _networks),
    "threads": (
        "NUBLADO_THREADS",
        _whole_number(_MIN_THREADS, _MAX_THREADS, "threads"),
    ),
    "refresh_interval": (
        "NUBLADO_REFRESH_INTERVAL",
        _whole_number(1, _MAX_SECONDS, "seconds"),
    ),
    "controller_repository": (
        "NUBLADO_CONTROLLER_REPOSITORY",
        image_names.repository,
    ),
    "controller_tag": ("NUBLADO_CONTROLLER_TAG", image_names.pinned_tag),
    "repertoire_url": ("REPERTOIRE_BASE_URL", _base_url),
    "controller_pull_policy": ("NUBLADO_CONTROLLER_PULL_POLICY", _pull_policy),
}
