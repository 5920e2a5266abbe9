"""Texts of Kubernetes, as pages show them."""

from __future__ import annotations

from nublado.pages.brief import shorten_digests


def test_digests_are_shortened_and_nothing_else() -> None:
    digest = "34d1db952c3c1e6af2de58494f83d1c012b64bd3d8e79dfe416db7f5b8b8d0f7"
    text = f'Failed to pull "r.org/lab:w_1@sha256:{digest}", sha256:{digest}: no'
    assert shorten_digests(text) == (
        'Failed to pull "r.org/lab:w_1@sha256:34d1db95…", sha256:34d1db95…: no'
    )
    assert shorten_digests(digest) == digest
    assert shorten_digests(None) == ""
