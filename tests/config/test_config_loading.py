from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from semver import Version

from nublado.config import check, load
from nublado.config.model import (
    Config,
    ContainerResources,
    DockerSourceConfig,
    FsadminConfig,
    GoogleSourceConfig,
    HomedirSchema,
    HostPathSource,
    ImagesConfig,
    LabConfig,
    LabSizeDefinition,
    NFSSource,
    Profile,
    PullPolicy,
    PVCSource,
    Style,
    TmpSource,
    Volume,
    VolumeMount,
)
from nublado.exceptions import ConfigurationError
from nublado.models.domain.image_filter import ImageFilter, ImageFilters
from nublado.models.domain.resources import LabResources, Resources

AssertAccepted = Callable[[str, str], Config]

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "tests" / "data" / "configs"
EXAMPLES = ROOT.parent / "shared" / "examples"


@pytest.mark.parametrize("name", ["complete", "minimal", "new-style", "standard"])
def test_configurations_of_the_tests_load(name: str) -> None:
    assert check(CONFIGS / f"{name}.yaml") == []


def test_documented_example_loads() -> None:
    assert check(ROOT / "conf" / "config.example.yaml") == []


@pytest.mark.skipif(not EXAMPLES.is_dir(), reason="no configurations of deployments")
@pytest.mark.parametrize("name", ["base", "idfdev", "new-style", "usdfdev"])
def test_configurations_of_deployments_load(name: str) -> None:
    prefix = "labs" if name == "new-style" else "nublado"
    assert load(EXAMPLES / f"{name}.yaml").lab.namespace_prefix == prefix


def test_minimal_configuration_gets_all_defaults() -> None:
    source = DockerSourceConfig(
        repository="library/sketchbook", registry="registry.example.org"
    )
    size = LabSizeDefinition(
        "small", LabResources.from_limits(Resources(1.0, 3 * 2**30)), "3Gi"
    )
    assert load(CONFIGS / "minimal.yaml") == Config(
        lab=LabConfig(namespace_prefix="userlabs", sizes=(size,)),
        images=ImagesConfig(source=source),
    )


def test_complete_configuration_sets_everything() -> None:
    config = load(CONFIGS / "complete.yaml")
    defaults = load(CONFIGS / "minimal.yaml")
    for section in ("lab", "images"):
        for name in getattr(config, section).__slots__:
            value = getattr(getattr(config, section), name)
            assert value != getattr(getattr(defaults, section), name), name
    assert config.profile is Profile.DEVELOPMENT
    assert config.log_level == "WARNING"
    assert config.path_prefix == "/labs"
    assert config.metadata_path == Path("/run/podinfo")
    assert config.runbook_url == "https://docs.example.org/nublado.html"
    assert config.fsadmin == FsadminConfig(pod_name="keeper")
    assert config.metrics
    assert config.watch_reconnect_timeout == 300.0


def test_lab_settings_arrive_normalised() -> None:
    lab = load(CONFIGS / "complete.yaml").lab
    assert lab.home_of("rachel") == "/u/r/rachel/jhome"
    assert lab.homedir_schema is HomedirSchema.INITIAL_THEN_USERNAME
    assert lab.spawn_timeout == 5400.0
    assert lab.tmp_source is TmpSource.DISK
    assert lab.nss.base_passwd == "root:x:0:0:root:/root:/bin/sh\n"
    assert lab.env == {"ANSWER": "42", "GREETING": "hello"}
    assert [mount.container_path for mount in lab.volume_mounts] == [
        "/u",
        "/scratch",
        "/project",
    ]
    assert lab.volume_mounts[2].sub_path == "a/b"
    assert [volume.source for volume in lab.volumes][:2] == [
        NFSSource(server="192.0.2.1", server_path="/home"),
        HostPathSource(path="/scratch"),
    ]
    claim = lab.volumes[2].source
    assert isinstance(claim, PVCSource)
    assert claim.resources == {"requests": {"storage": "1Ti"}}
    assert lab.init_containers[0].image.reference.endswith("/inithome:1.10")
    assert lab.init_containers[0].image.pull_policy is PullPolicy.ALWAYS


