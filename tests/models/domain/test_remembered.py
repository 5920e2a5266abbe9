"""Images as one process leaves them to the next."""

from __future__ import annotations

import gzip
import hashlib
import json

import pytest

from nublado.models.domain.remembered import HeldImages, Manifest, RememberedImages


def _digest(name: str) -> str:
    return f"sha256:{hashlib.sha256(name.encode()).hexdigest()}"


def _images(count: int, *, with_digests: bool) -> RememberedImages:
    tags = [f"w_{2000 + n // 52}_{n % 52:02}" for n in range(count)]
    return RememberedImages(
        registry="registry.example.org",
        repository="sciplat/lab",
        tags={t: Manifest(_digest(t), 1000) if with_digests else None for t in tags},
        nodes={"node": HeldImages("uid", frozenset({_digest("a"), _digest("b")}))},
    )


@pytest.mark.parametrize("with_digests", [False, True])
def test_images_are_read_as_they_were_written(with_digests: bool) -> None:
    images = _images(100, with_digests=with_digests)
    encoded = images.encode(100_000)
    decoded = RememberedImages.decode(encoded)
    assert decoded == images
    assert list(decoded.tags) == list(images.tags)
    assert decoded.encode(100_000) == encoded


def test_forty_thousand_tags_fit() -> None:
    images = _images(40_000, with_digests=False)
    encoded = images.encode(512 * 1024)
    assert RememberedImages.decode(encoded) == images


def test_what_nodes_have_is_left_out_first() -> None:
    images = _images(500, with_digests=True)
    most = len(images.encode(1_000_000)) - 1
    decoded = RememberedImages.decode(images.encode(most))
    assert decoded.nodes == {}
    assert decoded.tags == images.tags


def test_digests_that_matter_least_are_left_out_next() -> None:
    images = _images(5_000, with_digests=True)
    encoded = images.encode(100_000)
    assert 50_000 < len(encoded) <= 100_000
    tags = RememberedImages.decode(encoded).tags
    assert list(tags) == list(images.tags)
    known = [tag for tag, manifest in tags.items() if manifest]
    assert known == list(images.tags)[: len(known)]
    assert len(known) > 1_000


def test_tags_that_matter_least_are_left_out_in_the_end() -> None:
    images = _images(40_000, with_digests=True)
    encoded = images.encode(10_000)
    assert len(encoded) <= 10_000
    tags = RememberedImages.decode(encoded).tags
    assert list(tags) == list(images.tags)[: len(tags)]
    assert len(tags) > 100


def _packed(text: bytes) -> bytes:
    return gzip.compress(text, mtime=0)


_WHOLE = json.loads(gzip.decompress(_images(2, with_digests=True).encode(10_000)))


@pytest.mark.parametrize(
    ("encoded", "why"),
    [
        (b"", "is damaged"),
        (b"not gzip", "is damaged"),
        (_images(99, with_digests=True).encode(100_000)[:-20], "is damaged"),
        (_packed(b"{"), "is damaged"),
        (_packed(b"[" * 100_000), "is damaged"),
        (_packed(b"[]"), "unexpected form"),
        (_packed(b"{}"), "unexpected form"),
        (_packed(json.dumps({**_WHOLE, "format": 2}).encode()), "version"),
        (_packed(json.dumps({**_WHOLE, "tags": 5}).encode()), "unexpected"),
        (_packed(json.dumps({**_WHOLE, "tags": [5]}).encode()), "unexpected"),
        (_packed(json.dumps({**_WHOLE, "nodes": {"a": 1}}).encode()), "unexpec"),
        (_packed(b"\xff"), "is damaged"),
    ],
)
def test_what_cannot_be_used_is_refused(encoded: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        RememberedImages.decode(encoded)


def test_what_is_no_tag_or_digest_is_nothing() -> None:
    content = {**_WHOLE, "tags": ["<none>", "w_1"], "digests": {"w_1": "<none>"}}
    decoded = RememberedImages.decode(_packed(json.dumps(content).encode()))
    assert decoded.tags == {"w_1": None}
