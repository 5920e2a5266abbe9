"""Client of the Docker registry API (version 2).

References
----------
https://distribution.github.io/distribution/spec/api/
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar
from urllib.parse import quote, urlsplit

import structlog

from nublado.config.model import DockerSourceConfig
from nublado.exceptions import DockerRegistryError
from nublado.models.domain.docker import DIGEST_PATTERN
from nublado.models.domain.docker_credentials import DockerCredentials
from nublado.storage.docker_auth import RegistryAuth
from nublado.storage.docker_credentials import DockerCredentialStore
from nublado.storage.docker_hosts import plain_endpoint, registry_endpoint
from nublado.storage.http import (
    HTTPClient,
    HTTPRequest,
    HTTPRequestError,
    HTTPResponse,
)
from nublado.storage.http_headers import next_link, parse_retry_after
from nublado.timeout import Timeout

__all__ = ["DockerRegistryClient"]

_DOCKER_HUB = "docker.io"
_MAX_IN_FLIGHT = 32
_PARALLEL = 16
_REQUEST_SECONDS = 20.0
_ATTEMPTS = 5
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 30.0
_MAX_PAGES = 1000
_MANIFEST_TYPES = (
    "application/vnd.docker.distribution.manifest.list.v2+json,"
    " application/vnd.docker.distribution.manifest.v2+json,"
    " application/vnd.oci.image.index.v1+json,"
    " application/vnd.oci.image.manifest.v1+json"
)

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class _Access:
    """Where a registry is, and how to authenticate there."""

    endpoint: str
    auth: RegistryAuth

    def url(self, target: str) -> str:
        """URL of a path, with its query, on the host of the registry."""
        return urlsplit(self.endpoint)._replace(path="").geturl() + target


class DockerRegistryClient:
    """Reads the tags of one repository of a registry, and their digests.

    Shared by all threads. Credentials go to the registry, or to the mirror
    that replaces it, and nowhere else.

    Parameters
    ----------
    config
        Which repository.
    mirrors
        URLs to use in place of registries, by the registry's host.
    """

    def __init__(
        self, config: DockerSourceConfig, mirrors: Mapping[str, str] | None = None
    ) -> None:
        self._place = f"{config.registry}/{config.repository}"
        repository = config.repository
        if config.registry == _DOCKER_HUB and "/" not in repository:
            repository = f"library/{repository}"
        self._repository = repository
        self._store = DockerCredentialStore(config.credentials_path)
        self._http = HTTPClient(_MAX_IN_FLIGHT)
        endpoint = registry_endpoint(config.registry, mirrors or {})
        self._path = f"{urlsplit(endpoint).path}/v2/{quote(repository)}"
        self._access = self._access_at(endpoint)
        is_mirrored = config.registry in (mirrors or {})
        self._plain = None if is_mirrored else plain_endpoint(endpoint)
        self._log = structlog.get_logger(__name__).bind(repository=self._place)

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def tags(self, timeout: Timeout) -> list[str]:
        """List all tags.

        Raises
        ------
        DockerRegistryError
            Raised if they cannot be listed.
        """
        tags: list[str] = []
        seen: set[str] = set()
        target: str | None = f"{self._path}/tags/list"
        while target is not None:
            if target in seen or len(seen) == _MAX_PAGES:
                raise self._error("list tags", "the pages have no end")
            seen.add(target)
            request = HTTPRequest("GET", target)
            page, link = self._exchange(request, timeout, self._page)
            tags += page
            url = next_link(link, self._access.url(target))
            target = self._target(url) if url else None
        return tags

    def digest(self, reference: str, timeout: Timeout) -> str | None:
        """Look up the digest of a tag, or whether there is a digest.

        Parameters
        ----------
        reference
            A tag or a digest.
        timeout
            How long it may take, with all attempts.

        Returns
        -------
        str or None
            The digest; None if there is no such image.

        Raises
        ------
        DockerRegistryError
            Raised if it cannot be looked up.
        """
        action = f"get digest of {reference}"
        target = f"{self._path}/manifests/{quote(reference, safe=':')}"
        request = HTTPRequest("HEAD", target, {"Accept": _MANIFEST_TYPES})

        def read(response: HTTPResponse) -> str | None:
            if response.status == 404:
                return None
            if response.status != 200:
                raise self._error(action, f"status {response.status}")
            digest = response.headers.get("Docker-Content-Digest", "")
            if not DIGEST_PATTERN.fullmatch(digest):
                raise self._error(action, "the response has none")
            return digest

        return self._exchange(request, timeout, read)

    def digests(self, tags: Collection[str], timeout: Timeout) -> dict[str, str | None]:
        """Look up the digests of tags, 16 at a time.

        Returns
        -------
        dict
            Digest of each tag, None for one that is gone. A tag for which the
            registry failed is left out, and logged.

        Raises
        ------
        DockerRegistryError
            Raised if the registry failed for all of them.
        """
        found: dict[str, str | None] = {}
        failures: list[DockerRegistryError] = []

        def look_up(tag: str) -> None:
            try:
                found[tag] = self.digest(tag, timeout)
            except DockerRegistryError as e:
                self._log.warning("Cannot get digest", tag=tag, error=str(e))
                failures.append(e)

        with ThreadPoolExecutor(_PARALLEL, "digests") as pool:
            list(pool.map(look_up, tags))
        if failures and not found:
            raise failures[0]
        return found

    def _credentials(self) -> DockerCredentials | None:
        return self._store.get(urlsplit(self._access.endpoint).netloc)

    def _access_at(self, endpoint: str) -> _Access:
        auth = RegistryAuth(endpoint, self._repository, self._credentials)
        return _Access(endpoint, auth)

    # --- Pages -----------------------------------------------------------

    def _page(self, response: HTTPResponse) -> tuple[list[str], str]:
        """Tags on a page, and its ``Link`` header."""
        if response.status != 200:
            raise self._error("list tags", f"status {response.status}")
        try:
            # A repository without any may say null.
            tags = [str(tag) for tag in json.loads(response.read())["tags"] or ()]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise self._error("list tags", "cannot parse response") from None
        return tags, response.headers.get("Link", "")

    def _target(self, url: str) -> str:
        """Path and query of the URL of a page, which must be on the same host.

        Behind a proxy that ends TLS some registries believe that they are
        reached by http, so the rest does not count.
        """
        following, own = urlsplit(url), urlsplit(self._access.endpoint)
        if following.hostname != own.hostname:
            raise self._error("list tags", "next page is on another host")
        return f"{following.path}?{following.query}"

    # --- Requests --------------------------------------------------------

    def _exchange(
        self,
        request: HTTPRequest,
        timeout: Timeout,
        read: Callable[[HTTPResponse], _T],
    ) -> _T:
        """Make a request and read its response, again where that may help.

        The request has a path, with its query, in place of a URL.
        """
        pause = _FIRST_PAUSE
        action = f"{request.method} {urlsplit(request.url).path}"
        for attempt in range(1, _ATTEMPTS + 1):
            minimum = 0.0
            access = self._access
            try:
                with self._converse(access, request, timeout) as response:
                    if response.status != 429 and response.status < 500:
                        self._plain = None
                        return read(response)
                    problem = f"status {response.status}"
                    minimum = parse_retry_after(response.headers.get("Retry-After", ""))
            except HTTPRequestError as e:
                problem = str(e)
                if not e.speaks_tls and self._do_without_tls(access):
                    continue
                if not e.retryable:
                    raise self._error(action, problem) from None
            delay = minimum + random.uniform(pause / 2, pause)  # noqa: S311
            if attempt == _ATTEMPTS or delay >= timeout.left():
                break
            self._log.info("Retrying registry request", error=problem, seconds=delay)
            timeout.sleep(delay)
            pause = min(pause * 2, _LONGEST_PAUSE)
        raise self._error(action, problem)

    def _do_without_tls(self, failed: _Access) -> bool:
        """Use plain http from now on, if that may be; True if so."""
        plain = self._plain
        if failed is self._access and plain is not None:
            self._access = self._access_at(plain)
        return failed is not self._access

    def _converse(
        self, access: _Access, request: HTTPRequest, timeout: Timeout
    ) -> HTTPResponse:
        """Send the requests that authentication yields, until it returns a response."""
        flow = access.auth.flow(replace(request, url=access.url(request.url)))
        response = self._send(next(flow), timeout)
        try:
            while True:
                request = flow.send(response)
                response.close()
                response = self._send(request, timeout)
        except StopIteration:
            return response
        except BaseException:
            response.close()
            raise

    def _send(self, request: HTTPRequest, timeout: Timeout) -> HTTPResponse:
        return self._http.send(request, seconds=timeout.at_most(_REQUEST_SECONDS))

    def _error(self, action: str, problem: str) -> DockerRegistryError:
        return DockerRegistryError(f"Cannot {action} in {self._place}: {problem}")
