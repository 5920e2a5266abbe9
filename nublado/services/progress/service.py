"""Collects what is known of a user's lab, for the page about it."""

from __future__ import annotations

import time

from nublado.config.model import LabConfig
from nublado.services.history import History
from nublado.services.image import ImageService
from nublado.services.lab.labs import LabService
from nublado.services.progress.image import LabImage
from nublado.services.progress.page import Known, Progress, describe_progress
from nublado.storage.kubernetes.watcher import Watcher

__all__ = ["ProgressService"]

_SEEN_SECONDS = 900.0
"""How long a node may be behind with the list of its images."""


class ProgressService:
    """Describes labs to their users; costs no requests.

    Parameters
    ----------
    config
        Configuration of labs.
    labs
        Labs of all users.
    images
        Knows what images are called, and where they are.
    history
        What was done for users.
    pods
        Watch of pods, by which labs are known to run.
    blind_after
        After how many seconds without it what is known of labs is out of date.
    """

    def __init__(
        self,
        *,
        config: LabConfig,
        labs: LabService,
        images: ImageService,
        history: History,
        pods: Watcher,
        blind_after: float = 20.0,
    ) -> None:
        self._config = config
        self._labs = labs
        self._images = images
        self._history = history
        self._pods = pods
        self._blind_after = blind_after

    def describe(self, username: str) -> Progress:
        """Describe the newest operation of a user, and what became of their lab.

        Raises
        ------
        UnknownUserError
            Raised if none ever began.
        """
        operation = self._labs.operation(username)
        record = self._labs.table.get_or_add(username)
        state, last = record.state, record.last_state
        lab = state or last
        reference = lab.options.image if lab is not None else ""
        is_going_on = record.operation is operation
        now, spawns = time.time(), self._history.spawns() if is_going_on else ()
        seen = {
            spawn.node
            for spawn in spawns
            if spawn.node is not None
            and spawn.image == reference
            and now - spawn.ended.timestamp() < _SEEN_SECONDS
        }
        return describe_progress(
            Known(
                operation=operation,
                state=state,
                last_state=last,
                image=LabImage.named(reference, self._images.inventory, seen),
                history=self._history.of(username),
                spawns=spawns,
                sizes=self._config.sizes,
                now=now,
                is_blind=self._pods.lost > self._blind_after,
            )
        )