def test_sizes_keep_how_memory_is_written() -> None:
    assert load(CONFIGS / "complete.yaml").lab.sizes == (
        LabSizeDefinition(
            "tiny", LabResources.from_limits(Resources(0.5, 3 * 2**29)), "1.5GiB"
        ),
        LabSizeDefinition(
            "custom", LabResources.from_limits(Resources(16.0, 2**36)), "68719476736"
        ),
    )


def test_affinity_is_in_the_spelling_of_kubernetes() -> None:
    affinity = load(CONFIGS / "complete.yaml").lab.affinity
    assert affinity["podAntiAffinity"] == {
        "requiredDuringSchedulingIgnoredDuringExecution": [
            {
                "topologyKey": "kubernetes.io/hostname",
                "labelSelector": {"matchLabels": {"app": "batch"}},
                "namespaceSelector": {},
                "matchLabelKeys": ["release"],
                "mismatchLabelKeys": ["team"],
            }
        ]
    }
    required = affinity["nodeAffinity"][
        "requiredDuringSchedulingIgnoredDuringExecution"
    ]
    assert required["nodeSelectorTerms"][0]["matchExpressions"][2] == {
        "key": "cores",
        "operator": "Gt",
        "values": ["7"],
    }


def test_tolerations_leave_out_what_is_unset() -> None:
    tolerations = load(CONFIGS / "complete.yaml").lab.tolerations
    assert [toleration.to_kubernetes() for toleration in tolerations] == [
        {
            "key": "dedicated",
            "operator": "Equal",
            "value": "labs",
            "effect": "NoSchedule",
        },
        {
            "key": "node.kubernetes.io/unreachable",
            "operator": "Exists",
            "effect": "NoExecute",
            "tolerationSeconds": 30,
        },
        {"operator": "Exists", "effect": "PreferNoSchedule"},
    ]


def test_google_source_and_file_servers() -> None:
    config = load(CONFIGS / "complete.yaml")
    assert config.images.source == GoogleSourceConfig(
        "us-central1", "example-project", "sciplat", "sciplat-lab"
    )
    assert config.fileserver is not None
    assert config.fileserver.path_prefix == "/dav"
    assert config.fileserver.resources == ContainerResources(
        Resources(2.0, 4 * 2**30), Resources(0.5, 512 * 2**20)
    )


def test_configuration_in_the_style_of_15_1() -> None:
    config = load(CONFIGS / "new-style.yaml")
    lab = config.lab
    assert config.style is Style.NEW
    assert lab.standard_containers
    assert lab.runtime_mounts_dir == "/etc/nublado"
    assert lab.activity_interval == 3600.0
    assert lab.tmp_source is TmpSource.DISK
    assert lab.init_containers[0].command == ("/usr/bin/site-setup", "--quiet")
    gib = 2**30
    assert lab.sizes == (
        LabSizeDefinition(
            "small", LabResources(Resources(1.0, 4 * gib), Resources(0.25, gib))
        ),
        LabSizeDefinition(
            "medium", LabResources(Resources(2.0, 8 * gib), Resources(0.5, 2 * gib))
        ),
        LabSizeDefinition(
            "large",
            LabResources(Resources(4.0, 16 * gib), Resources(1.0, 4 * gib)),
            "16Gi",
        ),
    )
    assert [size.label for size in lab.sizes] == [
        "Small (1.0 CPU, 4Gi RAM)",
        "Medium (2.0 CPU, 8Gi RAM)",
        "Large (4.0 CPU, 16Gi RAM)",
    ]
    assert config.images.prepull_timeout == 1200.0
    assert config.fileserver is not None
    assert config.fileserver.image is None
    assert config.fileserver.reconcile_interval == 1800.0


