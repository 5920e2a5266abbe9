"""Authentication to Docker registries.

References
----------
https://distribution.github.io/distribution/spec/auth/token/
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit

from nublado.exceptions import DockerRegistryError
from nublado.models.domain.docker import DockerCredentials
from nublado.storage.docker_hosts import is_trusted_realm
from nublado.storage.http import HTTPClient, HTTPRequestError, HTTPResponse

__all__ = ["RegistryAuthenticator", "parse_challenges"]

_DEFAULT_TOKEN_SECONDS = 60.0
_SLACK_SECONDS = 5.0
_TOKEN = re.compile(r"[\x21-\x7e]+")
_CHALLENGE_PART = re.compile(
    r'[\s,]*([A-Za-z][A-Za-z0-9_-]*)(?:\s*=\s*(?:"([^"]*)"|([^\s,"]+)))?'
)


@dataclass(frozen=True, slots=True)
class _Authorization:
    """Value of a header, and until when (monotonic seconds) it is good."""

    header: str = field(repr=False)
    until: float = float("inf")


class RegistryAuthenticator:
    """Finds out how to authenticate to one repository, and remembers it.

    Anonymous requests come first; the answer to those says what is wanted.

    Parameters
    ----------
    http
        Connections.
    endpoint
        URL of the registry.
    repository
        What is to be read there.
    credentials
        Finds the credentials, each time that they are needed.
    """

    def __init__(
        self,
        http: HTTPClient,
        endpoint: str,
        repository: str,
        credentials: Callable[[], DockerCredentials | None],
    ) -> None:
        self._http = http
        self._endpoint = endpoint
        self._scope = f"repository:{repository}:pull"
        self._credentials = credentials
        self._current: _Authorization | None = None

    def header(self) -> str | None:
        """Value of the ``Authorization`` header to send, if one is known."""
        current = self._current
        if current is None or current.until <= time.monotonic():
            return None
        return current.header

    def authenticate(
        self, challenge: str, rejected: str | None, seconds: float
    ) -> str | None:
        """Do what a registry asks for.

        Parameters
        ----------
        challenge
            ``WWW-Authenticate`` header of the refusal.
        rejected
            What was sent and refused. If another thread has authenticated
            meanwhile, its result is used.
        seconds
            How long this may take.

        Returns
        -------
        str or None
            The ``Authorization`` header for another try; None if there is
            nothing to try.

        Raises
        ------
        DockerRegistryError
            Raised if this would give credentials away, or is refused.
        HTTPRequestError
            Raised if it fails in a way that another attempt may help.
        """
        known = self.header()
        if known is not None and known != rejected:
            return known
        challenges = parse_challenges(challenge)
        credentials = self._credentials()
        if "bearer" in challenges:
            current = self._fetch_token(challenges["bearer"], credentials, seconds)
        elif "basic" in challenges and credentials is not None:
            current = _Authorization(credentials.authorization())
        else:
            return None
        self._current = current
        return current.header

    def _fetch_token(
        self,
        challenge: Mapping[str, str],
        credentials: DockerCredentials | None,
        seconds: float,
    ) -> _Authorization:
        realm = challenge.get("realm", "")
        if not is_trusted_realm(realm, self._endpoint):
            raise DockerRegistryError(
                f"Registry at {self._endpoint} sends clients to"
                f" {urlsplit(realm).hostname} for tokens, which is not trusted"
            )
        query = {"scope": challenge.get("scope", self._scope)}
        if "service" in challenge:
            query["service"] = challenge["service"]
        headers = {"Authorization": credentials.authorization()} if credentials else {}
        began = time.monotonic()
        answer = self._http.request(
            "GET",
            f"{realm}{'&' if '?' in realm else '?'}{urlencode(query)}",
            seconds=seconds,
            headers=headers,
        )
        if answer.status == 429 or answer.status >= 500:
            raise HTTPRequestError(f"token service answers with {answer.status}")
        if answer.status != 200:
            raise DockerRegistryError(
                f"No token for registry at {self._endpoint}: status {answer.status}"
            )
        token, lasts = self._read_token(answer)
        slack = min(_SLACK_SECONDS, lasts / 2)
        return _Authorization(f"Bearer {token}", began + lasts - slack)

    def _read_token(self, answer: HTTPResponse) -> tuple[str, float]:
        """Token in an answer, and for how many seconds it is good."""
        try:
            content = json.loads(answer.body)
            token = content.get("token") or content["access_token"]
            lasts = float(content.get("expires_in") or _DEFAULT_TOKEN_SECONDS)
            is_token = bool(_TOKEN.fullmatch(token))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            is_token = False
        if not is_token:
            # Says no more, because the answer may hold a token.
            message = f"Token for registry at {self._endpoint} cannot be understood"
            raise DockerRegistryError(message)
        return token, max(lasts, 0.0)


def parse_challenges(header: str) -> dict[str, dict[str, str]]:
    """Parse a ``WWW-Authenticate`` header, which may name several schemes.

    Returns
    -------
    dict
        Parameters by scheme, both with names in lower case.

    References
    ----------
    https://www.rfc-editor.org/rfc/rfc9110#name-www-authenticate
    """
    challenges: dict[str, dict[str, str]] = {}
    parameters: dict[str, str] = {}
    for name, quoted, plain in (m.groups() for m in _CHALLENGE_PART.finditer(header)):
        if quoted is None and plain is None:
            parameters = challenges.setdefault(name.lower(), {})
        else:
            parameters[name.lower()] = quoted or plain or ""
    return challenges
