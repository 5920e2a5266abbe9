"""Every fault is told of in every place, in words that name its cause."""

from __future__ import annotations

from pathlib import Path

import pytest

from nublado.models.domain.problem import ProblemKind
from tests.faults.diagnoses import FAULTS, Fault, diagnose, scene

_TO_THE_END = (ProblemKind.GAFAELFAWR, ProblemKind.KUBERNETES_FAILS)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_fault_is_told(fault: Fault, tmp_path: Path) -> None:
    with scene(tmp_path) as running:
        to_its_end = fault.kind in _TO_THE_END
        told = diagnose(running, fault, to_its_end=to_its_end)
        assert told.cause
        if fault.kind is ProblemKind.GAFAELFAWR:
            # One alert for all requests that it has failed.
            assert "Internal error" not in running.log.read_text()