@pytest.mark.parametrize(
    ("section", "fragment"),
    [
        ("", "fsadmin: {}"),
        ("", "logProfile: production"),
        ("", "log_profile: development"),
        ("lab", "emptyDirSource: memory"),
        ("lab", "standardInithome: false"),
        (
            "lab",
            "homeVolumeName: a\n"
            "volumes: [{name: a, source: {type: hostPath, path: /a}}]",
        ),
        (
            "lab",
            "sizes: [{size: tiny, resources: {limits: {cpu: 1, memory: 2},"
            " requests: {cpu: 1, memory: 2}}}]",
        ),
    ],
)
def test_any_key_of_15_1_makes_a_file_new(
    section: str, fragment: str, assert_accepted: AssertAccepted
) -> None:
    config = assert_accepted(section, fragment)
    assert config.style is Style.NEW
    assert config.lab.standard_containers
    assert config.lab.runtime_mounts_dir == "/etc/nublado"
    assert config.lab.activity_interval == 3600.0


@pytest.mark.parametrize(
    ("section", "fragment"),
    [
        ("", "fsadmin: null\nlogProfile: null"),
        ("", "profile: development\nwatchReconnectTimeout: 1m"),
        ("lab", "tmpSource: disk\nreconcileInterval: 1m\ndefaultSize: small"),
        ("images", "dockerCredentialsPath: /a\nprepullTimeout: 1m"),
    ],
)
def test_other_keys_leave_a_file_old(
    section: str, fragment: str, assert_accepted: AssertAccepted
) -> None:
    config = assert_accepted(section, fragment)
    assert config.style is Style.OLD
    assert not config.lab.standard_containers
    assert config.lab.runtime_mounts_dir == "/opt/lsst/software/jupyterlab"
    assert config.lab.activity_interval is None


def test_standard_containers_can_be_had_and_done_without(
    assert_accepted: AssertAccepted,
) -> None:
    old = assert_accepted("lab", "standardContainers: true")
    assert (old.style, old.lab.standard_containers) == (Style.OLD, True)
    new = assert_accepted("lab", "emptyDirSource: disk\nstandardContainers: false")
    assert (new.style, new.lab.standard_containers) == (Style.NEW, False)


def test_settings_with_two_names_can_be_given_by_either(
    assert_accepted: AssertAccepted,
) -> None:
    assert assert_accepted("", "logProfile: development").profile == "development"
    assert assert_accepted("lab", "emptyDirSource: disk").lab.tmp_source == "disk"
    images = assert_accepted("images", "dockerCredentialsPath: /a/b").images
    assert isinstance(images.source, DockerSourceConfig)
    assert images.source.credentials_path == Path("/a/b")


def test_resources_take_millicores(assert_accepted: AssertAccepted) -> None:
    config = assert_accepted(
        "lab",
        "sizes: [{size: tiny, resources: {limits: {cpu: 1.125, memory: 16G},"
        " requests: {cpu: 500m, memory: 1.5Gi}}}]",
    )
    (size,) = config.lab.sizes
    assert size.resources == LabResources(
        Resources(1.125, 16 * 10**9), Resources(0.5, 3 * 2**29)
    )
    assert size.label == "Tiny (1.125 CPU, 14.9Gi RAM)"


def test_fsadmin_is_enabled_by_its_section_even_if_that_is_empty(
    assert_accepted: AssertAccepted,
) -> None:
    assert assert_accepted("", "").fsadmin is None
    assert assert_accepted("", "fsadmin: null").fsadmin is None
    assert assert_accepted("", "fsadmin: {}").fsadmin == FsadminConfig()


