"""Role-based access control: who may do what, and which rights are used.

References
----------
https://kubernetes.io/docs/reference/access-authn-authz/rbac/
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.kubernetes.attributes import Attributes, denied
from nublado.sandbox.kubernetes.identity import User
from nublado.sandbox.kubernetes.objects import Objects

__all__ = ["RBAC_KINDS", "RoleAuthorizer"]

RBAC_KINDS = ("Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding")

_PUBLIC = ("/api", "/apis", "/version", "/openapi", "/healthz", "/livez", "/readyz")
"""Paths that every user may read (``system:discovery``)."""


@dataclass(frozen=True, slots=True)
class _Grant:
    """One verb for one resource, that a role gives to those bound to it."""

    role: str
    scope: str | None
    verb: str
    group: str
    resource: str
    names: tuple[str, ...]

    def covers(self, wanted: Attributes) -> bool:
        return (
            self.verb in ("*", wanted.verb)
            and self.group in ("*", wanted.group)
            and _names_resource(self.resource, wanted.resource)
            and self.scope in (None, wanted.namespace)
            and (not self.names or wanted.name in self.names)
        )

    def to_json(self) -> JSON:
        return {
            "role": self.role,
            "scope": self.scope,
            "verb": self.verb,
            "group": self.group,
            "resource": self.resource,
            "names": list(self.names),
        }


class RoleAuthorizer:
    """Decides by the roles and bindings in the cluster.

    Parameters
    ----------
    store
        Objects of the cluster.
    """

    def __init__(self, store: Objects) -> None:
        self._store = store
        self._grants: dict[User, list[_Grant]] = {}
        self._decisions: dict[tuple[User, Attributes], _Grant | None] = {}
        self._used: Counter[_Grant] = Counter()
        self._missing: Counter[tuple[str, Attributes]] = Counter()
        for kind in RBAC_KINDS:
            store.subscribe(kind, lambda *_: self._roles_changed())

    def check(self, user: User, wanted: Attributes) -> None:
        """Check that a user may do something.

        Raises
        ------
        ApiError
            Raised if no rule allows it (403).
        """
        if "system:masters" in user.groups or _is_public(wanted):
            return
        key = (user, wanted)
        if key not in self._decisions:
            found = (g for g in self._grants_of(user) if g.covers(wanted))
            self._decisions[key] = next(found, None)
        grant = self._decisions[key]
        if grant is None:
            self._missing[user.name, wanted] += 1
            raise denied(user.name, wanted)
        self._used[grant] += 1

    def report(self) -> JSON:
        """Rights of all who have sent requests: used, unused, and missed."""
        given = {grant for grants in self._grants.values() for grant in grants}
        used = [g.to_json() | {"count": n} for g, n in self._used.most_common()]
        unused = sorted(given - set(self._used), key=_order)
        return {
            "used": used,
            "unused": [grant.to_json() for grant in unused],
            "missing": [
                {
                    "user": user,
                    "verb": wanted.verb,
                    "group": wanted.group,
                    "resource": wanted.resource or wanted.path,
                    "namespace": wanted.namespace,
                    "name": wanted.name,
                    "count": count,
                }
                for (user, wanted), count in self._missing.most_common()
            ],
        }

    def forget_use(self) -> None:
        """Begin to report anew."""
        self._used.clear()
        self._missing.clear()

    def _roles_changed(self) -> None:
        self._grants.clear()
        self._decisions.clear()

    def _grants_of(self, user: User) -> list[_Grant]:
        if user not in self._grants:
            self._grants[user] = list(self._collect(user))
        return self._grants[user]

    def _collect(self, user: User) -> Iterator[_Grant]:
        for kind in ("ClusterRoleBinding", "RoleBinding"):
            for binding in self._store.list(kind):
                scope = binding["metadata"].get("namespace")
                subjects = binding.get("subjects") or ()
                if any(_is_subject(user, subject, scope) for subject in subjects):
                    yield from self._grants_by(binding["roleRef"], scope)

    def _grants_by(self, reference: JSON, scope: str | None) -> Iterator[_Grant]:
        kind, name = reference["kind"], reference["name"]
        home = scope if kind == "Role" else None
        role = self._store.find(kind, home, name)
        title = f"{kind} {name}" if home is None else f"{kind} {home}/{name}"
        for rule in (role or {}).get("rules") or ():
            for verb, group, resource in product(
                rule.get("verbs") or (),
                rule.get("apiGroups") or (),
                rule.get("resources") or (),
            ):
                names = tuple(rule.get("resourceNames") or ())
                yield _Grant(title, scope, verb, group, resource, names)


def _is_public(wanted: Attributes) -> bool:
    return not wanted.resource and any(
        wanted.path.rstrip("/") == path or wanted.path.startswith(f"{path}/")
        for path in _PUBLIC
    )


def _names_resource(granted: str, wanted: str) -> bool:
    if granted in ("*", wanted):
        return bool(wanted)
    any_parent, _, subresource = granted.partition("/")
    return (
        any_parent == "*" and bool(subresource) and wanted.endswith(f"/{subresource}")
    )


def _is_subject(user: User, subject: JSON, scope: str | None) -> bool:
    match subject["kind"]:
        case "ServiceAccount":
            namespace = subject.get("namespace") or scope or ""
            return user == User.of_account(namespace, subject["name"])
        case "Group":
            return subject["name"] in user.groups
    return bool(subject["name"] == user.name)


def _order(grant: _Grant) -> tuple[str, str, str, str, str]:
    return grant.role, grant.scope or "", grant.group, grant.resource, grant.verb
