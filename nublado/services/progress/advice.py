"""What has gone wrong, in words that people use, and what can be done about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from nublado.models.domain.failure import Cause
from nublado.models.domain.text import Memory, Text
from nublado.services.progress.sizes import Sizes

__all__ = [
    "DELETION_FAILED",
    "Advice",
    "advise",
    "words_while_waiting",
]


@dataclass(frozen=True, slots=True)
class Advice:
    """What has happened, and what can be done about it."""

    happened: Text
    remedy: Text


_ADVICE: Mapping[Cause, Advice] = {
    Cause.IMAGE: Advice(
        Text("The image that you chose could not be fetched."),
        Text(
            "Try again in a few minutes, or choose another image. If that fails as"
            " well, tell the operators of this platform, with the details below."
        ),
    ),
    Cause.IMAGE_MISSING: Advice(
        Text("The image that you chose does not exist any more."),
        Text("Choose another image, such as the recommended one."),
    ),
    Cause.IMAGE_DENIED: Advice(
        Text("This platform may not fetch the image that you chose, or it is gone."),
        Text(
            "Choose another image, such as the recommended one. If that fails as"
            " well, tell the operators of this platform, with the details below."
        ),
    ),
    Cause.NO_NODE: Advice(
        Text("No machine could take your lab."),
        Text(
            "Try again in a few minutes. If it fails again, tell the operators of"
            " this platform, with the details below."
        ),
    ),
    Cause.STORAGE: Advice(
        Text("Your files could not be reached: their storage did not answer."),
        Text(
            "Nothing of them is lost. Try again in a few minutes. If it fails again,"
            " tell the operators of this platform, with the details below."
        ),
    ),
    Cause.MACHINE: Advice(
        Text("The machine that was found for your lab could not start it."),
        Text(
            "Try again: perhaps another machine is found. If it fails again, tell the"
            " operators of this platform, with the details below."
        ),
    ),
    Cause.INIT_FAILED: Advice(
        Text(
            "Your home directory could not be made ready: a program of this platform"
            " that does so before each start failed."
        ),
        Text(
            "That has nothing to do with the image or the size that you chose. Tell"
            " the operators of this platform, with the details below."
        ),
    ),
    Cause.EVICTED: Advice(
        Text("The machine of your lab ran short of something and ended it."),
        Text("Try again: another machine will be found."),
    ),
    Cause.NODE_LOST: Advice(
        Text("The machine on which your lab was starting has failed."),
        Text("Try again: another machine will be found."),
    ),
    Cause.POD_DELETED: Advice(
        Text("Somebody removed your lab while it was starting."),
        Text(
            "Try again. If it happens again, ask the operators of this platform, with"
            " the details below."
        ),
    ),
    Cause.PROGRAM_ENDED: Advice(
        Text("JupyterLab ended while it was starting."),
        Text(
            "Try again with “Reset user environment” checked, which moves your own"
            " settings and packages aside. If that does not help, tell the operators"
            " of this platform, with the details below."
        ),
    ),
    Cause.NOT_SET_UP: Advice(
        Text("This platform is not set up completely: something is missing in it."),
        Text(
            "You can do nothing about that. Tell the operators of this platform, with"
            " the details below."
        ),
    ),
    Cause.REFUSED: Advice(
        Text("The cluster that runs the labs has refused something."),
        Text(
            "Try again in a few minutes. If it fails again, tell the operators of"
            " this platform, with the details below."
        ),
    ),
    Cause.KUBERNETES: Advice(
        Text("The cluster that runs the labs did not answer."),
        Text(
            "Try again in a few minutes. If it fails again, tell the operators of"
            " this platform, with the details below."
        ),
    ),
    Cause.TIMED_OUT: Advice(
        Text("Your lab took too long to start."),
        Text(
            "Try again: much of the work is done by now. If it fails again, tell the"
            " operators of this platform, with the details below."
        ),
    ),
    Cause.TIMED_OUT_CREATING: Advice(
        Text("The cluster that runs the labs took too long to set yours up."),
        Text(
            "Try again in a few minutes. If it fails again, tell the operators of"
            " this platform, with the details below."
        ),
    ),
    Cause.TIMED_OUT_SCHEDULING: Advice(
        Text("No machine was found for your lab in time."),
        Text(
            "Try again in a few minutes. If it fails again, tell the operators of"
            " this platform, with the details below."
        ),
    ),
    Cause.TIMED_OUT_PREPARING: Advice(
        Text("Getting your home directory ready took too long."),
        Text(
            "Try again. If it fails again, tell the operators of this platform, with"
            " the details below."
        ),
    ),
    Cause.TIMED_OUT_PULLING: Advice(
        Text("Fetching the image that you chose took too long."),
        Text(
            "Try again: part of it has been fetched by now. The recommended image is"
            " on the machines already, as a rule."
        ),
    ),
    Cause.TIMED_OUT_STARTING: Advice(
        Text("The machine took too long to start JupyterLab."),
        Text(
            "Try again. If it fails again, tell the operators of this platform, with"
            " the details below."
        ),
    ),
    Cause.INTERRUPTED: Advice(
        Text("The service was interrupted before your lab had started."),
        Text("Try again."),
    ),
    Cause.INTERNAL: Advice(
        Text("Something went wrong that should not."),
        Text(
            "Try again. If it fails again, tell the operators of this platform, with"
            " the details below."
        ),
    ),
}

DELETION_FAILED = Advice(
    Text("Something keeps your lab from being removed."),
    Text(
        "Try again in a few minutes. If it fails again, tell the operators of this"
        " platform, with the details below."
    ),
)

_WAITING: Mapping[Cause, Text] = {
    Cause.IMAGE: Text("The image cannot be fetched yet; it is tried again."),
    Cause.IMAGE_MISSING: Text(
        "The image does not seem to exist any more; it is tried again. You can cancel"
        " this, and choose another image."
    ),
    Cause.IMAGE_DENIED: Text(
        "The image is not given out to this platform; it is tried again. You can"
        " cancel this, and choose another image."
    ),
    Cause.NO_ROOM: Text("No machine has room for a lab of this size yet."),
    Cause.NO_NODE: Text("No machine can take your lab yet."),
    Cause.STORAGE: Text("The storage of your files does not answer yet."),
    Cause.MACHINE: Text("The machine has trouble to start your lab; it tries again."),
    Cause.INIT_FAILED: Text(
        "That has failed, and is tried again. It has nothing to do with the image or"
        " the size that you chose."
    ),
    Cause.PROGRAM_ENDED: Text("Starting JupyterLab has failed; it is tried again."),
    Cause.NOT_SET_UP: Text(
        "Something is missing that this platform should have; it is tried again."
    ),
}


def advise(cause: Cause, sizes: Sizes) -> Advice:
    """Say why a lab could not be started, and what can be done.

    Another size is only suggested where the size is to blame, and is one that the
    user may have.

    Parameters
    ----------
    cause
        What has gone wrong.
    sizes
        The sizes around that of the lab.
    """
    by_size = _BY_SIZE.get(cause)
    return by_size(sizes) if by_size is not None else _ADVICE[cause]


def words_while_waiting(cause: Cause) -> Text | None:
    """Say what keeps a lab waiting that may still start."""
    return _WAITING.get(cause)


def _no_room(sizes: Sizes) -> Advice:
    happened = Text("No machine had room for a lab of this size.")
    if sizes.smaller is None:
        return Advice(
            happened,
            Text(
                "Try again in a few minutes. If it fails again, tell the operators of"
                " this platform, with the details below."
            ),
        )
    return Advice(
        happened,
        Text(
            "Try again in a few minutes, or choose a smaller size, such as %(size)s.",
            size=sizes.smaller.size.title(),
        ),
    )


def _quota(sizes: Sizes) -> Advice:
    happened = Text("A lab of this size is more than you may use.")
    if sizes.smaller is None:
        return Advice(happened, Text("Ask the operators of this platform for more."))
    return Advice(
        happened,
        Text(
            "Choose a smaller size, such as %(size)s. If you need this one, ask the"
            " operators of this platform.",
            size=sizes.smaller.size.title(),
        ),
    )


def _out_of_memory(sizes: Sizes) -> Advice:
    if sizes.limits is None:
        happened = Text("Your lab ran out of memory while it was starting.")
    else:
        happened = Text(
            "Your lab needed more than %(memory)s of memory while it was starting.",
            memory=Memory(sizes.limits.memory),
        )
    if sizes.larger is None:
        return Advice(
            happened,
            Text(
                "There is no larger size for you. Try again with “Reset user"
                " environment” checked, which moves your own settings and packages"
                " aside. If that does not help, tell the operators of this platform,"
                " with the details below."
            ),
        )
    return Advice(
        happened,
        Text(
            "Choose %(size)s, which has %(memory)s.",
            size=sizes.larger.size.title(),
            memory=Memory(sizes.larger.resources.limits.memory),
        ),
    )


_BY_SIZE: Mapping[Cause, Callable[[Sizes], Advice]] = {
    Cause.NO_ROOM: _no_room,
    Cause.QUOTA: _quota,
    Cause.OUT_OF_MEMORY: _out_of_memory,
}
