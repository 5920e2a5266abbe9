"""Client of the Docker registry API (version 2).

References
----------
https://distribution.github.io/distribution/spec/api/
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import quote, urljoin, urlsplit

import structlog

from nublado.config.model import DockerSourceConfig
from nublado.exceptions import DockerRegistryError
from nublado.models.domain.docker import DIGEST_PATTERN, DockerCredentials
from nublado.models.domain.urls import is_loopback, origin_of
from nublado.storage.docker_auth import RegistryAuthenticator
from nublado.storage.docker_credentials import DockerCredentialStore
from nublado.storage.docker_hosts import registry_endpoint
from nublado.storage.http import HTTPClient, HTTPRequestError, HTTPResponse
from nublado.timeout import Timeout

__all__ = ["DockerRegistryClient"]

_DOCKER_HUB = "docker.io"
_CONNECTIONS = 32
_PARALLEL = 16
_REQUEST_SECONDS = 20.0
_ATTEMPTS = 5
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 30.0
_MOST_PAGES = 1000
_MOST_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MANIFEST_TYPES = (
    "application/vnd.docker.distribution.manifest.list.v2+json,"
    " application/vnd.docker.distribution.manifest.v2+json,"
    " application/vnd.oci.image.index.v1+json,"
    " application/vnd.oci.image.manifest.v1+json"
)
_NEXT = re.compile(r'<([^>]*)>\s*;[^,]*\brel="?next"?')


class DockerRegistryClient:
    """Asks one repository of a registry for its tags and their digests.

    Shared by all threads. Credentials go to the registry, or to the mirror
    that is asked instead, and to nobody else.

    Parameters
    ----------
    config
        Which repository.
    mirrors
        URLs that are asked in place of registries, by the registry's host.
    """

    def __init__(
        self, config: DockerSourceConfig, mirrors: Mapping[str, str] | None = None
    ) -> None:
        self._place = f"{config.registry}/{config.repository}"
        repository = config.repository
        if config.registry == _DOCKER_HUB and "/" not in repository:
            repository = f"library/{repository}"
        self._endpoint = registry_endpoint(config.registry, mirrors or {})
        self._base = f"{self._endpoint}/v2/{quote(repository)}"
        self._store = DockerCredentialStore(config.credentials_path)
        self._http = HTTPClient(_CONNECTIONS)
        self._authenticator = RegistryAuthenticator(
            self._http, self._endpoint, repository, self._credentials
        )
        self._log = structlog.get_logger(__name__).bind(repository=self._place)

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def tags(self, timeout: Timeout) -> list[str]:
        """List all tags.

        Raises
        ------
        DockerRegistryError
            Raised if the registry does not tell them.
        """
        tags: list[str] = []
        seen: set[str] = set()
        url = f"{self._base}/tags/list"
        while url not in seen and len(seen) < _MOST_PAGES:
            seen.add(url)
            answer = self._request("GET", url, timeout)
            if answer.status != 200:
                raise self._error("list tags", f"status {answer.status}")
            try:
                tags += _tags_in(answer.body)
            except (ValueError, KeyError, TypeError, RecursionError):
                raise self._error("list tags", "answer is not understood") from None
            match = _NEXT.search(answer.headers.get("Link", ""))
            if match is None:
                return tags
            url = self._next_page(url, match[1])
        raise self._error("list tags", "the pages have no end")

    def digest(self, reference: str, timeout: Timeout) -> str | None:
        """Ask for the digest of a tag, or whether there is a digest.

        Parameters
        ----------
        reference
            A tag or a digest.
        timeout
            How long it may take, with all repetitions.

        Returns
        -------
        str or None
            The digest; None if there is no such image.

        Raises
        ------
        DockerRegistryError
            Raised if the registry does not tell it.
        """
        action = f"get digest of {reference}"
        url = f"{self._base}/manifests/{quote(reference, safe=':')}"
        answer = self._request("HEAD", url, timeout, {"Accept": _MANIFEST_TYPES})
        if answer.status == 404:
            return None
        if answer.status != 200:
            raise self._error(action, f"status {answer.status}")
        digest = str(answer.headers.get("Docker-Content-Digest", ""))
        if not DIGEST_PATTERN.fullmatch(digest):
            raise self._error(action, "the answer has none")
        return digest

    def digests(self, tags: Collection[str], timeout: Timeout) -> dict[str, str | None]:
        """Ask for the digests of tags, 16 at a time.

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

        def ask(tag: str) -> None:
            try:
                found[tag] = self.digest(tag, timeout)
            except DockerRegistryError as e:
                self._log.warning("Cannot get digest", tag=tag, error=str(e))
                failures.append(e)

        with ThreadPoolExecutor(_PARALLEL, "digests") as pool:
            list(pool.map(ask, tags))
        if failures and not found:
            raise failures[0]
        return found

    # --- Requests --------------------------------------------------------

    def _credentials(self) -> DockerCredentials | None:
        return self._store.get(urlsplit(self._endpoint).netloc)

    def _request(
        self,
        method: str,
        url: str,
        timeout: Timeout,
        headers: Mapping[str, str] | None = None,
    ) -> HTTPResponse:
        """Send a request, again where the registry is only overloaded."""
        pause = _FIRST_PAUSE
        action = f"{method} {urlsplit(url).path}"
        for attempt in range(1, _ATTEMPTS + 1):
            wanted = 0.0
            try:
                answer = self._authenticated(method, url, timeout, headers or {})
            except HTTPRequestError as e:
                if e.lasting:
                    raise self._error(action, str(e)) from None
                problem = str(e)
            else:
                if answer.status != 429 and answer.status < 500:
                    return answer
                problem = f"status {answer.status}"
                wanted = _retry_after(answer)
            delay = wanted + random.uniform(pause / 2, pause)  # noqa: S311
            if attempt == _ATTEMPTS or delay >= timeout.left():
                break
            self._log.info("Asking registry again", problem=problem, seconds=delay)
            timeout.sleep(delay)
            pause = min(pause * 2, _LONGEST_PAUSE)
        raise self._error(action, problem)

    def _authenticated(
        self, method: str, url: str, timeout: Timeout, headers: Mapping[str, str]
    ) -> HTTPResponse:
        """Send a request, and authenticate once if that is wanted."""
        sent = self._authenticator.header()
        answer, own = self._follow(method, url, timeout, headers, sent)
        challenge = answer.headers.get("WWW-Authenticate")
        if answer.status != 401 or not challenge or not own:
            return answer
        seconds = timeout.at_most(_REQUEST_SECONDS)
        authorization = self._authenticator.authenticate(challenge, sent, seconds)
        if authorization is None:
            return answer
        return self._follow(method, url, timeout, headers, authorization)[0]

    def _follow(
        self,
        method: str,
        url: str,
        timeout: Timeout,
        headers: Mapping[str, str],
        authorization: str | None,
    ) -> tuple[HTTPResponse, bool]:
        """Send a request and follow redirects.

        Returns
        -------
        tuple
            The answer, and whether it is of the registry itself. Others are
            not told who is asking.
        """
        secret = {"Authorization": authorization} if authorization else {}
        for _ in range(_MOST_REDIRECTS + 1):
            own = origin_of(url) == origin_of(self._endpoint)
            answer = self._http.request(
                method,
                url,
                seconds=timeout.at_most(_REQUEST_SECONDS),
                headers={**headers, **secret} if own else headers,
            )
            location = answer.headers.get("Location")
            if answer.status not in _REDIRECTS or not location:
                return answer, own
            url = self._redirect(url, location)
        raise self._error(f"{method} {urlsplit(url).path}", "too many redirects")

    def _redirect(self, url: str, location: str) -> str:
        """Where a redirect leads, which must be as safe as the registry."""
        target = urljoin(url, location)
        try:
            scheme, host, _ = origin_of(target)
        except ValueError:
            scheme, host = "", ""
        local = is_loopback(urlsplit(self._endpoint).hostname or "")
        if scheme != "https" and not (local and is_loopback(host)):
            raise self._error("follow redirect", "it does not lead to an https URL")
        return target

    def _next_page(self, url: str, link: str) -> str:
        """URL of the next page, which must be on the same host.

        Only path and query count: behind a proxy that ends TLS some registries
        believe that they are reached by http.
        """
        following = urlsplit(urljoin(url, link))
        if following.hostname != urlsplit(self._endpoint).hostname:
            raise self._error("list tags", "next page is on another host")
        base = urlsplit(self._endpoint)
        return f"{base.scheme}://{base.netloc}{following.path}?{following.query}"

    def _error(self, action: str, problem: str) -> DockerRegistryError:
        return DockerRegistryError(f"Cannot {action} in {self._place}: {problem}")


def _tags_in(body: bytes) -> list[str]:
    """Tags on a page; a repository without any may say ``null``."""
    return [str(tag) for tag in json.loads(body)["tags"] or ()]


def _retry_after(answer: HTTPResponse) -> float:
    """Seconds that an answer asks to wait; 0 if it does not say."""
    text = answer.headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        when = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return max((when - datetime.now(UTC)).total_seconds(), 0.0)
