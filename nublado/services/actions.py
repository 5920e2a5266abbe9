"""What operators do by hand: each is logged and alerted, with who did it."""

from __future__ import annotations

from collections.abc import Callable

from nublado.exceptions import NotSupportedError, UnknownUserError
from nublado.models.domain.history import Asker
from nublado.services.alerts import Alerts
from nublado.services.fileserver.service import FileserverService
from nublado.services.lab.labs import LabService

__all__ = ["OperatorActions"]


class OperatorActions:
    """Does what operators want done.

    Parameters
    ----------
    labs
        Labs of all users.
    fileservers
        File servers; None where they are disabled.
    refresh
        Begins to list images and nodes again.
    prepull
        Begins to pull what nodes lack.
    alerts
        Is told of all that is done.
    """

    def __init__(
        self,
        *,
        labs: LabService,
        fileservers: FileserverService | None,
        refresh: Callable[[], None],
        prepull: Callable[[], None],
        alerts: Alerts,
    ) -> None:
        self._labs = labs
        self._fileservers = fileservers
        self._refresh = refresh
        self._prepull = prepull
        self._alerts = alerts

    def delete_lab(self, username: str, by: str) -> None:
        """Delete a lab and wait until it is gone; raises as `LabService.delete`."""
        record = self._labs.table.get(username)
        if record is None or record.state is None:
            raise UnknownUserError(username)
        self._alerts.announce("Operator deletes lab", user=username, by=by)
        self._labs.delete(username, Asker.OPERATOR)

    def delete_fileserver(self, username: str, by: str) -> None:
        """Delete a file server and wait until it is gone.

        Raises
        ------
        NotSupportedError
            Raised if file servers are disabled.
        UnknownUserError
            Raised if the user has none.
        FileserverDeletionError
            Raised if it cannot be deleted.
        """
        if self._fileservers is None:
            raise NotSupportedError
        if not self._fileservers.is_running(username):
            raise UnknownUserError(username)
        self._alerts.announce("Operator deletes file server", user=username, by=by)
        self._fileservers.delete(username)

    def refresh(self, by: str) -> None:
        """Begin to list images and nodes again."""
        self._alerts.announce("Operator refreshes images", by=by)
        self._refresh()

    def prepull(self, by: str) -> None:
        """Begin to pull what nodes lack.

        Raises
        ------
        KubernetesError
            Raised if the pods of an earlier prepuller cannot be listed.
        """
        self._alerts.announce("Operator starts prepulling", by=by)
        self._prepull()