def test_fsadmin_has_settings_of_its_own(assert_accepted: AssertAccepted) -> None:
    config = assert_accepted(
        "fsadmin",
        """
        podName: keeper
        timeout: 3m
        mountPrefix: /users/
        extraVolumes: [{name: a, source: {type: hostPath, path: /a}}]
        extraVolumeMounts: [{containerPath: /a, volumeName: a}]
        resources: {limits: {cpu: 1, memory: 4Gi}}
        nodeSelector: {disk: fast}
        """,
    )
    assert config.fsadmin == FsadminConfig(
        pod_name="keeper",
        timeout=180.0,
        mount_prefix="/users",
        extra_volumes=(Volume("a", HostPathSource("/a")),),
        extra_volume_mounts=(VolumeMount("/a", "a"),),
        resources=ContainerResources(limits=Resources(1.0, 4 * 2**30)),
        node_selector={"disk": "fast"},
    )


def test_dropdown_menu_has_a_filter_for_each_kind(
    assert_accepted: AssertAccepted,
) -> None:
    config = assert_accepted(
        "dropdownMenu",
        """
        release: {number: 5, cutoffVersion: 27.0.0, cutoffBuild: 3}
        weekly: {age: 78w}
        daily: {number: 0, cutoffDate: 2026-01-01}
        releaseCandidate: {cutoffDate: "2026-01-01 12:30"}
        experimental: {cutoff_date: "2026-01-01T12:00:00+02:00"}
        """,
    )
    assert config.dropdown_menu == ImageFilters(
        release=ImageFilter(number=5, cutoff_version=Version(27), cutoff_build=3),
        weekly=ImageFilter(age=78 * 7 * 86400.0),
        daily=ImageFilter(number=0, cutoff_date=datetime(2026, 1, 1, tzinfo=UTC)),
        release_candidate=ImageFilter(
            cutoff_date=datetime(2026, 1, 1, 12, 30, tzinfo=UTC)
        ),
        experimental=ImageFilter(cutoff_date=datetime(2026, 1, 1, 10, tzinfo=UTC)),
    )


@pytest.mark.parametrize("empty", ["null", "{}", "[]", ""])
def test_empty_optional_settings_mean_the_default(
    empty: str, assert_accepted: AssertAccepted
) -> None:
    required = {"lab", "images", "style"}
    if empty == "{}":
        required.add("fsadmin")
    names = {
        "lab": set(LabConfig.__slots__) - {"namespace_prefix", "sizes"},
        "images": set(ImagesConfig.__slots__) - {"source"},
        "": set(Config.__slots__) - required,
    }
    for section, settings in names.items():
        fragment = "\n".join(f"{name}: {empty}" for name in sorted(settings))
        config = assert_accepted(section, fragment)
        assert config == assert_accepted("", "")


def test_empty_text_in_tolerations_and_affinities_means_the_default(
    assert_accepted: AssertAccepted,
) -> None:
    config = assert_accepted(
        "lab",
        """
        tolerations: [{key: a, operator: "", value: "", effect: ""}]
        affinity: {nodeAffinity: "", podAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: ""}}
        """,
    )
    plain = assert_accepted("lab", "tolerations: [{key: a}]")
    assert config.lab.tolerations == plain.lab.tolerations
    assert not (config.lab.affinity or {}).get("nodeAffinity")


def test_arguments_of_the_start_command_may_be_empty(
    assert_accepted: AssertAccepted,
) -> None:
    config = assert_accepted("lab", "labStartCommand: [run, '', lab]")
    assert config.lab.lab_start_command == ("run", "", "lab")


def test_numbers_stand_for_the_text_they_are_written_as(
    assert_accepted: AssertAccepted,
) -> None:
    config = assert_accepted(
        "lab",
        """
        env: {A: 1.10, B: 0777, C: 1e3, D: 2024-01-31, E: 12:30}
        initContainers: [{name: a, image: {repository: b, tag: 1.0}}]
        """,
    )
    assert config.lab.env == {
        "A": "1.10",
        "B": "0777",
        "C": "1e3",
        "D": "2024-01-31",
        "E": "12:30",
    }
    assert config.lab.init_containers[0].image.tag == "1.0"


