"""Admission webhooks, as they are when they are in the way.

References
----------
https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.checks import check_keys, check_patterns
from nublado.sandbox.kubernetes.errors import ApiError
from nublado.sandbox.kubernetes.resources import KINDS, Kind

__all__ = ["Webhook", "Webhooks"]


@dataclass(frozen=True, slots=True)
class Webhook:
    """What a webhook does with new objects that match.

    Parameters
    ----------
    name
        Its name, in errors.
    kinds
        Kinds that it is asked about; empty for all.
    namespace, object_name
        Regular expressions for some part of those of the object.
    remove_labels
        Labels that it takes off.
    deny
        Why it denies the request; None if it does not.
    fail
        Whether it cannot be called.
    """

    name: str = "validate.kyverno.svc-fail"
    kinds: list[str] = field(default_factory=list)
    namespace: str = ""
    object_name: str = ""
    remove_labels: list[str] = field(default_factory=list)
    deny: str | None = None
    fail: bool = False

    def __post_init__(self) -> None:
        check_keys(self.kinds, {kind.kind for kind in KINDS}, "kind")
        for name in ("namespace", "object_name"):
            check_patterns(name, [getattr(self, name)])

    def matches(self, kind: Kind, metadata: JSON) -> bool:
        """Whether it is asked about an object."""
        return (
            (not self.kinds or kind.kind in self.kinds)
            and re.search(self.namespace, metadata.get("namespace", "")) is not None
            and re.search(self.object_name, metadata.get("name", "")) is not None
        )


class Webhooks:
    """All webhooks of the cluster.

    Attributes
    ----------
    listed
        The webhooks, in the order in which they are called.
    """

    def __init__(self) -> None:
        self.listed: list[Webhook] = []

    def admit(self, kind: Kind, obj: JSON) -> None:
        """Let the webhooks change a new object, or refuse it.

        Raises
        ------
        ApiError
            Raised if one denies it (403) or cannot be called (500).
        """
        for webhook in self.listed:
            if webhook.matches(kind, obj["metadata"]):
                _call(webhook, obj["metadata"])


def _call(webhook: Webhook, metadata: JSON) -> None:
    if webhook.fail:
        why = (
            f'failed calling webhook "{webhook.name}": failed to call webhook: Post'
            ' "https://policy.policy.svc:443/validate?timeout=10s": context deadline'
            " exceeded"
        )
        details = {"causes": [{"message": why}]}
        text = f"Internal error occurred: {why}"
        raise ApiError(500, "InternalError", text, details)
    if webhook.deny is not None:
        text = f'admission webhook "{webhook.name}" denied the request: {webhook.deny}'
        raise ApiError(403, "Forbidden", text)
    for label in webhook.remove_labels:
        metadata.get("labels", {}).pop(label, None)
