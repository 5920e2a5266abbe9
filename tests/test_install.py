"""Installation tells how far it is, and why it failed."""

from __future__ import annotations

import sys

import pytest

from tools.install import InstallationError, run


def test_output_is_told_only_of_what_fails(capsys: pytest.CaptureFixture[str]) -> None:
    lines: list[str] = []
    run([sys.executable, "-c", "print('fine')"], note=lines.append)
    assert lines == ["fine\n"]
    script = "import sys; print('trying'); sys.exit('no such package')"
    with pytest.raises(InstallationError) as failure:
        run([sys.executable, "-c", script])
    assert "has failed with 1:" in str(failure.value)
    assert "no such package" in str(failure.value)
    assert capsys.readouterr().out == ""


def test_silence_is_broken(capsys: pytest.CaptureFixture[str]) -> None:
    # Ends only once it has been said that it takes long.
    run([sys.executable, "-c", "import time; time.sleep(0.5)"], silence=0.05)
    assert "still at it" in capsys.readouterr().out
