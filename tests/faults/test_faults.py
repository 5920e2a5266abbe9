"""The short form of the soak: one round without excuses, one with everything."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests

from tests.faults.soak import Soak, make_stack

_SEED = 79
_SECONDS = 15.0


@pytest.mark.timeout(900)
def test_users_and_faults(tmp_path: Path) -> None:
    with (tmp_path / "service.log").open("w+") as log, make_stack(log) as stack:
        soak = Soak(stack, _SEED, 12, print)
        soak.round(_SECONDS, gentle=True)
        soak.round(_SECONDS, gentle=False)
        summary = soak.journal.summary()
        assert not soak.journal.violations, summary
        expected = {"kill -9", "SIGTERM", "API server restarted"}
        assert expected <= set(soak.journal.faults), summary
        assert soak.journal.checks["spawn succeeds"] > 0, summary

        lost = next(player for player in soak.players if player.uid is not None)
        namespaces = f"{stack.endpoints.kubernetes}/api/v1/namespaces"
        requests.delete(f"{namespaces}/{lost.user.namespace}", timeout=60)
        soak.check()
    assert any(lost.name in violation for violation in soak.journal.violations)
