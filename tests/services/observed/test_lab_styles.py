"""Labs of three generations are read back alike.

What the others build is made here from what is known of their objects, not with
our builder's own code for it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from nublado.config.model import LabConfig, LabSizeDefinition, TmpSource
from nublado.config.platform import Platform
from nublado.models.domain.gafaelfawr import (
    GafaelfawrUser,
    Group,
    NotebookQuota,
    UserInfo,
)
from nublado.models.domain.image import ImageSelection, ResolvedImage
from nublado.models.domain.kubernetes import JSON
from nublado.models.domain.lab import LabSpecification, LabState, LabStatus
from nublado.models.domain.resources import LabResources, Resources
from nublado.services.builder.lab import LabBuilder
from nublado.services.observed.lab_state import rebuild_state
from tests.services.builder.conftest import IMAGE, NEW_STYLE, PLATFORM

_SIZES = ("small", "medium", "large")
_MIB = 2**20


@dataclass(frozen=True)
class Request:
    """Who wants which lab of which deployment."""

    config: LabConfig
    user: UserInfo
    spec: LabSpecification
    platform: Platform


@dataclass(frozen=True)
class Objects:
    """What a controller reads of a lab."""

    env: JSON
    pod: JSON
    quota: JSON | None


Build = Callable[[Request], Objects]


def ours(request: Request) -> Objects:
    """Build as this version does."""
    user = GafaelfawrUser(request.user, "gt-token")
    builder = LabBuilder(request.config, request.platform)
    secrets: dict[str, dict[str, str]] = {}
    objects = builder.build(user, request.spec, IMAGE, secrets, None, "{}")
    quotas = [o for o in objects.others if o["kind"] == "ResourceQuota"]
    return Objects(objects.env_config_map, objects.pod, quotas[0] if quotas else None)


def release_8_2(request: Request) -> Objects:
    """Build as 8.2 did: limits only, no record, no containers of its own."""
    return _foreign(request, init=[], token_variables=["ACCESS_TOKEN"])


def release_15_1(request: Request) -> Objects:
    """Build as 15.1 does: with standard containers, and variables of its own."""
    objects = _foreign(
        request,
        init=["nublado-std-inithome", "nublado-std-startup"],
        token_variables=["ACCESS_TOKEN", "NUBLADO_TOKEN"],
    )
    objects.env["data"] |= {
        "JUPYTERHUB_ACTIVITY_INTERVAL": "3600",
        "REPERTOIRE_BASE_URL": "https://data.example.org/repertoire",
    }
    return objects


def _foreign(
    request: Request, *, init: list[str], token_variables: list[str]
) -> Objects:
    user, spec = request.user, request.spec
    resources = _size(request).resources
    data = {
        **spec.env,
        "JUPYTER_IMAGE": IMAGE.reference_with_digest,
        "JUPYTER_IMAGE_SPEC": IMAGE.reference_with_digest,
        "IMAGE_DESCRIPTION": IMAGE.display_name,
        "IMAGE_DIGEST": IMAGE.digest,
        "CPU_GUARANTEE": str(resources.requests.cpu),
        "CPU_LIMIT": str(resources.limits.cpu),
        "MEM_GUARANTEE": str(resources.requests.memory),
        "MEM_LIMIT": str(resources.limits.memory),
        **({"DEBUG": "TRUE"} if spec.enable_debug else {}),
        **({"RESET_USER_ENV": "TRUE"} if spec.reset_user_env else {}),
    }
    groups = [{"name": g.name, "id": g.id} for g in user.groups if g.id is not None]
    annotations = {"nublado.lsst.io/user-groups": _json(groups)}
    if user.name:
        annotations["nublado.lsst.io/user-name"] = user.name
    as_user = {"runAsUser": user.uid, "runAsGroup": user.gid, "runAsNonRoot": True}
    notebook = {
        "name": "notebook",
        "image": IMAGE.reference_with_digest,
        "env": [{"name": name} for name in token_variables],
        "securityContext": as_user,
    }
    limit = user.notebook_quota and user.notebook_quota.resources
    quota: JSON | None = None
    if limit:
        hard = {"limits.cpu": str(limit.cpu), "limits.memory": str(limit.memory)}
        quota = {"spec": {"hard": hard}}
    pod = {
        "metadata": {"name": f"{user.username}-nb", "annotations": annotations},
        "spec": {
            "initContainers": [
                {"name": name, "securityContext": {"runAsUser": 0}} for name in init
            ],
            "containers": [notebook],
        },
    }
    return Objects({"data": data}, pod, quota)


def _json(groups: list[dict[str, object]]) -> str:
    entries = (f'{{"name": "{g["name"]}", "id": {g["id"]}}}' for g in groups)
    return f"[{', '.join(entries)}]"


def _size(request: Request) -> LabSizeDefinition:
    return next(s for s in request.config.sizes if s.size == request.spec.size)


# --- What there can be -----------------------------------------------------

_millicores = st.integers(1, 64_000)
_memory = st.integers(1, 2**20).map(lambda mib: mib * _MIB)


@st.composite
def _resources(draw: st.DrawFn) -> LabResources:
    """Limits alone, as in a file for 8.2, or with requests below them."""
    cpu, memory = draw(_millicores), draw(_memory)
    limits = Resources(cpu / 1000, memory)
    if draw(st.booleans()):
        return LabResources.from_limits(limits)
    requests = Resources(draw(st.integers(1, cpu)) / 1000, draw(st.integers(1, memory)))
    return LabResources(limits, requests)


@st.composite
def _requests(draw: st.DrawFn) -> Request:
    distinct = draw(st.lists(_resources(), min_size=3, max_size=3, unique_by=repr))
    config = replace(
        NEW_STYLE.config,
        sizes=tuple(map(LabSizeDefinition, _SIZES, distinct)),
        standard_containers=draw(st.booleans()),
        standard_inithome=draw(st.booleans()),
        tmp_source=draw(st.sampled_from(TmpSource)),
        activity_interval=draw(st.none() | st.floats(1, 1e6)),
    )
    name = draw(st.from_regex(r"[a-z][a-z0-9]{0,10}", fullmatch=True))
    ids = st.integers(0, 2**31 - 1)
    user = UserInfo(
        username=name,
        uid=draw(ids),
        gid=draw(ids),
        name=draw(st.none() | st.text(min_size=1)),
        groups=tuple(draw(st.lists(st.builds(Group, st.just(name), ids), max_size=3))),
        notebook_quota=draw(
            st.none()
            | st.builds(
                NotebookQuota,
                cpu=st.integers(1, 1000).map(float),
                memory_gib=st.integers(1, 1000).map(float),
            )
        ),
    )
    spec = LabSpecification(
        size=draw(st.sampled_from(_SIZES)),
        image=ImageSelection(image_tag="w_2077_43"),
        enable_debug=draw(st.booleans()),
        reset_user_env=draw(st.booleans()),
        env={"JUPYTERHUB_SERVICE_PREFIX": f"/nb/user/{name}/"},
    )
    url = draw(st.sampled_from([None, "https://data.example.org/repertoire"]))
    return Request(config, user, spec, replace(PLATFORM, repertoire_url=url))


# --- Properties ------------------------------------------------------------


def _read_back(build: Build, request: Request) -> LabState:
    objects = build(request)
    pod = objects.pod | {"status": {"phase": "Running"}}
    return rebuild_state(
        request.config, request.user.username, objects.env, pod, objects.quota
    )


@settings(max_examples=200)
@given(_requests())
def test_labs_of_all_releases_are_read_back_alike(request: Request) -> None:
    state = _read_back(ours, request)
    assert state.status is LabStatus.RUNNING
    assert state.user == request.user
    assert state.options.size == request.spec.size
    assert state.options.image == _image(IMAGE)
    assert state.options.enable_debug == request.spec.enable_debug
    assert state.options.reset_user_env == request.spec.reset_user_env
    assert state.resources == _size(request).resources
    assert state.internal_url is not None
    assert _read_back(release_8_2, request) == state
    assert _read_back(release_15_1, request) == state


@settings(max_examples=100)
@given(_requests(), _resources())
def test_size_is_custom_unless_all_four_amounts_agree(
    request: Request, changed: LabResources
) -> None:
    """After an upgrade the same limits may come with other requests."""
    size = _size(request)
    later = LabResources(size.resources.limits, changed.requests)
    sizes = tuple(
        replace(size, resources=later) if s is size else s for s in request.config.sizes
    )
    known = {s.resources: s.size for s in sizes}
    after = replace(request, config=replace(request.config, sizes=sizes))
    for build in (ours, release_8_2, release_15_1):
        objects = build(request)
        pod = objects.pod | {"status": {"phase": "Running"}}
        state = rebuild_state(
            after.config, request.user.username, objects.env, pod, objects.quota
        )
        assert state.options.size == known.get(size.resources, "custom")
        assert state.resources == size.resources


def _image(image: ResolvedImage) -> str:
    return image.reference_with_digest
