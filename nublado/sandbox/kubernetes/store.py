"""The objects of the cluster, their versions, and who is told of changes.

All methods are synchronous and have to be called on the event loop's thread.
Objects that come out belong to the store: whoever wants to change one does so
through `Store.mutate` or with a copy. Objects that go in are copied.
"""

from __future__ import annotations

from collections.abc import Callable

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.kubernetes.admission import Admission
from nublado.sandbox.kubernetes.backups import Backup, Key, changes_between
from nublado.sandbox.kubernetes.deletion import (
    is_held,
    mark_deleted,
    propagation_for,
    release_dependents,
)
from nublado.sandbox.kubernetes.errors import (
    ApiError,
    already_exists,
    conflict,
    not_found,
)
from nublado.sandbox.kubernetes.feed import Feed
from nublado.sandbox.kubernetes.history import Change, Revision
from nublado.sandbox.kubernetes.metadata import clone, initialize_metadata, now
from nublado.sandbox.kubernetes.resources import KINDS, Kind, kind_named
from nublado.sandbox.kubernetes.selectors import selection
from nublado.sandbox.kubernetes.webhooks import Webhooks

__all__ = ["ApiError", "Backup", "Store", "now"]

_HISTORY = 10_000
"""How many changes of each kind are kept for watches that come back."""

_MODIFIED = (
    "the object has been modified; please apply your changes to the latest version"
    " and try again"
)

Callback = Callable[[str, JSON], None]
Objects = list[JSON]
Revisions = list[Revision]


