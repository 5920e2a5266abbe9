"""Who sends a request: tokens of service accounts.

Who sends none is the administrator of the cluster, as the sandbox's own
clients are.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from binascii import Error as Base64Error
from dataclasses import dataclass

from nublado.models.domain.kubernetes import JSON

__all__ = ["ADMINISTRATOR", "CONTROLLER", "User", "issue_token", "user_of_token"]

_PREFIX = "system:serviceaccount:"
_KEY = secrets.token_bytes(32)


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who sends requests.

    Parameters
    ----------
    name
        Such as ``system:serviceaccount:NAMESPACE:NAME``.
    groups
        Groups of the user.
    """

    name: str
    groups: tuple[str, ...] = ("system:authenticated",)

    @classmethod
    def of_account(cls, namespace: str, name: str) -> User:
        """Make the user that a service account is."""
        groups = (
            "system:serviceaccounts",
            f"system:serviceaccounts:{namespace}",
            "system:authenticated",
        )
        return cls(f"{_PREFIX}{namespace}:{name}", groups)


ADMINISTRATOR = User("kubernetes-admin", ("system:masters", "system:authenticated"))
CONTROLLER = User.of_account("nublado", "nublado")
"""Whom refusals name where nobody has said who he is."""


def issue_token(user: User, **claims: object) -> str:
    """Issue a token, valid as long as this process."""
    payload = _encode(json.dumps({"sub": user.name, **claims}).encode())
    return f"{_HEADER}.{payload}.{_sign(payload)}"


def user_of_token(token: str) -> User | None:
    """Tell whose token it is; None if it was not issued here."""
    header, _, rest = token.partition(".")
    payload, _, signature = rest.partition(".")
    if header != _HEADER or not hmac.compare_digest(
        signature.encode(), _sign(payload).encode()
    ):
        return None
    try:
        claims: JSON = json.loads(base64.urlsafe_b64decode(payload + "=="))
    except (ValueError, Base64Error):
        return None
    namespace, _, name = str(claims["sub"]).removeprefix(_PREFIX).partition(":")
    return User.of_account(namespace, name)


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _sign(payload: str) -> str:
    text = f"{_HEADER}.{payload}".encode()
    return _encode(hmac.digest(_KEY, text, hashlib.sha256))


_HEADER = _encode(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
