"""Users who spawn, watch, delete and spawn again, whatever strikes."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus

import requests

from tests.e2e.users import User
from tests.faults.journal import Journal
from tests.faults.strikes import Field

__all__ = ["Player"]

_PATIENCE = 100.0
_DELETED = frozenset(
    {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE}
)
_TERMINAL = frozenset({"complete", "failed"})
_INTERRUPTED = "service was interrupted"


@dataclass(frozen=True, slots=True)
class _Event:
    operation: str
    number: int
    kind: str
    message: str


class Player:
    """One user, and JupyterHub on their behalf.

    Parameters
    ----------
    name
        Username.
    field
        Where they play.
    journal
        Notes what they do and see.
    """

    def __init__(self, name: str, field: Field, journal: Journal) -> None:
        self.name = name
        self.uid: str | None = None
        self.node: str | None = None
        self._field = field
        self._journal = journal
        self._gentle = False

    @property
    def user(self) -> User:
        """The user, at the place where the service is now."""
        return User(self._field.stack, self.name)

    def status(self) -> str | None:
        """Status of the lab; None if there is none.

        Raises
        ------
        requests.RequestException
            Raised if the service is away.
        """
        answer = self.user.state()
        if answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
            raise requests.ConnectionError("the service is starting or stopping")
        known = answer.status_code in (HTTPStatus.OK, HTTPStatus.NOT_FOUND)
        self._journal.check("state is told", known, f"{self.name}: {answer.text}")
        self._journal.did("asked for state")
        found = answer.json()["status"] if answer.status_code == HTTPStatus.OK else None
        return found if found is None else str(found)

    def play(
        self, chance: random.Random, over: threading.Event, *, gentle: bool
    ) -> None:
        """Do what users do, until the round is over.

        Where the strikes are gentle, nothing that they ask for may fail.
        """
        self._gentle = gentle
        while not over.wait(chance.uniform(0.0, 0.6)):
            try:
                self._turn(chance)
            except requests.RequestException:
                # The service is away; users try again.
                self._journal.did("found the service away")
        self._end()

    def keep(self, over: threading.Event) -> None:
        """Use a lab that runs, without ever ending it."""
        while not over.wait(0.3):
            if self.is_excused():
                return
            try:
                status = self.status()
            except requests.RequestException:
                continue
            if not self.is_excused():
                what = f"{self.name} is {status}"
                self._journal.check("kept lab is running", status == "running", what)

    def is_excused(self) -> bool:
        """Whether the lab has been taken away by the cluster itself."""
        return self.name in self._field.hit or self.node in self._field.lost_nodes

    # --- Turns -----------------------------------------------------------

    def _turn(self, chance: random.Random) -> None:
        kills = self._field.kills
        match self.status():
            case None | "failed" | "terminated":
                self._create(chance, kills)
            case "running":
                self._use(chance)
            case "pending":
                self._wait(chance, kills)
            case _:
                self._delete()

    def _create(self, chance: random.Random, kills: int) -> None:
        answers = self._ask_for_labs(2 if chance.random() < 0.2 else 1)
        accepted = answers[HTTPStatus.CREATED]
        self._journal.did("lab accepted", accepted)
        if self._gentle:
            self._journal.check(
                "one lab per user", accepted <= 1, f"{self.name}: {answers}"
            )
            allowed = {HTTPStatus.CREATED, HTTPStatus.CONFLICT, 503, 0}
            strange = set(answers) - allowed
            self._journal.check("create is answered", not strange, strange)
        if not accepted:
            return
        dice = chance.random()
        if dice < 0.15:
            time.sleep(chance.uniform(0.0, 0.5))
            self._delete()
        elif dice < 0.3:
            self._glance()
        else:
            end = self._follow()
            self._check_end(end, kills)

    def _ask_for_labs(self, count: int) -> Counter[int]:
        """Ask so many times at once; an answer that never came counts as 0."""
        answers: Counter[int] = Counter()

        def ask() -> None:
            try:
                status = self.user.create().status_code
            except requests.RequestException:
                status = 0
            answers[status] += 1

        threads = [threading.Thread(target=ask) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return answers

    def _use(self, chance: random.Random) -> None:
        dice = chance.random()
        if dice < 0.4:
            self._delete()
        elif dice < 0.5:
            status = self.user.create().status_code
            self._journal.did("asked for a second lab")
            # The first one may have been lost just now, with its node.
            may_be_lost = bool(self.is_excused() or self._field.lost_nodes)
            self._journal.check(
                "one lab per user",
                status != HTTPStatus.CREATED or (may_be_lost and not self._gentle),
                f"{self.name} was granted a second lab",
            )
        elif dice < 0.6:
            self._follow()

    def _wait(self, chance: random.Random, kills: int) -> None:
        dice = chance.random()
        if dice < 0.2:
            self._delete()
        elif dice < 0.3:
            self._glance()
        else:
            end = self._follow()
            self._check_end(end, kills)

    def _delete(self) -> None:
        answer = self.user.delete()
        self._journal.did(f"delete answered {answer.status_code}")
        if self._gentle:
            fine = answer.status_code in _DELETED
            self._journal.check("delete succeeds", fine, answer.text)

    def _end(self) -> None:
        """At the end of a round, half of the users log out."""
        if hash_of(self.name) % 2:
            return
        try:
            self._delete()
        except requests.RequestException:
            self._journal.did("found the service away")

    # --- Event streams ---------------------------------------------------

    def _glance(self) -> None:
        """Look at the events, and close the page at once."""
        with self.user.stream() as response:
            if response.status_code == HTTPStatus.OK:
                next(_events(response), None)
        self._journal.did("closed a stream early")

    def _check_end(self, seen: list[_Event], kills: int) -> None:
        """A spawn that was accepted and never deleted has a good end.

        Unless it was killed before its environment config map existed: then it
        fails and says so, or nothing is known of it.
        """
        if not self._gentle:
            return
        if seen and not any(_INTERRUPTED in event.message for event in seen[-2:]):
            what = f"{self.name}: {[event.message for event in seen]}"
            self._journal.check("spawn succeeds", seen[-1].kind == "complete", what)
        else:
            killed = self._field.kills > kills
            self._journal.check("spawn is not lost", killed, self.name)

    def _follow(self) -> list[_Event]:
        """Follow the events to their end, as a browser does.

        None come if the service knows of none, which may be after a crash.
        """
        deadline = time.monotonic() + _PATIENCE
        seen: list[_Event] = []
        while time.monotonic() < deadline:
            try:
                known = self._listen(seen)
            except requests.RequestException:
                known = True
            if seen and seen[-1].kind in _TERMINAL:
                self._check_events(seen)
                return seen
            if not known:
                return []
            self._journal.did("stream reconnected")
            time.sleep(0.2)
        told = [event.message for event in seen]
        what = f"{self.name} waits for ever: {told}"
        self._journal.check("stream has an end", False, what)
        return []

    def _listen(self, seen: list[_Event]) -> bool:
        """Collect what a connection brings; False if there are no events."""
        last = seen[-1] if seen else None
        headers = {"Last-Event-ID": f"{last.operation}:{last.number}"} if last else {}
        with self.user.stream(**headers) as response:
            self._journal.did("stream opened")
            if response.status_code == HTTPStatus.NOT_FOUND:
                return False
            if response.status_code != HTTPStatus.OK:
                return True
            for event in _events(response):
                after_end = bool(seen) and seen[-1].kind in _TERMINAL
                same = after_end and seen[-1].operation == event.operation
                self._journal.check("one last event", not same, event)
                seen.append(event)
                self._journal.did("event seen")
        return True

    def _check_events(self, seen: list[_Event]) -> None:
        """Each operation's events came in order, each of them once."""
        numbers: dict[str, list[int]] = {}
        for event in seen:
            numbers.setdefault(event.operation, []).append(event.number)
        for told in numbers.values():
            whole = told == list(range(1, len(told) + 1))
            self._journal.check("events come in order", whole, f"{self.name} {told}")


def hash_of(name: str) -> int:
    """A number that depends on a name alone, in every process."""
    return sum(name.encode())


def _events(response: requests.Response) -> Iterator[_Event]:
    fields: dict[str, str] = {}
    for line in response.iter_lines(chunk_size=1, decode_unicode=True):
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
            continue
        if "data" in fields:
            operation, _, number = fields["id"].rpartition(":")
            message = fields["data"]
            yield _Event(operation, int(number), fields["event"], message)
        fields = {}
