"""What is known of each user's lab; every change of it goes through here.

A record has one lock, which is never held across input or output.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace

from nublado.exceptions import (
    LabExistsError,
    OperationInProgressError,
    UnknownUserError,
)
from nublado.models.domain.lab import LabState, LabStatus
from nublado.services.operation import AnyOperation, OperationKind

__all__ = ["LabRecord", "LabTable", "Observation"]

_ACTIVE = frozenset({LabStatus.PENDING, LabStatus.RUNNING, LabStatus.TERMINATING})


@dataclass(frozen=True, slots=True)
class Observation:
    """What a watch says of a pod; ``status`` is None once it is gone."""

    pod_uid: str
    status: LabStatus | None


class LabRecord:
    """The lab of one user, and the operation that changes it.

    ========================  ========================================
    state, operation          means
    ========================  ========================================
    none, none                there is no lab
    pending, a spawn          it is being created
    terminating, a deletion   it is being deleted
    none, a deletion          remains that nobody knew are being deleted
    running, none             it runs, as far as the watch of pods shows
    terminating, none         somebody else deletes its pod
    terminated, none          its pod has ended
    failed, none              an operation failed, or its pod is gone
    ========================  ========================================
    """

    def __init__(self, username: str) -> None:
        self.username = username
        self._lock = threading.Lock()
        self._state: LabState | None = None
        self._operation: AnyOperation | None = None
        self._newest: AnyOperation | None = None
        self._pod_uid: str | None = None
        self._observed: Observation | None = None
        self._last_state: LabState | None = None
        self._changes = 0

    # --- Reading ---------------------------------------------------------

    @property
    def state(self) -> LabState | None:
        """State of the lab; None if the user has none."""
        return self._state

    @property
    def operation(self) -> AnyOperation | None:
        """What is being done to the lab now."""
        return self._operation

    @property
    def newest(self) -> AnyOperation | None:
        """The newest operation, which may be over; None if none ever began."""
        return self._newest

    @property
    def last_state(self) -> LabState | None:
        """The lab as it is, or was when the newest operation began."""
        return self._state or self._last_state

    @property
    def changes(self) -> int:
        """Grows with every change; shows whether an observation is stale."""
        return self._changes

    # --- Operations ------------------------------------------------------

    def check_free(self) -> None:
        """Check that a lab may be created, as far as is known.

        Raises
        ------
        OperationInProgressError
            Raised if an operation is in progress.
        LabExistsError
            Raised if there is an active lab.
        """
        with self._lock:
            self._check_free()

    def begin_spawn(self, operation: AnyOperation, state: LabState) -> LabState | None:
        """Begin to create a lab; return the remains of an earlier one.

        Raises
        ------
        OperationInProgressError, LabExistsError
            Raised as by `check_free`.
        """
        with self._lock:
            self._check_free()
            remains = self._state
            self._begin(operation, state)
            self._state = state
            self._pod_uid = None
            return remains

    def begin_monitor(
        self, operation: AnyOperation, state: LabState, seen: int
    ) -> bool:
        """Begin to go on with a spawn that an earlier process began.

        Returns
        -------
        bool
            False if the record has changed since ``seen``.
        """
        with self._lock:
            if self._changes != seen or self._operation is not None:
                return False
            self._begin(operation, state)
            self._state = state
            return True

    def begin_delete(
        self, operation: AnyOperation
    ) -> tuple[AnyOperation, AnyOperation | None]:
        """Begin to delete the lab, or join the deletion that is in progress.

        Returns
        -------
        tuple
            The deletion in progress (the given one, unless there was one
            already), and the spawn that has to be cancelled for it.

        Raises
        ------
        UnknownUserError
            Raised if there is no lab.
        """
        with self._lock:
            current = self._operation
            if current is not None and current.kind is OperationKind.DELETE:
                return current, None
            if self._state is None:
                raise UnknownUserError(self.username)
            self._begin(operation, self._state)
            self._state = replace(
                self._state, status=LabStatus.TERMINATING, internal_url=None
            )
            return operation, current

    def begin_cancellation(self, operation: AnyOperation, spawn: AnyOperation) -> bool:
        """Begin to delete what a spawn has made; False if that is over."""
        with self._lock:
            if self._operation is not spawn or self._state is None:
                return False
            self._begin(operation, self._state)
            self._state = replace(
                self._state, status=LabStatus.TERMINATING, internal_url=None
            )
            return True

    def begin_removal(self, operation: AnyOperation, seen: int) -> bool:
        """Begin to delete what is left of a lab, found by a reconciliation.

        Returns
        -------
        bool
            False if the record has changed since ``seen``.
        """
        with self._lock:
            if self._changes != seen or self._operation is not None:
                return False
            self._begin(operation, self._state)
            if self._state is not None:
                self._state = replace(
                    self._state, status=LabStatus.TERMINATING, internal_url=None
                )
            return True

    def end(self, operation: AnyOperation, state: LabState | None) -> None:
        """End an operation, unless another has taken over meanwhile."""
        with self._lock:
            if self._operation is not operation:
                return
            self._operation = None
            self._change(state)
            self._apply_observation()

    def end_failed(self, operation: AnyOperation, status: LabStatus) -> None:
        """End an operation that has failed, unless another has taken over."""
        with self._lock:
            if self._operation is operation and self._state is not None:
                self._state = replace(self._state, status=status)
        self.end(operation, self._state)

    def update(self, operation: AnyOperation, state: LabState, pod_uid: str) -> None:
        """Note how far an operation has come, unless another has taken over."""
        with self._lock:
            if self._operation is operation:
                self._pod_uid = pod_uid
                self._change(state)

    # --- Observations ----------------------------------------------------

    def observe(self, observation: Observation) -> LabState | None:
        """Take note of what a watch says of the lab's pod.

        Returns
        -------
        LabState or None
            The lab as it was, if it ran until now and no operation has to do with
            its end.
        """
        with self._lock:
            self._observed = observation
            if self._operation is not None:
                return None
            before = self._state
            self._apply_observation()
            has_ended = before is not self._state and _is_running(before)
            return before if has_ended and not _is_running(self._state) else None

    def pod_missing(self) -> LabState | None:
        """Take note that the pod of the lab, which was thought active, is gone.

        Returns
        -------
        LabState or None
            The lab as it was, if it was thought to run.
        """
        with self._lock:
            state = self._state
            if self._operation is not None or state is None:
                return None
            if state.status in _ACTIVE:
                self._change(replace(state, status=LabStatus.FAILED))
            return state if _is_running(state) else None

    def adopt(self, state: LabState | None, pod_uid: str | None, seen: int) -> bool:
        """Take over what a reconciliation has found.

        Returns
        -------
        bool
            False if the record has changed since ``seen``.
        """
        with self._lock:
            if self._changes != seen or self._operation is not None:
                return False
            self._pod_uid = pod_uid
            if state != self._state:
                self._change(state)
            return True

    def recall(self, operation: AnyOperation) -> None:
        """Give listeners the events of an operation of an earlier process."""
        with self._lock:
            if self._newest is None:
                self._newest = operation

    # --- With the lock held ----------------------------------------------

    def _check_free(self) -> None:
        if self._operation is not None:
            raise OperationInProgressError(self.username)
        if self._state is not None and self._state.status in _ACTIVE:
            raise LabExistsError(self.username)

    def _begin(self, operation: AnyOperation, state: LabState | None) -> None:
        self._last_state = state or self._last_state
        self._operation = operation
        self._newest = operation
        self._changes += 1

    def _change(self, state: LabState | None) -> None:
        self._state = state
        self._changes += 1

    def _apply_observation(self) -> None:
        observed, state = self._observed, self._state
        if observed is None or state is None or observed.pod_uid != self._pod_uid:
            return
        status = observed.status or LabStatus.FAILED
        # A failed spawn stays failed, whatever becomes of its pod. A pod that
        # runs never waits again: such news are older than the end of the spawn.
        if state.status in (status, LabStatus.FAILED):
            return
        if (state.status, status) == (LabStatus.RUNNING, LabStatus.PENDING):
            return
        state = replace(state, status=status)
        if status is LabStatus.TERMINATING:
            state = replace(state, internal_url=None)
        self._change(state)


def _is_running(state: LabState | None) -> bool:
    return state is not None and state.status is LabStatus.RUNNING


class LabTable:
    """Records of all users; they are added, but never removed.

    Single operations of a dictionary are atomic, so no lock is needed.
    """

    def __init__(self) -> None:
        self._records: dict[str, LabRecord] = {}

    def get(self, username: str) -> LabRecord | None:
        """Record of a user; None if nothing has ever been known."""
        return self._records.get(username)

    def state(self, username: str) -> LabState | None:
        """State of a user's lab; None if they have none."""
        record = self._records.get(username)
        return record.state if record is not None else None

    def get_or_add(self, username: str) -> LabRecord:
        """Record of a user, added if there is none."""
        record = self._records.get(username)
        if record is None:
            record = self._records.setdefault(username, LabRecord(username))
        return record

    def __iter__(self) -> Iterator[LabRecord]:
        return iter(list(self._records.values()))