class Store:
    """All objects of the cluster.

    Objects are checked and completed (`Admission`) whoever creates them, so
    that controllers meet the same errors as clients.

    Parameters
    ----------
    history
        How many changes of each kind are kept.
    """

    def __init__(self, history: int = _HISTORY) -> None:
        self.version = 1
        self._objects: dict[str, dict[str, dict[str, Revision]]] = {
            kind.kind: {} for kind in KINDS
        }
        self.feed = Feed(history)
        self._admission = Admission(self)

    def create(
        self,
        kind: str,
        obj: JSON,
        namespace: str | None = None,
        *,
        dry_run: bool = False,
    ) -> JSON:
        """Create an object.

        Parameters
        ----------
        kind
            Kind, such as ``Pod``.
        obj
            The object.
        namespace
            Its namespace; by default what its metadata says.
        dry_run
            Whether to only check it.

        Returns
        -------
        dict
            The object as it was stored.

        Raises
        ------
        ApiError
            Raised if there is such an object (409), it is invalid (422), it is
            not admitted (403), or its namespace does not exist (404).
        """
        what = kind_named(kind)
        new: JSON = clone(obj)
        new["kind"], new["apiVersion"] = what.kind, what.api_version
        if namespace is None:
            namespace = str(new.get("metadata", {}).get("namespace") or "")
        initialize_metadata(what, new, namespace if what.namespaced else "")
        self._admission.admit_new(what, new)
        name = new["metadata"]["name"]
        if self.find(kind, namespace, name) is not None:
            raise already_exists(what, name)
        if not dry_run:
            self._commit(what, "ADDED", new, None)
        return new

    def get(self, kind: str, namespace: str | None, name: str) -> JSON:
        """Return an object.

        Raises
        ------
        ApiError
            Raised if there is none (404).
        """
        return self.revision(kind, namespace, name).obj

    def find(self, kind: str, namespace: str | None, name: str) -> JSON | None:
        """Return an object, or None if there is none."""
        found = self._bucket(kind_named(kind), namespace).get(name)
        return None if found is None else found.obj

    def revision(self, kind: str, namespace: str | None, name: str) -> Revision:
        """Return an object with its version and its encoding.

        Raises
        ------
        ApiError
            Raised if there is none (404).
        """
        what = kind_named(kind)
        found = self._bucket(what, namespace).get(name)
        if found is None:
            raise not_found(what, name)
        return found

    def list(
        self,
        kind: str,
        namespace: str | None = None,
        labels: str | None = None,
        fields: str | None = None,
    ) -> Objects:
        """Return objects, sorted by namespace and name.

        Parameters
        ----------
        kind
            Kind, such as ``Pod``.
        namespace
            Namespace to look in; None for all.
        labels, fields
            Selectors, as ``kubectl`` takes them.
        """
        matches = selection(labels, fields)
        objects = [revision.obj for revision in self.revisions(kind, namespace)]
        return objects if matches is None else [o for o in objects if matches(o)]

    def revisions(self, kind: str, namespace: str | None = None) -> Revisions:
        """Return objects with their encodings, sorted by namespace and name."""
        spaces = self._objects[kind]
        names = sorted(spaces) if namespace is None else [namespace]
        return [
            bucket[name]
            for bucket in (spaces.get(space, {}) for space in names)
            for name in sorted(bucket)
        ]

    def replace(
        self,
        kind: str,
        obj: JSON,
        *,
        subresource: str | None = None,
        dry_run: bool = False,
    ) -> JSON:
        """Update an object as a client does.

        Parameters
        ----------
        kind
            Kind, such as ``Pod``.
        obj
            The new object. Where it has a ``resourceVersion``, that must be the
            current one. What clients cannot change stays.
        subresource
            ``status`` to change only the status.
        dry_run
            Whether to only check it.

        Raises
        ------
        ApiError
            Raised if there is no such object (404), it has changed (409), or
            the update is invalid (422).
        """
        what = kind_named(kind)
        new: JSON = clone(obj)
        metadata = new.setdefault("metadata", {})
        old = self.revision(kind, metadata.get("namespace"), metadata.get("name", ""))
        self._check_preconditions(
            what, old, metadata.get("uid"), metadata.get("resourceVersion")
        )
        new["kind"], new["apiVersion"] = what.kind, what.api_version
        new = self._admission.admit_update(what, old.obj, new, subresource)
        return self._update(what, old, new, dry_run=dry_run)

    def mutate(
        self,
        kind: str,
        namespace: str | None,
        name: str,
        change: Callable[[JSON], JSON | None],
        *,
        uid: str | None = None,
    ) -> JSON:
        """Change an object as a controller does, without checks.

        Parameters
        ----------
        kind, namespace, name
            What to change.
        change
            Called with a copy; modifies it, or returns another. If nothing
            has changed then, nothing happens.
        uid
            If given, the object must be this one.

        Returns
        -------
        dict
            The object as it is now, or as it was last if the change removed
            the last thing that held it back from being deleted.

        Raises
        ------
        ApiError
            Raised if there is no such object (404), or another one (409).
        """
        what = kind_named(kind)
        old = self.revision(kind, namespace, name)
        self._check_preconditions(what, old, uid, None)
        copy: JSON = clone(old.obj)
        return self._update(what, old, change(copy) or copy)

    def delete(
        self,
        kind: str,
        namespace: str | None,
        name: str,
        grace_seconds: int | None = None,
        propagation: str | None = None,
        uid: str | None = None,
        *,
        version: str | None = None,
        dry_run: bool = False,
    ) -> JSON:
        """Delete an object, or mark it as being deleted.

        Parameters
        ----------
        kind, namespace, name
            What to delete.
        grace_seconds
            Seconds that a pod on a node has to stop; 0 removes it at once,
            None is what its specification says.
        propagation
            What becomes of the objects that it owns: ``Background``,
            ``Foreground`` or ``Orphan``.
        uid, version
            If given, the object must be this one.
        dry_run
            Whether to only say what would happen.

        Returns
        -------
        dict
            The object as it is now, or as it was last.

        Raises
        ------
        ApiError
            Raised if there is no such object (404), or another one (409).
        """
        what = kind_named(kind)
        old = self.revision(kind, namespace, name)
        self._check_preconditions(what, old, uid, version)
        if propagation_for(what, propagation) == "Orphan" and not dry_run:
            release_dependents(self, old.obj["metadata"]["uid"])
        new: JSON = clone(old.obj)
        mark_deleted(what, new, grace_seconds, propagation)
        return self._update(what, old, new, dry_run=dry_run)

    def subscribe(self, kind: str | None, callback: Callback) -> Callable[[], None]:
        """Be told of changes.

        Parameters
        ----------
        kind
            Kind to be told about; None for all.
        callback
            Called with the type of the change (``ADDED``, ``MODIFIED``,
            ``DELETED``) and the object, in the order of the changes. It may
            change the store; it must not wait.

        Returns
        -------
        Callable
            Ends it.
        """
        return self.feed.follow(
            kind, lambda change: callback(change.type, change.revision.obj)
        )

    def revisions_at(self, kind: str, namespace: str | None, version: int) -> Revisions:
        """Return objects as they were at a version; see `revisions`.

        Raises
        ------
        ApiError
            Raised if that can no longer be told (410).
        """
        found = {_key(r.obj): r for r in self.revisions(kind, namespace)}
        for change in self.feed.backwards(kind, version):
            key = _key(change.revision.obj)
            if namespace is not None and key[0] != namespace:
                continue
            if change.previous is None:
                found.pop(key, None)
            else:
                found[key] = change.previous
        return [found[key] for key in sorted(found)]

    def compact(self) -> None:
        """Forget all changes up to now, as etcd does every few minutes.

        Watches and paged lists that go on from an earlier version get 410.
        """
        self.feed.compact(self.version)

    @property
    def webhooks(self) -> Webhooks:
        """Who is asked about new objects."""
        return self._admission.webhooks

    def skip_version(self) -> None:
        """Use up a version, as a change elsewhere in the cluster does."""
        self.version += 1

    def backup(self) -> Backup:
        """Back everything up."""
        return Backup(self.version, {kind.kind: self._by_key(kind) for kind in KINDS})

    def restore(self, backup: Backup) -> None:
        """Go back to a backup, with the version too, and forget all changes.

        Who has subscribed is told of the difference.
        """
        before = {kind: self._by_key(kind) for kind in KINDS}
        self.version = backup.version
        for kind in KINDS:
            spaces: dict[str, dict[str, Revision]] = {}
            self._objects[kind.kind] = spaces
            for (space, name), revision in backup.revisions[kind.kind].items():
                spaces.setdefault(space, {})[name] = revision
        for kind in KINDS:
            after = backup.revisions[kind.kind]
            for change in changes_between(kind, before[kind], after):
                self.feed.publish(kind.kind, change)
        self.feed.restart(self.version)

    def _by_key(self, kind: Kind) -> dict[Key, Revision]:
        return {_key(revision.obj): revision for revision in self.revisions(kind.kind)}

    def _bucket(self, kind: Kind, namespace: str | None) -> dict[str, Revision]:
        space = (namespace or "") if kind.namespaced else ""
        return self._objects[kind.kind].get(space, {})

    def _check_preconditions(
        self, kind: Kind, old: Revision, uid: str | None, version: str | None
    ) -> None:
        metadata = old.obj["metadata"]
        if uid and uid != metadata["uid"]:
            why = (
                f"Precondition failed: UID in precondition: {uid},"
                f" UID in object meta: {metadata['uid']}"
            )
            raise conflict(kind, metadata["name"], why)
        if version and version != metadata["resourceVersion"]:
            raise conflict(kind, metadata["name"], _MODIFIED)

    def _update(
        self, kind: Kind, old: Revision, new: JSON, *, dry_run: bool = False
    ) -> JSON:
        gone = "deletionTimestamp" in new["metadata"] and not is_held(kind, new)
        if dry_run or (new == old.obj and not gone):
            return new
        self._commit(kind, "DELETED" if gone else "MODIFIED", new, old)
        return new

    def _commit(
        self, kind: Kind, change_type: str, new: JSON, old: Revision | None
    ) -> None:
        self.version += 1
        metadata = new["metadata"]
        metadata["resourceVersion"] = str(self.version)
        revision = Revision(new, self.version)
        space, name = _key(new)
        spaces = self._objects[kind.kind]
        if change_type == "DELETED":
            del spaces[space][name]
            if not spaces[space]:
                del spaces[space]
        else:
            spaces.setdefault(space, {})[name] = revision
        self.feed.publish(kind.kind, Change(change_type, revision, old))


def _key(obj: JSON) -> tuple[str, str]:
    metadata = obj["metadata"]
    return str(metadata.get("namespace", "")), str(metadata["name"])
