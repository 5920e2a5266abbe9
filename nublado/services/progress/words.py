"""Words for how far it has come, and for each step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from nublado.models.domain.history import SpawnPhase
from nublado.models.domain.text import Text
from nublado.services.observed.steps import DeletionPhase, LabStep, Mark

__all__ = ["Phase", "words_of_phase", "words_of_step"]


class Phase(StrEnum):
    """How far it has come."""

    STARTING = "starting"
    RUNNING = "running"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    STOPPING = "stopping"
    STOPPED = "stopped"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class _StepWords:
    ahead: Text
    now: Text
    done: Text


_PHASES = {
    Phase.STARTING: Text("Your lab is starting"),
    Phase.RUNNING: Text("Your lab is running"),
    Phase.FAILED: Text("Your lab could not be started"),
    Phase.CANCELLED: Text("The start of your lab was cancelled"),
    Phase.INTERRUPTED: Text("The start of your lab was interrupted"),
    Phase.STOPPING: Text("Your lab is being shut down"),
    Phase.STOPPED: Text("Your lab is not running"),
    Phase.ENDED: Text("Your lab has ended"),
}
_NOT_STOPPED = Text("Your lab could not be shut down")
_STEPS: Mapping[SpawnPhase | DeletionPhase, _StepWords] = {
    SpawnPhase.ACCEPTED: _StepWords(
        Text("Accept your request"),
        Text("Accepting your request"),
        Text("Request accepted"),
    ),
    SpawnPhase.CLEARED: _StepWords(
        Text("Clear away what is left of your last lab"),
        Text("Clearing away what is left of your last lab"),
        Text("Last lab cleared away"),
    ),
    SpawnPhase.CREATED: _StepWords(
        Text("Set up your lab"), Text("Setting up your lab"), Text("Lab set up")
    ),
    SpawnPhase.SCHEDULED: _StepWords(
        Text("Find a machine with enough room"),
        Text("Looking for a machine with enough room"),
        Text("Room found on a machine"),
    ),
    SpawnPhase.PREPARED: _StepWords(
        Text("Get your home directory ready"),
        Text("Getting your home directory ready"),
        Text("Home directory ready"),
    ),
    SpawnPhase.PULLED: _StepWords(
        Text("Fetch the image"), Text("Fetching the image"), Text("Image fetched")
    ),
    SpawnPhase.STARTED: _StepWords(
        Text("Start JupyterLab"),
        Text("Starting JupyterLab"),
        Text("JupyterLab started"),
    ),
    DeletionPhase.STOPPED: _StepWords(
        Text("Shut JupyterLab down"),
        Text("Shutting JupyterLab down"),
        Text("JupyterLab shut down"),
    ),
    DeletionPhase.REMOVED: _StepWords(
        Text("Clear away what belonged to your lab"),
        Text("Clearing away what belonged to your lab"),
        Text("What belonged to your lab is cleared away"),
    ),
}
_IMAGE_WAS_THERE = Text("Image was on the machine already")
_IMAGE_READY = Text("Image ready")


def words_of_phase(phase: Phase, *, of_deletion: bool) -> Text:
    """Say how far it has come.

    Parameters
    ----------
    phase
        How far.
    of_deletion
        Whether a deletion has, rather than a spawn.
    """
    if phase is Phase.FAILED and of_deletion:
        return _NOT_STOPPED
    return _PHASES[phase]


def words_of_step(step: LabStep, *, fetched: bool | None) -> Text:
    """Say what a step does, or has done.

    Parameters
    ----------
    step
        The step.
    fetched
        Whether the image had to be fetched; None if that is not known.
    """
    words = _STEPS[step.phase]
    match step.mark:
        case Mark.DONE if step.phase is SpawnPhase.PULLED and fetched is False:
            return _IMAGE_WAS_THERE
        case Mark.DONE if step.phase is SpawnPhase.PULLED and fetched is None:
            return _IMAGE_READY
        case Mark.DONE:
            return words.done
        case Mark.NOW:
            return words.now
        case _:
            return words.ahead
