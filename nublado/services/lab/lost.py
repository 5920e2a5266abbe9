"""Spawns that a crash has cut off before another process could go on with them."""

from __future__ import annotations

from nublado.exceptions import SpawnInterruptedError
from nublado.models.domain.failure import Failure
from nublado.models.domain.history import HistoryKind
from nublado.services.lab.context import LabContext
from nublado.services.lab.deletion import remove_lab
from nublado.services.lab.record import LabRecord
from nublado.services.observed.failure import explain
from nublado.services.operation import Operation, OperationKind

__all__ = ["LostSpawn"]


class LostSpawn(Operation[None]):
    """Brings a lost spawn to its end: removes what there is of it, then fails.

    Parameters
    ----------
    labs
        What labs are made with.
    record
        Record of the lab, of which nothing is known.
    """

    kind = OperationKind.SPAWN
    noted_as = HistoryKind.SPAWN
    title = "Lab creation"
    timed_as = "Lab deletion"
    epitaph = "Lab spawn failed"

    def __init__(self, labs: LabContext, record: LabRecord) -> None:
        super().__init__(
            record.username,
            alerts=labs.alerts,
            history=labs.history,
            seconds=labs.config.delete_timeout,
        )
        self._labs = labs
        self._namespace = labs.builder.names(record.username).namespace
        self._record = record

    def begin_removal(self, seen: int, reason: str) -> bool:
        """Begin on the record; False if that has changed since ``seen``."""
        if not self._record.begin_removal(self, seen):
            return False
        self._log.warning("Removing half-made lab", reason=reason)
        return True

    def perform(self) -> None:
        """Remove what there is, so that the user can try again.

        Raises
        ------
        SpawnInterruptedError
            Raised in the end: there will be no lab.
        """
        remove_lab(self._labs, self, at=(5, 12))
        raise SpawnInterruptedError

    def succeed(self, result: None) -> None:
        """Do nothing: it never succeeds."""

    def fail(self, failure: Failure) -> None:
        """Let the user begin again."""
        del failure
        self._record.end(self, None)

    def explain(self, error: Exception) -> Failure:
        """Explain the error by the namespace that has to go."""
        return explain(error, object=f"Namespace {self._namespace}")
