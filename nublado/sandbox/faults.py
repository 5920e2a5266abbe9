"""Faults that the servers of the sandbox make on request.

They say what goes wrong on the wire; what goes wrong in the cluster (slow
pulls, evictions, lost nodes) belongs to its controllers.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field

from aiohttp import web
from aiohttp.typedefs import Middleware

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.connections import hang_up, send_half_and_reset
from nublado.sandbox.fault_rules import TARGETS, FaultRule
from nublado.sandbox.typed_json import parse
from nublado.sandbox.watch_faults import WatchFaults

__all__ = ["TARGETS", "FaultRule", "Faults", "WatchFaults"]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_SILENCE_SECONDS = 0.5
"""How often a request that is not answered looks whether that is over."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    rules: list[JSON] = field(default_factory=list)
    watch: JSON = field(default_factory=dict)
    seed: int | None = None


class Faults:
    """All faults that are switched on.

    Parameters
    ----------
    seed
        Makes what is random reproducible.

    Attributes
    ----------
    rules
        What goes wrong with requests.
    watch
        What goes wrong with watches.
    """

    def __init__(self, seed: int = 0) -> None:
        self.rules: list[FaultRule] = []
        self.watch = WatchFaults()
        self.random = random.Random(seed)  # noqa: S311 (nothing secret)

    def strikes(self, probability: float) -> bool:
        """Throw the dice."""
        return probability >= 1 or self.random.random() < probability

    def clear(self) -> None:
        """Switch all faults off."""
        self.rules, self.watch = [], WatchFaults()

    def to_json(self) -> JSON:
        """All faults, as `from_json` takes them."""
        rules = [asdict(rule) for rule in self.rules]
        return {"rules": rules, "watch": asdict(self.watch)}

    def from_json(self, data: object) -> None:
        """Replace all faults.

        Parameters
        ----------
        data
            ``rules``, a list of `FaultRule`; ``watch``, `WatchFaults`; and
            ``seed`` for what is random. All may be left out.

        Raises
        ------
        ValueError
            Raised if they cannot be understood; says where. Nothing changes
            then.
        """
        wanted = parse(_Wanted, "faults", data)
        rules = [
            parse(FaultRule, f"rules[{i}]", rule) for i, rule in enumerate(wanted.rules)
        ]
        watch = parse(WatchFaults, "watch", wanted.watch)
        self.rules, self.watch = rules, watch
        if wanted.seed is not None:
            self.random.seed(wanted.seed)

    def middleware(self, target: str) -> Middleware:
        """Make the middleware that lets faults strike one server.

        Parameters
        ----------
        target
            One of `TARGETS`.
        """

        @web.middleware
        async def strike(request: web.Request, handler: Handler) -> web.StreamResponse:
            # The first rule that decides about the answer is the last one.
            ending: str | None = None
            for rule in tuple(self.rules):
                if not rule.matches(target, request.method, request.path_qs):
                    continue
                if not self.strikes(rule.probability):
                    continue
                rule.hits += 1
                await asyncio.sleep(rule.delay)
                if rule.silent:
                    await _until_rules_change(self, rule)
                    return hang_up(request)
                if rule.drop == "before":
                    return hang_up(request)
                ending = ending or rule.drop
                if rule.answers:
                    response: web.StreamResponse = await rule.response(request)
                    return await _end(request, response, ending)
            return await _end(request, await handler(request), ending)

        return strike


async def _end(
    request: web.Request, response: web.StreamResponse, ending: str | None
) -> web.StreamResponse:
    if ending == "after":
        return hang_up(request)
    if ending == "within":
        return await send_half_and_reset(request, response)
    return response


async def _until_rules_change(faults: Faults, rule: FaultRule) -> None:
    while rule in faults.rules:
        await asyncio.sleep(_SILENCE_SECONDS)
