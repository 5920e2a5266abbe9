"""How registries in the field differ from the reference implementation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["MODES", "RegistryMode"]

Auth = Literal["anonymous", "basic", "bearer"]


@dataclass(frozen=True, slots=True)
class RegistryMode:
    """Behaviour of a registry.

    Parameters
    ----------
    auth
        How clients have to authenticate; None is as the registry is set.
    realm
        Path of the token service.
    refusal
        Status for credentials that are refused.
    stale
        Status for a token, or a password of Basic, that is not valid any more.
    challenges_stale
        Whether that has a challenge.
    page
        Most tags on a page; None is all of them.
    link
        How the next page is written: with its path, its whole URL, or a
        cursor that only the registry can read.
    head
        Status of ``HEAD`` for a manifest that exists.
    digest_in
        Requests whose response has the digest in a header.
    describes_manifests
        Whether a list of tags describes all manifests.
    """

    auth: Auth | None = None
    realm: str = "/token"
    refusal: int = 401
    stale: int = 401
    challenges_stale: bool = True
    page: int | None = 1000
    link: Literal["path", "url", "cursor"] = "path"
    head: int = 200
    digest_in: tuple[str, ...] = ("HEAD", "GET")
    describes_manifests: bool = False


MODES = {
    "plain": RegistryMode(),
    "ecr": RegistryMode(
        auth="basic",
        refusal=403,
        stale=403,
        challenges_stale=False,
        page=100,
        link="cursor",
        digest_in=("HEAD",),
    ),
    "ecr-public": RegistryMode(
        auth="bearer", refusal=403, stale=400, challenges_stale=False
    ),
    "gcr": RegistryMode(
        auth="bearer", realm="/v2/token", page=None, describes_manifests=True
    ),
    "ghcr": RegistryMode(auth="bearer", refusal=403, page=100),
    "harbor": RegistryMode(auth="bearer", realm="/service/token", page=100),
    "quay": RegistryMode(auth="bearer", realm="/v2/auth", page=50, link="cursor"),
    "docker-hub": RegistryMode(auth="bearer", page=100, link="url"),
    "mirror": RegistryMode(auth="anonymous", page=100, head=405, digest_in=()),
}
"""Registries by name.

``mirror`` pulls through: it offers no ``HEAD``, has no digests in headers, and
does not know of the path below which it is reached.

References
----------
https://docs.aws.amazon.com/AmazonECR/latest/userguide/common-errors-docker.html
https://github.com/aws/containers-roadmap/issues/2835
https://github.com/distribution/distribution/issues/3792
https://github.com/sylabs/singularity/issues/212
https://github.com/distribution/distribution/pull/2448
"""