def test_quoted_numbers_and_booleans_are_understood(
    assert_accepted: AssertAccepted,
) -> None:
    config = assert_accepted(
        "fileserver", 'enabled: "True"\nidleTimeout: "90"\nresources: {}'
    )
    assert config.fileserver is not None
    assert config.fileserver.idle_timeout == 90.0
    assert config.fileserver.resources is None
    assert assert_accepted("images", 'cycle: "27"').images.cycle == 27


def test_keys_that_look_like_other_types_are_text(
    assert_accepted: AssertAccepted,
) -> None:
    config = assert_accepted("lab", "nodeSelector: {on: yes-please, 1: '2'}")
    assert config.lab.node_selector == {"on": "yes-please", "1": "2"}


def test_merge_keys_fill_what_is_not_given(assert_accepted: AssertAccepted) -> None:
    config = assert_accepted(
        "lab",
        """
        initContainers:
        - &first {name: a, image: {repository: b, tag: c}, privileged: true}
        - {<<: *first, name: d}
        """,
    )
    assert [(c.name, c.privileged) for c in config.lab.init_containers] == [
        ("a", True),
        ("d", True),
    ]


@pytest.mark.parametrize("enabled", ["", "  enabled: false", '  enabled: "false"'])
def test_disabled_file_servers_are_not_looked_at(
    enabled: str, assert_accepted: AssertAccepted
) -> None:
    config = assert_accepted(
        "",
        f"fileserver:\n{enabled}\n  namespace: NOT VALID\n  bogus: [1]\n"
        "  volumeMounts: [{volumeName: nothing}]",
    )
    assert config.fileserver is None


def test_prefixes_may_be_nested_where_no_route_is_hidden(
    assert_accepted: AssertAccepted,
) -> None:
    config = assert_accepted("fileserver", "pathPrefix: /nublado/files//")
    assert config.fileserver is not None
    assert config.fileserver.path_prefix == "/nublado/files"


def test_mounts_beside_reserved_paths_are_allowed(
    assert_accepted: AssertAccepted,
) -> None:
    config = assert_accepted(
        "lab",
        """
        volumes: [{name: a, source: {type: hostPath, path: /a}}]
        volumeMounts:
        - {containerPath: /tmp/a, volumeName: a}
        - {containerPath: /etc, volumeName: a, subPath: etc}
        - {containerPath: /etc/passwd.d, volumeName: a, subPath: ''}
        """,
    )
    assert [mount.sub_path for mount in config.lab.volume_mounts] == [None, "etc", None]


def test_all_problems_are_reported_in_the_order_of_the_file() -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(CONFIGS / "broken.yaml")
    assert [(p.path, p.line) for p in caught.value.problems] == [
        ("logLevel", 1),
        ("lab.spawnTimout", 4),
        ("lab.spawnTimeout", 5),
        ("lab.sizes[0].cpu", 8),
        ("lab.sizes[0].memory", 9),
        ("lab.sizes[1].size", 10),
        ("lab.volumes[0].source.path", 17),
        ("lab.volumeMounts[0].containerPath", 19),
        ("lab.volumeMounts[1].volumeName", 22),
        ("images.source.repository", 24),
    ]
    assert f"{CONFIGS / 'broken.yaml'}:5: lab.spawnTimeout: must" in str(caught.value)


def test_paths_are_spelled_as_in_the_file(tmp_path: Path) -> None:
    text = (CONFIGS / "complete.yaml").read_text().replace("volume_name: home", "")
    (tmp_path / "config.yaml").write_text(text)
    assert [problem.path for problem in check(tmp_path / "config.yaml")] == [
        "lab.init_containers[0].volume_mounts[0].volumeName",
        "lab.volume_mounts[0].volumeName",
        "fileserver.volume_mounts[0].volumeName",
    ]


def test_file_is_read_again_each_time(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    shutil.copy(CONFIGS / "minimal.yaml", path)
    assert check(path) == []
    path.write_text("{}")
    assert [problem.path for problem in check(path)] == ["lab", "images"]
