"""What namespaces that are being deleted say."""

from __future__ import annotations

import pytest

from nublado.models.domain.kubernetes import JSON
from nublado.services.observed.namespaces import describe_hold, goes_with

POD: JSON = {"metadata": {"creationTimestamp": "2026-11-25T18:00:05Z"}}


@pytest.mark.parametrize(
    ("deleted", "goes"),
    [
        (None, False),
        ("2026-11-25T18:00:04Z", False),
        ("2026-11-25T18:00:05Z", False),
        ("2026-11-25T18:00:06Z", True),
    ],
)
def test_a_pod_goes_with_the_namespace_that_goes_after_it_came(
    deleted: str | None, goes: bool
) -> None:
    namespace = {"metadata": {"deletionTimestamp": deleted} if deleted else {}}
    assert goes_with(POD, namespace) is goes


def test_a_pod_of_unknown_age_does_not_go() -> None:
    namespace = {"metadata": {"deletionTimestamp": "2026-11-25T18:00:06Z"}}
    assert not goes_with({"metadata": {}}, namespace)


def test_what_holds_a_namespace_is_named() -> None:
    namespace = {
        "metadata": {"finalizers": ["example.com/a"]},
        "spec": {"finalizers": ["kubernetes", "example.com/b"]},
        "status": {
            "conditions": [
                {"type": "NamespaceDeletionDiscoveryFailure", "status": "False"},
                {
                    "type": "NamespaceContentRemaining",
                    "status": "True",
                    "message": "Some resources are remaining",
                },
            ]
        },
    }
    assert describe_hold(namespace) == (
        "NamespaceContentRemaining: Some resources are remaining;"
        " finalizers example.com/a, example.com/b"
    )


def test_a_namespace_without_reasons() -> None:
    namespace = {"metadata": {}, "spec": {"finalizers": ["kubernetes"]}}
    assert describe_hold(namespace) == "Kubernetes gives no reason"
