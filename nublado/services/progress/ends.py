"""What has happened to a lab since it started, for its user."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from nublado.models.domain.history import Asker, HistoryEntry, HistoryKind
from nublado.models.domain.text import Memory, Text
from nublado.services.observed.pod_end import EndReason
from nublado.services.progress.sizes import Sizes

__all__ = ["LabEnd", "ends_of_lab", "who_stopped"]

_MOST = 5
_KINDS = (HistoryKind.LAB_ENDED, HistoryKind.LAB_RESTARTED)


@dataclass(frozen=True, slots=True)
class LabEnd:
    """When a lab ended or was restarted unasked, why, and what can be done.

    Parameters
    ----------
    moment
        When.
    was_restarted
        Whether it was started again by its machine.
    happened, remedy
        Why, and what can be done.
    details
        The reason in Kubernetes' words.
    """

    moment: datetime
    was_restarted: bool
    happened: Text
    remedy: Text
    details: str


_STOPPED = {
    Asker.USER: Text("You have stopped it."),
    Asker.HUB: Text(
        "JupyterHub has stopped it: you or an operator asked it to, it took too long to"
        " start, or nobody had used the lab for a while."
    ),
    Asker.OPERATOR: Text("An operator of this platform has stopped it."),
    Asker.SERVICE: Text("What was left of it has been cleared away."),
}
_WORDS: Mapping[str, tuple[Text, Text]] = {
    EndReason.EVICTED: (
        Text("The machine of your lab ran short of something and had to end it."),
        Text("What was not saved is lost. Start another lab: any machine will do."),
    ),
    EndReason.NODE_LOST: (
        Text("The machine that your lab ran on has failed."),
        Text("What was not saved is lost. Start another lab."),
    ),
    EndReason.DELETED: (
        Text("Somebody has removed your lab, neither you nor this service."),
        Text(
            "If you do not know why, ask the operators of this platform, with the"
            " details below."
        ),
    ),
    EndReason.EXITED: (
        Text("JupyterLab has ended, without an error."),
        Text(
            "If you have shut it down from its own menu, all is well. Start another"
            " lab at any time."
        ),
    ),
}
_PROGRAM_FAILED = (
    Text("JupyterLab has ended with an error."),
    Text(
        "What was not saved is lost. Start another lab. If it ends again, tell the"
        " operators of this platform, with the details below."
    ),
)
_RESTARTED = (
    Text("JupyterLab has ended with an error, and was started again."),
    Text("What was not saved is lost, and so is what ran in it: open your lab anew."),
)


def ends_of_lab(
    history: Sequence[HistoryEntry], since: float | None, sizes: Sizes
) -> tuple[LabEnd, ...]:
    """Tell what happened to the newest lab of a user since it started.

    Deletions of what was left of it do not matter here.

    Parameters
    ----------
    history
        What is known of the user, the newest first.
    since
        Only what is newer counts (seconds since the epoch); None for all since the
        last spawn.
    sizes
        The sizes around that of the lab.
    """
    ends = _since_last_spawn(history)
    if since is not None:
        ends = (entry for entry in ends if entry.ended.timestamp() >= since)
    return tuple(_describe(entry, sizes) for entry in ends)[:_MOST]


def who_stopped(asker: Asker) -> Text:
    """Say who has wanted a lab deleted."""
    return _STOPPED[asker]


def _since_last_spawn(history: Sequence[HistoryEntry]) -> Iterator[HistoryEntry]:
    for entry in history:
        if entry.kind is HistoryKind.SPAWN:
            return
        if entry.kind in _KINDS:
            yield entry


def _describe(entry: HistoryEntry, sizes: Sizes) -> LabEnd:
    was_restarted = entry.kind is HistoryKind.LAB_RESTARTED
    if entry.cause == EndReason.OUT_OF_MEMORY:
        happened, remedy = _out_of_memory(sizes, was_restarted=was_restarted)
    elif was_restarted:
        happened, remedy = _RESTARTED
    else:
        happened, remedy = _WORDS.get(entry.cause or "", _PROGRAM_FAILED)
    return LabEnd(entry.ended, was_restarted, happened, remedy, entry.reason or "")


def _out_of_memory(sizes: Sizes, *, was_restarted: bool) -> tuple[Text, Text]:
    memory = Memory(sizes.limits.memory) if sizes.limits is not None else None
    if memory is None:
        happened = Text("Your lab ran out of memory.")
    elif was_restarted:
        happened = Text(
            "Your lab needed more than %(memory)s of memory, and was started again.",
            memory=memory,
        )
    else:
        happened = Text("Your lab needed more than %(memory)s.", memory=memory)
    if sizes.larger is None:
        return happened, Text(
            "What was not saved is lost. There is no larger size for you: work with"
            " less data at a time, and shut down notebooks that you do not need."
        )
    return happened, Text(
        "What was not saved is lost. For this work, choose %(size)s, which has"
        " %(memory)s.",
        size=sizes.larger.size.title(),
        memory=Memory(sizes.larger.resources.limits.memory),
    )
