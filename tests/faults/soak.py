"""Users and faults against each other, round after round.

``python -m tests.faults.soak --seconds 1800`` prints what was done, what
struck, what was checked, and every violation; the same ``--seed`` draws the
same faults and the same wishes of users again.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from nublado.sandbox.stack import Stack
from tests.faults.invariants import Invariants
from tests.faults.journal import Journal
from tests.faults.players import Player
from tests.faults.strikes import GENTLE, ROUGH, UNKIND, UNKIND_TO_LABS, Field, Strike

__all__ = ["Soak", "main"]

_CONFIG = Path(__file__).parent.parent / "data" / "configs" / "faults.yaml"
_SETTINGS = {
    "pull_seconds": 0.05,
    "pull_rules": {"sciplat/lab": 1.0},
    "init_seconds": 0.05,
    "termination_delay": 0.05,
}
_STRIKE_SECONDS = (1.0, 5.0)
_KEEPERS = 0.3
_GENTLE_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class _Planned:
    at: float
    strike: Strike
    seconds: float
    seed: str


class Soak:
    """A run of rounds; in each, faults strike, and then calm has to return.

    Parameters
    ----------
    stack
        Sandbox and service, started.
    seed
        Draws everything that is left to chance.
    players
        How many users there are.
    tell
        Is told how it goes.
    unkind
        Whether strikes of a real API server are drawn as well.

    Attributes
    ----------
    journal
        What was done and seen.
    players
        The users.
    """

    def __init__(
        self,
        stack: Stack,
        seed: int,
        players: int,
        tell: Callable[[str], None],
        *,
        unkind: bool = True,
    ) -> None:
        self.journal = Journal()
        self._field = Field(stack, self.journal)
        self._seed = seed
        self._gentle = (*GENTLE, *UNKIND) if unkind else GENTLE
        self._rough = (*ROUGH, *UNKIND_TO_LABS) if unkind else ROUGH
        self.players = [
            Player(f"user{number}", self._field, self.journal)
            for number in range(players)
        ]
        self._invariants = Invariants(self._field, self.players, self.journal)
        self._tell = tell
        self._round = 0

    def round(self, seconds: float, *, gentle: bool) -> None:
        """Play one round and check the invariants after it."""
        self._round += 1
        self._field.hit.clear()
        before = len(self.journal.violations)
        name = f"{self._seed}:{self._round}"
        over = threading.Event()
        plan = self._plan(random.Random(name), seconds, gentle=gentle)
        with ThreadPoolExecutor(len(self.players) + len(plan)) as threads:
            futures = [
                threads.submit(self._play, player, name, over, gentle)
                for player in self.players
            ]
            futures += [threads.submit(self._strike, planned) for planned in plan]
            time.sleep(seconds)
            over.set()
            for future in futures:
                future.result()
        self.check()
        found = self.journal.violations[before:]
        struck = ", ".join(planned.strike.name for planned in plan)
        kind = "gentle" if gentle else "rough"
        self._tell(f"Round {self._round} ({kind}): {struck}; {len(found)} violations")
        for violation in found:
            self._tell(f"Violation: {violation}")

    def check(self) -> None:
        """Check the invariants."""
        self._invariants.check()

    def _plan(
        self, chance: random.Random, seconds: float, *, gentle: bool
    ) -> list[_Planned]:
        latest = max(1.0, seconds - _STRIKE_SECONDS[1])
        return [
            _Planned(
                at=chance.uniform(0.5, latest),
                strike=self._draw(chance, gentle=gentle),
                seconds=chance.uniform(*_STRIKE_SECONDS),
                seed=f"{chance.random()}",
            )
            for _ in range(round(seconds / 3))
        ]

    def _draw(self, chance: random.Random, *, gentle: bool) -> Strike:
        is_gentle = gentle or chance.random() < _GENTLE_SHARE
        strikes = self._gentle if is_gentle else self._rough
        return chance.choices(strikes, [strike.weight for strike in strikes])[0]

    def _strike(self, planned: _Planned) -> None:
        time.sleep(planned.at)
        self.journal.struck(planned.strike.name)
        planned.strike.run(self._field, random.Random(planned.seed), planned.seconds)

    def _play(
        self, player: Player, name: str, over: threading.Event, gentle: bool
    ) -> None:
        chance = random.Random(f"{name}:{player.name}")
        if player.uid is not None and chance.random() < _KEEPERS:
            player.keep(over)
            return
        player.uid = player.node = None
        player.play(chance, over, gentle=gentle)


def main() -> None:
    """Run rounds for so long as was asked for; exits with 1 on violations."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1800.0)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--players", type=int, default=30)
    parser.add_argument("--round", type=float, default=25.0, help="seconds of one")
    parser.add_argument(
        "--unkind",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="with faults of a real API server",
    )
    parser.add_argument("--log", type=Path, help="where the service writes")
    arguments = parser.parse_args()
    print(f"Seed {arguments.seed}", flush=True)
    ends = time.monotonic() + arguments.seconds
    with (
        (
            arguments.log.open("w+") if arguments.log else tempfile.TemporaryFile("w+")
        ) as log,
        make_stack(log) as stack,
    ):
        soak = Soak(
            stack,
            arguments.seed,
            arguments.players,
            _tell,
            unkind=arguments.unkind,
        )
        gentle = True
        while time.monotonic() < ends:
            soak.round(arguments.round, gentle=gentle)
            gentle = not gentle
    print(soak.journal.summary())
    sys.exit(bool(soak.journal.violations))


def make_stack(log) -> Stack:  # type: ignore[no-untyped-def]
    """Make the sandbox and the service that are put under fire."""
    return Stack(_CONFIG, "--settings", json.dumps(_SETTINGS), log=log)


def _tell(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


if __name__ == "__main__":
    main()
