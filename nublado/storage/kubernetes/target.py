"""What a request to Kubernetes is about, and the error that it may end in."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from nublado.confidential import Confidential, current_confidential, hide
from nublado.exceptions import (
    KubernetesConflictError,
    KubernetesError,
    KubernetesNotFoundError,
)
from nublado.models.domain.kubernetes import JSON
from nublado.redaction import redact_text
from nublado.storage.kubernetes.retry import Attempt
from nublado.storage.kubernetes.rights import Right

__all__ = ["Target", "add_data_of", "confidential_of"]

_VERBS = {"POST": "create", "PUT": "update", "DELETE": "delete"}
_ERRORS = {404: KubernetesNotFoundError, 409: KubernetesConflictError}


@dataclass(frozen=True, slots=True)
class Target:
    """What a request is about."""

    message: str
    kind: str
    namespace: str | None = None
    name: str | None = None

    def right(self, method: str) -> Right:
        """What has to be permitted for a request of a method."""
        verb = _VERBS.get(method, "list" if self.name is None else "get")
        return Right(verb, self.kind, self.namespace is None)

    def failed(
        self, attempt: Attempt, sent: Iterable[Confidential] = ()
    ) -> KubernetesError:
        """Make the error of this request from its last attempt.

        Nothing else of a response is ever shown. What Kubernetes says of a secret
        is left out, except that a permission is missing; and values that were
        sent, by this request or another of the same operation, are hidden.

        Parameters
        ----------
        attempt
            The attempt.
        sent
            What the request itself has sent.
        """
        reason = self._reason_for(attempt)
        public = [part for part in (self.kind, self.namespace, self.name) if part]
        shown = hide(reason, [current_confidential(), *sent], public)
        failure = _ERRORS.get(attempt.status or 0, KubernetesError)(
            self.message,
            kind=self.kind,
            namespace=self.namespace,
            name=self.name,
            status=attempt.status,
            body=redact_text(shown) or None,
        )
        failure.is_outage = attempt.is_unreachable or attempt.in_grace
        return failure

    def _reason_for(self, attempt: Attempt) -> str:
        if attempt.error is not None:
            return f"{type(attempt.error).__name__}: {attempt.error}"
        if self.kind == "Secret" and not attempt.is_refusal:
            return ""
        parts = [attempt.said.text]
        if attempt.is_refusal and not attempt.in_grace:
            parts.append(attempt.said.remedy or "")
        return "; ".join(filter(None, parts))


def confidential_of(obj: JSON) -> Confidential:
    """Values of an object that is sent."""
    confidential = Confidential()
    add_data_of(obj, confidential)
    return confidential


def add_data_of(obj: JSON, confidential: Confidential) -> None:
    """Add the data of a secret or a config map to what is confidential."""
    data: dict[str, str] = obj.get("data") or {}
    if obj.get("kind") == "Secret":
        confidential.add_secrets(data.values())
        for value in data.values():
            # Kubernetes itself will refuse what is not base64.
            with suppress(ValueError):
                confidential.add_secrets([b64decode(value)])
    elif obj.get("kind") == "ConfigMap":
        confidential.add_settings(data)
