"""What is refused, setting by setting.

Each case is a section, a fragment of it in which ``# here`` marks the line to
blame, the path to blame, and a part of the message.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

Case = tuple[str, str, str, str]
AssertReported = Callable[[str, str, str, str], None]

_RESOURCES = (
    "resources: {limits: {cpu: 1, memory: 2Gi}, requests: {cpu: 500m, memory: 1Gi}}"
)

TOP: list[Case] = [
    ("", "logLevel: loud # here", "logLevel", "one of DEBUG, INFO"),
    ("", "profile: Production # here", "profile", "production, development"),
    ("", "name: true # here", "name", 'quotes: "true"'),
    ("", "name: '' # here", "name", "must not be empty"),
    ("", "pathPrefix: nublado # here", "pathPrefix", "absolute URL path"),
    ("", "pathPrefix: / # here", "pathPrefix", "other than /"),
    ("", "pathPrefix: /a b # here", "pathPrefix", "absolute URL path"),
    ("", "pathPrefix: /a/../b # here", "pathPrefix", "absolute URL path"),
    ("", "pathPrefix: /metrics # here", "pathPrefix", "own"),
    ("", "runbookUrl: docs/runbook # here", "runbookUrl", "https://docs.example"),
    ("", "runbookUrl: https://a:b@c.org/ # here", "runbookUrl", "nor password"),
    ("", "runbookUrl: https://c.org/r#a # here", "runbookUrl", "nor fragment"),
    ("", "loglevel: INFO # here", "loglevel", 'did you mean "logLevel"?'),
    ("", "log_levl: INFO # here", "log_levl", 'did you mean "logLevel"?'),
    ("", "zzz: 1 # here", "zzz", "known ones are dropdownMenu, fileserver"),
    ("", "logLevel: INFO\nlog_level: INFO # here", "log_level", "keep one"),
    ("", "name: a\nname: b # here", "name", "more than once"),
    ("", "fileserver: x # here", "fileserver", "must be a mapping"),
    ("", "profile: development\nlogProfile: production # here", "logProfile", "keep"),
    ("", "metrics: [a] # here", "metrics", "must be a mapping"),
    ("", "watchReconnectTimeout: 0 # here", "watchReconnectTimeout", "longer than 0"),
    ("", "fileserver: {enabled: 1} # here", "fileserver.enabled", "true or false"),
]

LAB: list[Case] = [
    ("lab", "namespacePrefix: Labs # here", "lab.namespacePrefix", "lower-case"),
    ("lab", "namespacePrefix: -a # here", "lab.namespacePrefix", "at each end"),
    (
        "lab",
        f"namespacePrefix: {'a' * 31} # here",
        "lab.namespacePrefix",
        "at most 30 characters",
    ),
    ("lab", "namespacePrefix: null # here", "lab.namespacePrefix", "not be null"),
    ("lab", "application: a b # here", "lab.application", "letters, digits"),
    ("lab", "deleteTimeout: -1 # here", "lab.deleteTimeout", "negative"),
    ("lab", "deleteTimeout: 0 # here", "lab.deleteTimeout", "longer than 0"),
    ("lab", "spawnTimeout: soon # here", "lab.spawnTimeout", "30s, 5m"),
    ("lab", "spawnTimeout: .inf # here", "lab.spawnTimeout", "reasonable"),
    ("lab", "spawnTimeout: .nan # here", "lab.spawnTimeout", "not nan"),
    ("lab", "spawnTimeout: true # here", "lab.spawnTimeout", "not true"),
    ("lab", "spawn_timeout: [1] # here", "lab.spawn_timeout", "a list"),
    ("lab", "homedirPrefix: home # here", "lab.homedirPrefix", "absolute"),
    ("lab", "homedirPrefix: // # here", "lab.homedirPrefix", "other than /"),
    ("lab", "homedirPrefix: /a:b # here", "lab.homedirPrefix", "':'"),
    ("lab", "homedirSchema: flat # here", "lab.homedirSchema", "username"),
    ("lab", "homedirSuffix: a/../b # here", "lab.homedirSuffix", '".."'),
    ("lab", "homedirSuffix: 'a:b' # here", "lab.homedirSuffix", 'without ":"'),
    ("lab", 'homedirSuffix: "a\\nb" # here', "lab.homedirSuffix", "a path"),
    ("lab", "jupyterlabConfigDir: a # here", "lab.jupyterlabConfigDir", "absolute"),
    ("lab", "runtimeMountsDir: / # here", "lab.runtimeMountsDir", "other than /"),
    ("lab", "labStartCommand: run # here", "lab.labStartCommand", "a list"),
    ("lab", "nodeSelector: [a] # here", "lab.nodeSelector", "a mapping"),
    ("lab", "nodeSelector: {a b: c} # here", 'lab.nodeSelector["a b"]', "a name"),
    ("lab", "nodeSelector: {a: true} # here", "lab.nodeSelector.a", "quotes"),
    ("lab", "nodeSelector: {a: b c} # here", "lab.nodeSelector.a", "at each end"),
    ("lab", "nss: {passwd: x} # here", "lab.nss.passwd", "basePasswd"),
    ("lab", "pullSecret: Pull # here", "lab.pullSecret", "lower-case"),
    ("lab", "tmpSource: ram # here", "lab.tmpSource", "memory, disk"),
    (
        "lab",
        "tmpSource: disk\nempty_dir_source: disk # here",
        "lab.empty_dir_source",
        "",
    ),
    ("lab", "emptyDirSource: ram # here", "lab.emptyDirSource", "memory, disk"),
    ("lab", "defaultSize: large # here", "lab.defaultSize", "not in lab.sizes, which"),
    ("lab", "defaultSize: mega # here", "lab.defaultSize", "fine, diminutive"),
    ("lab", "standardContainers: 1 # here", "lab.standardContainers", "true or false"),
    ("lab", "homeVolumeName: a # here", "lab.homeVolumeName", "which has: none"),
    ("lab", "standardInithome: true # here", "lab.standardInithome", '"home", is not'),
    (
        "lab",
        """
        standardInithome: true # here
        volumes: [{name: home, source: {type: hostPath, path: /a}}]
        """,
        "lab.standardInithome",
        "not in lab.volumeMounts",
    ),
    *(
        (
            "lab",
            f"namespaceAnnotations: {{a/b: '{template}'}} # here",
            'lab.namespaceAnnotations["a/b"]',
            message,
        )
        for template, message in [
            ("{{ uid", "must be a template"),
            ("{{ username }}", "uid and gid only, not username"),
            ("{{ range(3) }}", "uid and gid only, not range"),
            ("{{ uid | nothing }}", "must be a template"),
            ("{{ uid.__class__.__mro__ }}", "must be a template"),
            ("{{ uid // 0 }}", "must be a template"),
        ]
    ),
    ("lab", "colour: red # here", "lab.colour", "unknown key"),
]

SIZES: list[Case] = [
    ("lab", "sizes: [] # here", "lab.sizes", "at least one"),
    ("lab", "sizes: {small: 1} # here", "lab.sizes", "a list"),
    ("lab", "sizes: [small] # here", "lab.sizes[0]", "must be a mapping"),
    *(
        ("lab", f"sizes:\n- {{{size}}} # here", f"lab.sizes[0]{path}", message)
        for size, path, message in [
            ("size: mega, cpu: 1, memory: 1Gi", ".size", "fine, diminutive"),
            ("size: small, cpu: 0, memory: 1Gi", ".cpu", "above zero"),
            ("size: small, cpu: -1, memory: 1Gi", ".cpu", "above zero"),
            ("size: small, cpu: .nan, memory: 1Gi", ".cpu", "above zero"),
            ("size: small, cpu: .inf, memory: 1Gi", ".cpu", "above zero"),
            ("size: small, cpu: true, memory: 1Gi", ".cpu", "not true"),
            ("size: small, cpu: 500m, memory: 1Gi", ".cpu", "such as 0.5"),
            ("size: small, memory: 1Gi", ".cpu", "required"),
            ("size: small, cpu: 1, memory: 0", ".memory", "above zero"),
            ("size: small, cpu: 1, memory: -1", ".memory", "3Gi"),
            ("size: small, cpu: 1, memory: 3m", ".memory", "thousandth"),
            ("size: small, cpu: 1, memory: .inf", ".memory", "3Gi"),
            ("size: small, cpu: 1, memory: 900Ei", ".memory", "more memory than"),
            ("size: small, cpu: 1, memory: {}", ".memory", "a mapping"),
            ("size: small, cpu: 1, memory: 1Gi, gpu: 1", ".gpu", "known ones are"),
        ]
    ),
    *(
        (
            "lab",
            f"sizes:\n- {{size: small, {size}}} # here",
            f"lab.sizes[0]{path}",
            message,
        )
        for size, path, message in [
            (f"cpu: 1, {_RESOURCES}", ".cpu", "beside resources"),
            (f"memory: 1Gi, {_RESOURCES}", ".memory", "beside resources"),
            (
                "resources: {limits: {cpu: 1, memory: 2Gi}}",
                ".resources.requests",
                "required",
            ),
            (
                "resources: {limits: {cpu: 1}, requests: {cpu: 1, memory: 1Gi}}",
                ".resources.limits.memory",
                "required",
            ),
            (_RESOURCES.replace("500m", "2"), ".resources.requests.cpu", "more than"),
            (_RESOURCES.replace("1Gi", "3Gi"), ".resources.requests.memory", "more th"),
            (_RESOURCES.replace("500m", "0.0005"), ".resources.requests.cpu", "three"),
            (_RESOURCES.replace("500m", "0.5m"), ".resources.requests.cpu", "above"),
            (_RESOURCES.replace("500m", "0m"), ".resources.requests.cpu", "above zero"),
        ]
    ),
    (
        "lab",
        """
        sizes:
        - {size: small, cpu: 1, memory: 1Gi}
        - {size: Small, cpu: 2, memory: 2Gi} # here
        """,
        "lab.sizes[1].size",
        "already taken by lab.sizes[0].size",
    ),
]

MAPPINGS: list[Case] = [
    ("lab", "env: {A: true} # here", "lab.env.A", 'quotes: "true"'),
    ("lab", "env: {A: null} # here", "lab.env.A", "not null"),
    ("lab", "env: {A: [b]} # here", "lab.env.A", "a list"),
    ("lab", "env: {1A: b} # here", "lab.env.1A", "environment variable name"),
    ("lab", "env: {A-B: c} # here", "lab.env.A-B", "environment variable name"),
    *(
        ("lab", f"env: {{{name}: a}} # here", f"lab.env.{name}", "reserved")
        for name in (
            "DEBUG",
            "MEM_LIMIT",
            "ACCESS_TOKEN",
            "NUBLADO_TOKEN",
            "JUPYTERHUB_A",
        )
    ),
    ("lab", "env:\n  A: b\n  A: c # here", "lab.env.A", "more than once"),
    ("lab", "extraAnnotations: {a/b/c: d} # here", 'lab.extraAnnotations["a/b/c"]', ""),
    ("lab", "extraAnnotations: {a: true} # here", "lab.extraAnnotations.a", "quotes"),
    (
        "lab",
        f"extraAnnotations: {{a: {'x' * 262144}}} # here",
        "lab.extraAnnotations",
        "at most 262144 bytes",
    ),
    ("lab", "files: {etc/motd: a} # here", 'lab.files["etc/motd"]', "absolute"),
    *(
        ("lab", f'files: {{"{path}": a}} # here', f'lab.files["{path}"]', "reserved")
        for path in ("/tmp", "/tmp/", "//tmp", "/./tmp", "/etc/x/../passwd")
    ),
    ("lab", "files: {/etc/group/a: b} # here", 'lab.files["/etc/group/a"]', "below"),
    ("lab", "files: {/a/b/: c} # here", 'lab.files["/a/b/"]', "path of a file"),
    ("lab", "files: {/.bashrc: a} # here", 'lab.files["/.bashrc"]', '"-bashrc"'),
    ("lab", "files: {/a/Env: b} # here", 'lab.files["/a/Env"]', "every lab has"),
    ("lab", "files: {/a/b: true} # here", 'lab.files["/a/b"]', "quotes"),
    (
        "lab",
        f"files: {{/a/b: {'x' * 1024 * 1024}}} # here",
        "lab.files",
        "at most 1048576 bytes",
    ),
    (
        "lab",
        """
        files:
          /a/x_y.cfg: a
          /b/X-y.cfg: b # here
        """,
        'lab.files["/b/X-y.cfg"]',
        'volume name "x-y-cfg" is already taken by lab.files["/a/x_y.cfg"]',
    ),
    (
        "lab",
        f"""
        files:
          /{"a" * 63}b: a
          /{"a" * 63}c: b # here
        """,
        f'lab.files["/{"a" * 63}c"]',
        "already taken",
    ),
]

SECRETS: list[Case] = [
    *(
        ("lab", f"secrets:\n- {{{secret}}} # here", f"lab.secrets[0]{path}", message)
        for secret, path, message in [
            ("secretName: a", ".secretKey", "required"),
            ("secretName: A, secretKey: b", ".secretName", "lower-case"),
            ("secretName: a, secretKey: token", ".secretKey", "own token"),
            ("secretName: a, secretKey: a b", ".secretKey", "letters, digits"),
            ("secretName: a, secretKey: ..", ".secretKey", "letters, digits"),
            ("secretName: a, secretKey: b, env: DEBUG", ".env", "reserved"),
            ("secretName: a, secretKey: b, env: JUPYTERHUB_X", ".env", "reserved"),
            ("secretName: a, secretKey: b, env: a b", ".env", "variable name"),
            ("secretName: a, secretKey: b, path: c", ".path", "absolute"),
            ("secretName: a, secretKey: b, path: /tmp/", ".path", "reserved"),
            (
                "secretName: a, secretKey: b, path: /opt/lsst/software/jupyterlab/env"
                "ironment",
                ".path",
                "the lab's own environment",
            ),
        ]
    ),
    (
        "lab",
        """
        secrets:
        - {secretName: a, secretKey: k}
        - {secretName: b, secretKey: k} # here
        """,
        "lab.secrets[1].secretKey",
        'secret key "k" is already taken by lab.secrets[0].secretKey',
    ),
    (
        "lab",
        """
        secrets:
        - {secretName: a, secretKey: k, env: KEY}
        - {secretName: a, secretKey: l, env: KEY} # here
        """,
        "lab.secrets[1].env",
        "already taken by lab.secrets[0].env",
    ),
    (
        "lab",
        """
        env: {KEY: a}
        secrets:
        - {secretName: a, secretKey: k, env: KEY} # here
        """,
        "lab.secrets[0].env",
        "already taken by lab.env.KEY",
    ),
    (
        "lab",
        """
        secrets:
        - {secretName: a, secretKey: k, path: /a/b}
        - {secretName: a, secretKey: l, path: /a//b} # here
        """,
        "lab.secrets[1].path",
        "already taken by lab.secrets[0].path",
    ),
    (
        "lab",
        """
        files: {/a/b: c}
        secrets:
        - {secretName: a, secretKey: l, path: /a/./b} # here
        """,
        "lab.secrets[0].path",
        'already taken by lab.files["/a/b"]',
    ),
]


IMAGES: list[Case] = [
    (
        "images",
        "source: {type: docker, repository: a, credentialsPath: /b}\n"
        "dockerCredentialsPath: /b # here",
        "images.dockerCredentialsPath",
        'the same as "source.credentialsPath"',
    ),
    ("images", "refreshInterval: 0 # here", "images.refreshInterval", "longer than 0"),
    ("images", "prepullTimeout: soon # here", "images.prepullTimeout", "30s, 5m"),
    *(
        ("images", f"source: {{{source}}} # here", f"images.source{path}", message)
        for source, path, message in [
            ("repository: a", ".type", "one of docker, google"),
            ("type: docker", ".repository", "required"),
            ("type: docker, repository: A", ".repository", "name of an image"),
            (
                "type: docker, repository: a, registry: https://b",
                ".registry",
                "without https://",
            ),
            ("type: docker, repository: a, registry: b/c", ".registry", "a host name"),
            (
                "type: docker, repository: a, credentialsPath: ''",
                ".credentialsPath",
                "",
            ),
            ("type: docker, repository: a, location: b", ".location", "unknown key"),
            ("type: google, projectId: a, repository: b, image: c", ".location", "req"),
            (
                "type: google, location: a, projectId: B C, repository: b, image: c",
                ".projectId",
                "lower-case",
            ),
        ]
    ),
    ("images", "source: null # here", "images.source", "not be null"),
    ("images", "recommendedTag: a b # here", "images.recommendedTag", "image tag"),
    ("images", "numReleases: -1 # here", "images.numReleases", "at least 0"),
    ("images", "numWeeklies: some # here", "images.numWeeklies", "whole number"),
    ("images", "numDailies: true # here", "images.numDailies", "not true"),
    ("images", "num_dailies: 1.5 # here", "images.num_dailies", "whole number"),
    ("images", "cycle: c27 # here", "images.cycle", "whole number"),
    ("images", "pin: w_2077_40 # here", "images.pin", "a list"),
    ("images", "pin: ['a:b'] # here", "images.pin[0]", "image tag"),
    ("images", "aliasTags: [.a] # here", "images.aliasTags[0]", "image tag"),
]

FILESERVER: list[Case] = [
    *(
        ("fileserver", f"{setting} # here", f"fileserver.{path}", message)
        for setting, path, message in [
            ("namespace: Files", "namespace", "lower-case"),
            ("image: {repository: a}", "image.tag", "required"),
            ("pathPrefix: files", "pathPrefix", "absolute URL path"),
            ("pathPrefix: /", "pathPrefix", "other than /"),
            ("pathPrefix: /nublado/", "pathPrefix", "overlaps"),
            ("pathPrefix: /nublado/spawner/v1", "pathPrefix", "overlaps"),
            ("idleTimeout: 0", "idleTimeout", "longer than 0"),
            ("creationTimeout: -2m", "creationTimeout", "30s, 5m"),
            ("application: a b", "application", "letters"),
            ("tolerations: [{value: a}]", "tolerations[0].key", "required"),
            ("affinity: {x: y}", "affinity.x", "unknown key"),
            ("resources: {limits: {cpu: 1}}", "resources.limits.memory", "required"),
            (
                "resources: {limits: {cpu: 1, memory: 1Gi},"
                " requests: {cpu: 2, memory: 1Gi}}",
                "resources.requests.cpu",
                "more than the limit",
            ),
            (
                "volumeMounts: [{containerPath: /a, volumeName: b}]",
                "volumeMounts[0].volumeName",
                "not in lab.volumes",
            ),
            ("volume: a", "volume", "unknown key"),
        ]
    ),
    (
        "",
        "fileserver: # here\n  enabled: true\n  image: {repository: a, tag: b}",
        "fileserver.namespace",
        "required",
    ),
]

FSADMIN: list[Case] = [
    *(
        ("fsadmin", f"{setting} # here", f"fsadmin.{path}", message)
        for setting, path, message in [
            ("podName: A", "podName", "lower-case"),
            ("timeout: 0", "timeout", "longer than 0"),
            ("mountPrefix: users", "mountPrefix", "absolute"),
            ("image: a", "image", "unknown key"),
            ("resources: {limits: {cpu: 1}}", "resources.limits.memory", "required"),
            (
                "extraVolumeMounts: [{containerPath: /a, volumeName: b}]",
                "extraVolumeMounts[0].volumeName",
                "neither in lab.volumes nor in fsadmin.extraVolumes, which have: none",
            ),
        ]
    ),
    (
        "",
        """
        fsadmin:
          extraVolumes:
          - {name: a, source: {type: hostPath, path: /a}}
          - {name: a, source: {type: hostPath, path: /b}} # here
        """,
        "fsadmin.extraVolumes[1].name",
        "already taken by fsadmin.extraVolumes[0].name",
    ),
    (
        "lab",
        """
        volumes:
        - {name: a, source: {type: hostPath, path: /a}}
        - {name: a, source: {type: hostPath, path: /b}} # here
        """,
        "lab.volumes[1].name",
        "already taken by lab.volumes[0].name",
    ),
]

MENU: list[Case] = [
    ("dropdownMenu", f"{setting} # here", f"dropdownMenu.{path}", message)
    for setting, path, message in [
        ("unknown: {number: 1}", "unknown", "unknown key"),
        ("release: 5", "release", "a mapping"),
        ("release: {number: -1}", "release.number", "at least 0"),
        ("weekly: {age: 1 fortnight}", "weekly.age", "30s, 5m"),
        ("daily: {cutoffDate: yesterday}", "daily.cutoffDate", "2026-01-31"),
        ("daily: {cutoffDate: 2026-02-30}", "daily.cutoffDate", "2026-01-31"),
        ("release: {cutoffVersion: 27.0}", "release.cutoffVersion", "27.0.0"),
        ("weekly: {cutoffVersion: 1.0.0}", "weekly.cutoffVersion", "use cutoffDate"),
        ("daily: {cutoff_version: 1.0.0}", "daily.cutoff_version", "use cutoffDate"),
        ("experimental: {cutoffBuild: new}", "experimental.cutoffBuild", "whole"),
    ]
]


@pytest.mark.parametrize(
    "case",
    [*TOP, *LAB, *SIZES, *MAPPINGS, *SECRETS, *IMAGES, *FILESERVER, *FSADMIN, *MENU],
    ids=lambda case: f"{case[2]}: {case[3]}",
)
def test_problem_is_reported_with_path_and_line(
    case: Case, assert_reported: AssertReported
) -> None:
    assert_reported(*case)
