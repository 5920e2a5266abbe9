"""Authentication to Docker registries, as a conversation.

`RegistryAuth.flow` decides what to send next, and does no I/O: the caller sends
the requests that it yields and sends the responses back to it.

References
----------
https://distribution.github.io/distribution/spec/auth/token/
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from typing import Self
from urllib.parse import urlencode, urljoin, urlsplit

from nublado.exceptions import DockerRegistryError
from nublado.models.domain.docker_credentials import DockerCredentials
from nublado.models.domain.urls import is_loopback, origin_of
from nublado.storage.docker_hosts import is_trusted_realm
from nublado.storage.http import HTTPRequest, HTTPRequestError, HTTPResponse
from nublado.storage.http_headers import TOKEN_PATTERN, parse_challenges

__all__ = ["Flow", "RegistryAuth"]

Flow = Generator[HTTPRequest, HTTPResponse, HTTPResponse]
"""Yields requests, is sent their responses, and returns the one that counts."""

_DEFAULT_TOKEN_SECONDS = 60.0
_MARGIN_SECONDS = 5.0
_MAX_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_REFUSALS = frozenset({400, 401, 403})


@dataclass(frozen=True, slots=True)
class _Challenge:
    """How a registry wants to be authenticated with; the key of cached grants."""

    scheme: str
    realm: str = ""
    service: str = ""
    scope: str = ""

    @classmethod
    def of(cls, response: HTTPResponse, scope: str) -> Self | None:
        """Read the challenge of a response, if it has one that we can meet."""
        if response.status != 401:
            return None
        challenges = parse_challenges(response.headers.get("WWW-Authenticate", ""))
        if (bearer := challenges.get("bearer")) is not None:
            return cls(
                "bearer",
                bearer.get("realm", ""),
                bearer.get("service", ""),
                bearer.get("scope", scope),
            )
        return cls("basic") if "basic" in challenges else None


@dataclass(frozen=True, slots=True)
class _Grant:
    """Value of an ``Authorization`` header, valid until (monotonic seconds)."""

    header: str = field(repr=False)
    until: float = float("inf")

    @property
    def is_valid(self) -> bool:
        return time.monotonic() < self.until


class RegistryAuth:
    """Authenticates requests to one repository, and remembers what was granted.

    Credentials go to the registry, and to token services that may have them.

    Parameters
    ----------
    endpoint
        URL of the registry.
    repository
        The repository to read.
    credentials
        Reads the credentials; called whenever they are needed.
    """

    def __init__(
        self,
        endpoint: str,
        repository: str,
        credentials: Callable[[], DockerCredentials | None],
    ) -> None:
        self._endpoint = endpoint
        self._scope = f"repository:{repository}:pull"
        self._credentials = credentials
        self._grants: dict[_Challenge, _Grant] = {}

    def flow(self, request: HTTPRequest) -> Flow:
        """Authenticate one request.

        An earlier grant is sent along. If it is refused, it is
        forgotten, and authentication starts over.

        Raises
        ------
        DockerRegistryError
            Raised if this would give credentials away, or they are refused.
        HTTPRequestError
            Raised if another attempt may help.
        """
        grant = self._remembered()
        response = yield from self._follow(request, grant)
        if grant is not None and self._is_refusal(response):
            self._forget(grant)
            if _Challenge.of(response, self._scope) is None:
                response = yield from self._follow(request, None)
        challenge = _Challenge.of(response, self._scope)
        if challenge is None or not self._is_own(response.url):
            return response
        granted = self._grants.get(challenge)
        if granted is None or not granted.is_valid:
            granted = yield from self._answer(challenge)
        if granted is None:
            return response
        self._grants[challenge] = granted
        response = yield from self._follow(request, granted)
        if self._is_refusal(response):
            self._forget(granted)
        return response

    # --- What was granted ------------------------------------------------

    def _remembered(self) -> _Grant | None:
        valid = (grant for grant in [*self._grants.values()] if grant.is_valid)
        return next(valid, None)

    def _forget(self, refused: _Grant) -> None:
        """Forget a grant; one that replaced it meanwhile stays."""
        self._grants = {k: g for k, g in [*self._grants.items()] if g != refused}

    # --- Parts of the conversation ---------------------------------------

    def _answer(
        self, challenge: _Challenge
    ) -> Generator[HTTPRequest, HTTPResponse, _Grant | None]:
        """Answer a challenge; None without credentials that it needs."""
        credentials = self._credentials()
        if challenge.scheme == "basic":
            return _Grant(credentials.authorization()) if credentials else None
        self._check_realm(challenge.realm)
        query = {"scope": challenge.scope}
        if challenge.service:
            query["service"] = challenge.service
        separator = "&" if "?" in challenge.realm else "?"
        request = HTTPRequest("GET", f"{challenge.realm}{separator}{urlencode(query)}")
        requested = time.monotonic()
        response = yield request.authorized(
            credentials.authorization() if credentials else None
        )
        if response.status == 429 or response.status >= 500:
            raise HTTPRequestError(f"token service responds with {response.status}")
        if response.status != 200:
            raise DockerRegistryError(
                f"No token for registry at {self._endpoint}: status {response.status}"
            )
        return self._read_token(response.read(), requested)

    def _read_token(self, body: bytes, requested: float) -> _Grant:
        try:
            content = json.loads(body)
            token = content.get("token") or content["access_token"]
            seconds = float(content.get("expires_in") or _DEFAULT_TOKEN_SECONDS)
            is_token = bool(TOKEN_PATTERN.fullmatch(token))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            is_token = False
        if not is_token:
            # Says no more, because the response may hold a token.
            raise DockerRegistryError(
                f"Cannot parse token for registry at {self._endpoint}"
            )
        margin = min(_MARGIN_SECONDS, seconds / 2)
        return _Grant(f"Bearer {token}", requested + seconds - margin)

    def _follow(self, request: HTTPRequest, grant: _Grant | None) -> Flow:
        """Make a request and follow redirects; other hosts get no secret."""
        authorization = grant.header if grant else None
        for _ in range(_MAX_REDIRECTS + 1):
            own = self._is_own(request.url)
            response = yield request.authorized(authorization if own else None)
            location = response.headers.get("Location")
            if response.status not in _REDIRECTS or not location:
                return response
            request = replace(request, url=self._redirected(request.url, location))
        raise DockerRegistryError(f"Registry at {self._endpoint} redirects in a circle")

    # --- Whom to trust ---------------------------------------------------

    def _is_refusal(self, response: HTTPResponse) -> bool:
        return response.status in _REFUSALS and self._is_own(response.url)

    def _is_own(self, url: str) -> bool:
        return origin_of(url) == origin_of(self._endpoint)

    def _check_realm(self, realm: str) -> None:
        if not is_trusted_realm(realm, self._endpoint):
            raise DockerRegistryError(
                f"Registry at {self._endpoint} sends clients to"
                f" {urlsplit(realm).hostname} for tokens, which is not trusted"
            )

    def _redirected(self, url: str, location: str) -> str:
        """Where a redirect leads, which must be as safe as the registry."""
        target = urljoin(url, location)
        try:
            scheme, host, _ = origin_of(target)
        except ValueError:
            scheme, host = "", ""
        local = is_loopback(urlsplit(self._endpoint).hostname or "")
        if scheme != "https" and not (local and is_loopback(host)):
            raise DockerRegistryError(
                f"Registry at {self._endpoint} redirects to what is no https URL"
            )
        return target
