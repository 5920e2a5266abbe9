"""Which refusals for want of permission may pass."""

from __future__ import annotations

from nublado.storage.kubernetes.rights import Right, Rights

CREATE = Right("create", "Namespace", cluster_wide=True)
DELETE = Right("delete", "Namespace", cluster_wide=True)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_right_that_was_never_granted_is_missing() -> None:
    assert not Rights().note_refused(CREATE)


def test_a_right_that_was_granted_may_come_back_for_a_while() -> None:
    clock = Clock()
    rights = Rights(clock)
    rights.note_granted(CREATE)
    clock.now += 3600
    for _ in range(10):
        assert rights.note_refused(CREATE)
        clock.now += 3
    clock.now += 1
    assert not rights.note_refused(CREATE)
    rights.note_granted(CREATE)
    assert rights.note_refused(CREATE)


def test_refusals_long_ago_do_not_count() -> None:
    clock = Clock()
    rights = Rights(clock)
    rights.note_granted(CREATE)
    assert rights.note_refused(CREATE)
    clock.now += 3600
    assert rights.note_refused(CREATE)


def test_a_server_that_is_not_settled_may_refuse_anything() -> None:
    clock = Clock()
    rights = Rights(clock)
    rights.note_granted(CREATE)
    assert not rights.note_refused(DELETE)
    clock.now += 3600
    assert rights.note_refused(CREATE)
    assert rights.note_refused(DELETE)
    clock.now += 3600
    rights.note_unreachable()
    assert rights.note_refused(DELETE)
    clock.now += 29
    assert rights.note_refused(DELETE)
    clock.now += 2
    assert not rights.note_refused(DELETE)
