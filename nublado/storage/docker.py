"""Client of the Docker registry API (version 2).

References
----------
https://distribution.github.io/distribution/spec/api/
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar
from urllib.parse import quote, urlsplit

import structlog

from nublado.config.model import DockerSourceConfig
from nublado.exceptions import DockerRegistryError, OperationTimeoutError
from nublado.models.domain.docker import DIGEST_PATTERN
from nublado.models.domain.source_report import SourceReport
from nublado.storage.docker_auth import RegistryAuth
from nublado.storage.docker_credentials import DockerCredentialStore
from nublado.storage.docker_hosts import plain_endpoint, registry_endpoint
from nublado.storage.docker_tags import parse_tags
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
_LIST_SECONDS = 120.0
_NO_HEAD = (404, 405, 501)
_NO_DELETE = (405, 501)
_DELETED = (200, 202, 204)
_MAX_LIST_BYTES = 256 * 1024 * 1024
_MAX_MANIFEST_BYTES = 16 * 1024 * 1024
_ATTEMPTS = 5
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 30.0
_MAX_PAGES = 1000
_LIST = "/tags/list"
_MANIFEST_TYPES = (
    "application/vnd.docker.distribution.manifest.list.v2+json,"
    " application/vnd.docker.distribution.manifest.v2+json,"
    " application/vnd.oci.image.index.v1+json,"
    " application/vnd.oci.image.manifest.v1+json"
)

_T = TypeVar("_T")


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
        endpoint = registry_endpoint(config.registry, mirrors or {})
        is_mirrored = config.registry in (mirrors or {})
        self._plain = None if is_mirrored else plain_endpoint(endpoint)
        parts = urlsplit(endpoint)
        path = f"{parts.path}/{repository}".strip("/")
        self._store = DockerCredentialStore(config.credentials_path, parts.netloc, path)
        self._http = HTTPClient(_MAX_IN_FLIGHT)
        self._log = structlog.get_logger(__name__).bind(repository=self._place)
        self._use(endpoint)

    @property
    def report(self) -> SourceReport:
        """What happened since `tags` was called last."""
        self._report.credentials = self._auth.granted_to
        self._report.refused = dict(self._auth.refused)
        self._report.unusable = self._store.unusable
        return self._report

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
        self._look_for_tls(timeout)
        if self._store.has_changed():
            self._log.info("Registry credentials have changed")
            self._auth.forget()
        self._report = report = SourceReport(self._endpoint)
        tags: dict[str, None] = {}
        seen: set[str] = set()
        url: str | None = f"{self._base}{_LIST}"
        while url is not None:
            if url in seen or len(seen) == _MAX_PAGES:
                raise self._error("list tags", "the pages have no end")
            seen.add(url)
            request = HTTPRequest("GET", url)
            page, link = self._exchange(request, timeout, self._page, _LIST_SECONDS)
            tags.update(dict.fromkeys(page))
            report.pages, report.tags = len(seen), len(tags)
            url = self._next_page(link, url)
        return list(tags)

    def digest(self, reference: str, timeout: Timeout) -> str | None:
        """Look up the digest of a tag, or whether there is a digest.

        Registries need not offer ``HEAD``, nor tell the digest in a header.
        Then it is computed from the manifest.

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
        self._look_for_tls(timeout)
        action = f"get digest of {reference}"
        url = f"{self._base}/manifests/{quote(reference, safe=':')}"
        accept = {"Accept": _MANIFEST_TYPES}

        def read_headers(response: HTTPResponse) -> str | None:
            if response.status in _NO_HEAD:
                return None
            if response.status != 200:
                raise self._error(action, f"status {response.status}")
            return _digest_header(response)

        def read(response: HTTPResponse) -> str | None:
            if response.status == 404:
                return None
            if response.status != 200:
                raise self._error(action, f"status {response.status}")
            digest = _digest_header(response)
            method = "GET" if digest else "the manifest itself"
            self._report.digests[reference] = method
            return digest or _computed_digest(response)

        digest = self._exchange(HTTPRequest("HEAD", url, accept), timeout, read_headers)
        if digest is not None:
            self._report.digests[reference] = "HEAD"
            return digest
        return self._exchange(HTTPRequest("GET", url, accept), timeout, read)

    def digests(self, tags: Collection[str], timeout: Timeout) -> dict[str, str | None]:
        """Look up the digests of tags, 16 at a time.

        Returns
        -------
        dict
            Digest of each tag, None for one that is gone. A tag for which the
            registry failed is left out, and logged.
        """
        found: dict[str, str | None] = {}

        def look_up(tag: str) -> None:
            try:
                found[tag] = self.digest(tag, timeout)
            except (DockerRegistryError, OperationTimeoutError) as e:
                self._log.warning("Cannot get digest", tag=tag, error=str(e))
                self._report.failed[tag] = str(e)

        with ThreadPoolExecutor(_PARALLEL, "digests") as pool:
            list(pool.map(look_up, tags))
        return found

    def delete(self, digest: str, timeout: Timeout) -> bool:
        """Delete an image, and with it all tags that it has.

        Parameters
        ----------
        digest
            Digest of the image.
        timeout
            How long it may take, with all attempts.

        Returns
        -------
        bool
            Whether there was such an image.

        Raises
        ------
        DockerRegistryError
            Raised if it cannot be deleted.

        References
        ----------
        https://distribution.github.io/distribution/spec/api/#deleting-an-image
        """
        self._look_for_tls(timeout)
        action = f"delete {digest}"
        url = f"{self._base}/manifests/{quote(digest, safe=':')}"

        def read(response: HTTPResponse) -> bool:
            if response.status in _NO_DELETE:
                raise self._error(
                    action,
                    f"the registry does not delete images (status {response.status})",
                )
            if response.status not in (*_DELETED, 404):
                raise self._error(action, f"status {response.status}")
            return response.status in _DELETED

        return self._exchange(HTTPRequest("DELETE", url), timeout, read)

    # --- Endpoint --------------------------------------------------------

    def _use(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._base = f"{endpoint}/v2/{quote(self._repository)}"
        self._auth = RegistryAuth(endpoint, self._repository, self._store)
        self._report = SourceReport(endpoint)

    def _look_for_tls(self, timeout: Timeout) -> None:
        """Find out whether a registry on this machine speaks TLS, once.

        Whatever else is wrong with it, the request that follows will tell.
        """
        plain = self._plain
        if plain is None:
            return
        ping = HTTPRequest("GET", f"{self._endpoint}/v2/")
        try:
            self._http.send(ping, seconds=timeout.at_most(_REQUEST_SECONDS)).close()
        except HTTPRequestError as e:
            if e.speaks_tls:
                return
            self._use(plain)
        self._plain = None

    # --- Pages -----------------------------------------------------------

    def _page(self, response: HTTPResponse) -> tuple[list[str], str]:
        """Tags on a page, and its ``Link`` header."""
        if response.status != 200:
            raise self._error("list tags", f"status {response.status}")
        try:
            tags = parse_tags(response.chunks(_MAX_LIST_BYTES))
        except ValueError as e:
            raise self._error("list tags", f"the response {e}") from None
        return tags, response.headers.get("Link", "")

    def _next_page(self, link: str, url: str) -> str | None:
        """Find the URL of the next page, which must be on the same host.

        Behind a proxy that ends TLS some registries believe that they are
        reached by http, so only path and query count. Those that do not know
        by which path they are reached (mirrors, Artifactory, Nexus) lose or
        add parts of it, but the next page is one of the same list.
        """
        try:
            target = next_link(link, url)
        except ValueError:
            raise self._error("list tags", "next page has no valid URL") from None
        if target is None:
            return None
        following, base = urlsplit(target), urlsplit(self._endpoint)
        if following.hostname != base.hostname:
            raise self._error("list tags", "next page is on another host")
        path = following.path
        if path.endswith(_LIST):
            path = urlsplit(url).path
        return f"{base.scheme}://{base.netloc}{path}?{following.query}"

    # --- Requests --------------------------------------------------------

    def _exchange(
        self,
        request: HTTPRequest,
        timeout: Timeout,
        read: Callable[[HTTPResponse], _T],
        seconds: float = _REQUEST_SECONDS,
    ) -> _T:
        """Make a request and read its response, again where that may help."""
        pause = _FIRST_PAUSE
        action = f"{request.method} {urlsplit(request.url).path}"
        for attempt in range(1, _ATTEMPTS + 1):
            minimum = 0.0
            try:
                with self._converse(request, timeout, seconds) as response:
                    if not _is_overloaded(response.status):
                        return read(response)
                    problem = f"status {response.status}"
                    minimum = parse_retry_after(response.headers.get("Retry-After", ""))
            except HTTPRequestError as e:
                if timeout.cancellation.cancelled:
                    timeout.left()
                if not e.retryable:
                    raise self._error(action, str(e)) from None
                problem, minimum = str(e), e.retry_after
            delay = minimum + random.uniform(pause / 2, pause)  # noqa: S311
            if attempt == _ATTEMPTS or delay >= timeout.left():
                break
            self._log.info("Retrying registry request", error=problem, seconds=delay)
            timeout.sleep(delay)
            pause = min(pause * 2, _LONGEST_PAUSE)
        raise self._error(action, problem, minimum)

    def _converse(
        self, request: HTTPRequest, timeout: Timeout, seconds: float
    ) -> HTTPResponse:
        """Send the requests that authentication yields, until it returns a response."""
        flow = self._auth.flow(request)
        response = self._http.send(next(flow), seconds=timeout.at_most(seconds))
        try:
            while True:
                request = flow.send(response)
                response.close()
                response = self._http.send(request, seconds=timeout.at_most(seconds))
        except StopIteration as stop:
            if stop.value is not response:
                response.close()
            result: HTTPResponse = stop.value
            return result
        except BaseException:
            response.close()
            raise

    def _error(
        self, action: str, problem: str, retry_after: float = 0.0
    ) -> DockerRegistryError:
        message = f"Cannot {action} in {self._place}: {problem}"
        return DockerRegistryError(message, retry_after)


def _is_overloaded(status: int) -> bool:
    return status == 429 or (status >= 500 and status != 501)


def _digest_header(response: HTTPResponse) -> str | None:
    digest = response.headers.get("Docker-Content-Digest", "")
    return digest if DIGEST_PATTERN.fullmatch(digest) else None


def _computed_digest(response: HTTPResponse) -> str:
    checksum = hashlib.sha256()
    for chunk in response.chunks(_MAX_MANIFEST_BYTES):
        checksum.update(chunk)
    return f"sha256:{checksum.hexdigest()}"
