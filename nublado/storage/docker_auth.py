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
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field, replace
from typing import Self
from urllib.parse import urlencode, urljoin, urlsplit

import structlog

from nublado.exceptions import DockerRegistryError
from nublado.models.domain.docker_credentials import DockerCredentials
from nublado.models.domain.urls import is_loopback, origin_of
from nublado.storage.docker_credentials import DockerCredentialStore
from nublado.storage.docker_hosts import is_trusted_realm, secured
from nublado.storage.http import HTTPRequest, HTTPRequestError, HTTPResponse
from nublado.storage.http_headers import (
    TOKEN_PATTERN,
    parse_challenges,
    parse_retry_after,
)

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
    """What was granted to the credentials of a key; None is anonymous.

    ``header`` is the value of an ``Authorization`` header, valid until so many
    monotonic seconds.
    """

    header: str = field(repr=False)
    key: str | None
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
        Has the credentials; read whenever they are needed.

    Attributes
    ----------
    granted_to
        Key of the credentials that were accepted last; None if there were
        none, which is anonymous.
    refused
        Status with which credentials were refused, by key.
    """

    def __init__(
        self,
        endpoint: str,
        repository: str,
        credentials: DockerCredentialStore,
    ) -> None:
        self._endpoint = endpoint
        self._scope = f"repository:{repository}:pull"
        self._credentials = credentials
        self._grants: dict[_Challenge, _Grant] = {}
        self._log = structlog.get_logger(__name__).bind(registry=endpoint)
        self.granted_to: str | None = None
        self.refused: dict[str, int] = {}

    def flow(self, request: HTTPRequest) -> Flow:
        """Authenticate one request.

        An earlier grant is sent along. If it is refused, it is forgotten, and
        authentication starts over. Credentials that are refused may have
        expired, so the next ones are tried, and in the end none.

        Raises
        ------
        DockerRegistryError
            Raised if this would give credentials away, or all are refused.
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

        if (newer := self._grants.get(challenge)) and newer.is_valid:
            response = yield from self._follow(request, newer)
            if not self._is_refusal(response):
                return response
            self._forget(newer)
        for key, credentials in self._candidates():
            grant = yield from self._answer(challenge, key, credentials)
            if grant is None:
                continue
            response = yield from self._follow(request, grant)
            if not self._is_refusal(response):
                self._accept(challenge, grant)
                return response
            self._refuse(key, response.status)
        raise self._refusal(response.status)

    def forget(self) -> None:
        """Forget all grants, since the credentials have changed."""
        self._grants = {}
        self.refused = {}

    # --- Credentials and what was granted --------------------------------

    def _candidates(self) -> Iterator[tuple[str | None, DockerCredentials]]:
        for entry in self._credentials.find():
            if entry.credentials is not None:
                yield entry.key, entry.credentials
        yield None, DockerCredentials()

    def _remembered(self) -> _Grant | None:
        valid = (grant for grant in [*self._grants.values()] if grant.is_valid)
        return next(valid, None)

    def _forget(self, refused: _Grant) -> None:
        """Forget a grant; one that replaced it meanwhile stays."""
        self._grants = {k: g for k, g in [*self._grants.items()] if g != refused}

    def _accept(self, challenge: _Challenge, grant: _Grant) -> None:
        self._grants[challenge] = grant
        self.granted_to = grant.key
        if grant.key is not None:
            self.refused.pop(grant.key, None)

    def _refuse(self, key: str | None, status: int) -> None:
        if key is not None and self.refused.get(key) != status:
            self.refused[key] = status
            self._log.warning(
                "Registry refuses credentials, trying without", key=key, status=status
            )

    def _refusal(self, status: int) -> DockerRegistryError:
        registry = f"Registry at {self._endpoint}"
        keys = ", ".join(f"{key} (status {s})" for key, s in self.refused.items())
        if keys:
            message = f"{registry} refuses the credentials of {keys} and anonymous"
            return DockerRegistryError(f"{message} requests (status {status})")
        reason = self._credentials.explain_lack()
        message = f"{registry} requires credentials (status {status}): {reason}"
        return DockerRegistryError(message)

    # --- Parts of the conversation ---------------------------------------

    def _answer(
        self, challenge: _Challenge, key: str | None, credentials: DockerCredentials
    ) -> Generator[HTTPRequest, HTTPResponse, _Grant | None]:
        """Answer a challenge; None if these credentials cannot, or are refused."""
        if credentials.registry_token:
            return _Grant(f"Bearer {credentials.registry_token}", key)
        basic = credentials.authorization()
        if challenge.scheme == "basic":
            return _Grant(basic, key) if basic else None
        realm = self._trusted_realm(challenge.realm)
        request = _token_request(replace(challenge, realm=realm), credentials)
        requested = time.monotonic()
        response = yield request
        if response.status == 429 or response.status >= 500:
            raise HTTPRequestError(
                f"token service responds with {response.status}",
                retry_after=parse_retry_after(response.headers.get("Retry-After", "")),
            )
        if response.status in _REFUSALS:
            self._refuse(key, response.status)
            if key is not None:
                return None
            raise self._refusal(response.status)
        if response.status != 200:
            raise DockerRegistryError(
                f"No token for registry at {self._endpoint}: status {response.status}"
            )
        token, seconds = self._read_token(response.read())
        margin = min(_MARGIN_SECONDS, seconds / 2)
        return _Grant(f"Bearer {token}", key, requested + seconds - margin)

    def _read_token(self, body: bytes) -> tuple[str, float]:
        """Token in a response, and for how many seconds it is valid."""
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
        return token, max(seconds, 0.0)

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

    def _trusted_realm(self, realm: str) -> str:
        """URL of the token service, if the credentials may go there."""
        try:
            url = secured(realm, self._endpoint)
            if is_trusted_realm(url, self._endpoint):
                return url
            scheme, host, _ = origin_of(url)
            where = f"{scheme}://{host}"
        except ValueError:
            where = "what is no plain URL"
        raise DockerRegistryError(
            f"Registry at {self._endpoint} sends clients to {where} for tokens,"
            " which is not trusted"
        )

    def _redirected(self, url: str, location: str) -> str:
        """Where a redirect leads, which must be as safe as the registry."""
        try:
            target = secured(urljoin(url, location), self._endpoint)
            scheme, host, _ = origin_of(target)
        except ValueError:
            scheme, host = "", ""
        local = is_loopback(urlsplit(self._endpoint).hostname or "")
        if scheme != "https" and not (local and is_loopback(host)):
            raise DockerRegistryError(
                f"Registry at {self._endpoint} redirects to what is no https URL"
            )
        return target


def _token_request(
    challenge: _Challenge, credentials: DockerCredentials
) -> HTTPRequest:
    """Make the request for a token.

    References
    ----------
    https://distribution.github.io/distribution/spec/auth/token/
    https://distribution.github.io/distribution/spec/auth/oauth/
    """
    parameters = {"scope": challenge.scope}
    if challenge.service:
        parameters["service"] = challenge.service
    if credentials.identity_token:
        parameters |= {
            "grant_type": "refresh_token",
            "refresh_token": credentials.identity_token,
            "client_id": "nublado",
        }
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        body = urlencode(parameters).encode()
        return HTTPRequest("POST", challenge.realm, form, body)
    separator = "&" if "?" in challenge.realm else "?"
    url = f"{challenge.realm}{separator}{urlencode(parameters)}"
    return HTTPRequest("GET", url).authorized(credentials.authorization())
