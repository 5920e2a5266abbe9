"""What is refused in containers, volumes, mounts and scheduling.

Each case is a section, a fragment of it in which ``# here`` marks the line to
blame, the path to blame, and a part of the message.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

Case = tuple[str, str, str, str]
AssertReported = Callable[[str, str, str, str], None]

INIT_CONTAINERS: list[Case] = [
    *(
        ("lab", f"initContainers:\n- {{{it}}} # here", f"lab.initContainers[0]{p}", m)
        for it, p, m in [
            ("name: a", ".image", "required"),
            ("name: notebook, image: {repository: a, tag: b}", ".name", "notebook"),
            ("name: A, image: {repository: a, tag: b}", ".name", "lower-case"),
            (f"name: {'a' * 64}, image: {{repository: a, tag: b}}", ".name", "63"),
            ("name: a, image: {tag: b}", ".image.repository", "required"),
            ("name: a, image: {repository: a}", ".image.tag", "required"),
            ("name: a, image: {repository: A, tag: b}", ".image.repository", "name of"),
            ("name: a, image: {repository: 'a:b', tag: b}", ".image.repository", ""),
            ("name: a, image: {repository: a, tag: -b}", ".image.tag", "image tag"),
            ("name: a, image: {repository: a, tag: b@c}", ".image.tag", "sha256"),
            ("name: a, image: {repository: a, tag: true}", ".image.tag", "quotes"),
            (
                "name: a, image: {repository: a, tag: b, pullPolicy: always}",
                ".image.pullPolicy",
                "Always, IfNotPresent, Never",
            ),
            (
                "name: a, image: {repository: a, tag: b}, privileged: root",
                ".privileged",
                "true or false",
            ),
            (
                "name: a, image: {repository: a, tag: b},"
                " volumeMounts: [{containerPath: /a, volumeName: b}]",
                ".volumeMounts[0].volumeName",
                '"b" is not in lab.volumes, which has: none',
            ),
        ]
    ),
    (
        "lab",
        """
        initContainers:
        - {name: a, image: {repository: a, tag: b}}
        - {name: a, image: {repository: a, tag: b}} # here
        """,
        "lab.initContainers[1].name",
        "already taken by lab.initContainers[0].name",
    ),
    (
        "lab",
        """
        volumes:
        - {name: home, source: {type: hostPath, path: /home}}
        initContainers:
        - name: a
          image: {repository: a, tag: b}
          volumeMounts:
          - {containerPath: /home, volumeName: home}
          - {containerPath: /home/, volumeName: home} # here
        """,
        "lab.initContainers[0].volumeMounts[1].containerPath",
        "already taken by lab.initContainers[0].volumeMounts[0].containerPath",
    ),
]

PVC = "type: persistentVolumeClaim, storageClassName: s"
STORAGE = "resources: {requests: {storage: 1Gi}}"

VOLUMES: list[Case] = [
    *(
        ("lab", f"volumes:\n- {{{volume}}} # here", f"lab.volumes[0]{path}", message)
        for volume, path, message in [
            ("name: a", ".source", "required"),
            ("name: a_b, source: {type: hostPath, path: /a}", ".name", "lower-case"),
            ("name: tmp, source: {type: hostPath, path: /a}", ".name", "every lab"),
            ("name: a, source: x", ".source", "a mapping"),
            ("name: a, source: {path: /a}", ".source.type", "one of hostPath, nfs"),
            ("name: a, source: {type: [nfs]}", ".source.type", "a list"),
            ("name: a, source: {type: smb}", ".source.type", 'not "smb"'),
            ("name: a, source: {type: hostPath, path: a}", ".source.path", "absolute"),
            ("name: a, source: {type: hostPath, path: /a/../b}", ".source.path", ".."),
            ("name: a, source: {type: nfs, serverPath: /a}", ".source.server", "req"),
            (
                "name: a, source: {type: nfs, server: b, serverPath: a}",
                ".source.serverPath",
                "absolute",
            ),
            (
                "name: a, source: {type: nfs, server: b, serverPath: /a, path: /c}",
                ".source.path",
                "unknown key",
            ),
            (
                f"name: a, source: {{{PVC}, accessModes: [], {STORAGE}}}",
                ".source.accessModes",
                "at least one",
            ),
            (
                f"name: a, source: {{{PVC}, accessModes: [RWX], {STORAGE}}}",
                ".source.accessModes[0]",
                "ReadWriteOnce, ReadOnlyMany",
            ),
            (
                f"name: a, source: {{{PVC}, {STORAGE},"
                " accessModes: [ReadWriteOncePod, ReadWriteMany]}",
                ".source.accessModes",
                "must not combine",
            ),
            (
                f"name: a, source: {{{PVC}, accessModes: [ReadWriteOnce]}}",
                ".source.resources",
                "required",
            ),
            (
                f"name: a, source: {{{PVC}, accessModes: [ReadWriteOnce],"
                " resources: {requests: {cpu: 1}}}",
                ".source.resources.requests.storage",
                "required",
            ),
            *(
                (
                    f"name: a, source: {{{PVC}, accessModes: [ReadWriteOnce],"
                    f" resources: {{requests: {{storage: {amount}}}}}}}",
                    ".source.resources.requests.storage",
                    "Kubernetes quantity above zero",
                )
                for amount in ("10GiB", "-1Gi", "0", "0.0Gi", "some", "1 Gi")
            ),
        ]
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
    (
        "lab",
        """
        files:
          /etc/motd: hello # here
        volumes:
        - {name: motd, source: {type: hostPath, path: /a}}
        """,
        'lab.files["/etc/motd"]',
        'volume name "motd" is already taken by lab.volumes[0].name',
    ),
]

HOME = "volumes: [{name: home, source: {type: hostPath, path: /home}}]"

MOUNTS: list[Case] = [
    *(
        (
            "lab",
            f"{HOME}\nvolumeMounts:\n- {{{mount}}} # here",
            f"lab.volumeMounts[0]{path}",
            message,
        )
        for mount, path, message in [
            ("volumeName: home", ".containerPath", "required"),
            ("containerPath: /home", ".volumeName", "required"),
            ("containerPath: /home, volumeName: hom", ".volumeName", "has: home"),
            ("containerPath: home, volumeName: home", ".containerPath", "absolute"),
            ("containerPath: /, volumeName: home", ".containerPath", "other than /"),
            ("containerPath: '/a:b', volumeName: home", ".containerPath", "':'"),
            *(
                (f"containerPath: {path}, volumeName: home", ".containerPath", "reserv")
                for path in (
                    "/tmp",
                    "/tmp/",
                    "//tmp",
                    "/./tmp",
                    "/foo/../tmp",
                    "/etc/passwd",
                    "/etc//group/.",
                )
            ),
            (
                "containerPath: /opt/lsst/software/jupyterlab/secrets/,"
                " volumeName: home",
                ".containerPath",
                "the lab's own secrets",
            ),
            ("containerPath: /a, volumeName: home, subPath: /b", ".subPath", "relativ"),
            ("containerPath: /a, volumeName: home, subPath: a/../b", ".subPath", ".."),
            ("containerPath: /a, volumeName: home, readOnly: 1", ".readOnly", "true"),
            ("containerPath: /a, volumeName: home, readonly: true", ".readonly", "Onl"),
        ]
    ),
    (
        "lab",
        f"""
        {HOME}
        runtimeMountsDir: /opt/nublado/
        volumeMounts:
        - {{containerPath: /opt/nublado/runtime, volumeName: home}} # here
        """,
        "lab.volumeMounts[0].containerPath",
        "the lab's own runtime",
    ),
    (
        "lab",
        f"""
        {HOME}
        volumeMounts:
        - {{containerPath: /a, volumeName: home}}
        - {{containerPath: /b/../a/, volumeName: home}} # here
        """,
        "lab.volumeMounts[1].containerPath",
        "already taken by lab.volumeMounts[0].containerPath",
    ),
]

TOLERATIONS: list[Case] = [
    ("lab", f"tolerations:\n- {{{it}}} # here", f"lab.tolerations[0]{path}", message)
    for it, path, message in [
        ("value: a", ".key", "unless the operator is Exists"),
        ("operator: Equal", ".key", "unless the operator is Exists"),
        ("key: a, operator: Exists, value: b", ".value", "not be given"),
        ("key: a, operator: Like", ".operator", "Equal, Exists"),
        ("key: a b", ".key", "a name"),
        ("key: a, value: b c", ".value", "letters, digits"),
        ("key: a, effect: Never", ".effect", "NoSchedule, PreferNoSchedule"),
        ("key: a, tolerationSeconds: 1", ".tolerationSeconds", "NoExecute"),
        (
            "key: a, effect: NoSchedule, tolerationSeconds: 1",
            ".tolerationSeconds",
            "NoExecute",
        ),
        (
            "key: a, effect: NoExecute, tolerationSeconds: 1.5",
            ".tolerationSeconds",
            "whole number",
        ),
    ]
]

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def node_expression(expression: str, path: str, message: str) -> Case:
    return (
        "lab",
        f"""
        affinity:
          nodeAffinity:
            {REQUIRED}:
              nodeSelectorTerms:
              - matchExpressions:
                - {{{expression}}} # here
        """,
        f"lab.affinity.nodeAffinity.{REQUIRED}"
        f".nodeSelectorTerms[0].matchExpressions[0]{path}",
        message,
    )


def pod_term(term: str, path: str, message: str) -> Case:
    return (
        "lab",
        f"""
        affinity:
          podAntiAffinity:
            {REQUIRED}:
            - {{{term}}} # here
        """,
        f"lab.affinity.podAntiAffinity.{REQUIRED}[0]{path}",
        message,
    )


AFFINITY: list[Case] = [
    ("lab", "affinity: [a] # here", "lab.affinity", "a mapping"),
    ("lab", "affinity: {cloudAffinity: 1} # here", "lab.affinity.cloudAffinity", "did"),
    node_expression("operator: Exists", ".key", "required"),
    node_expression("key: a b, operator: Exists", ".key", "a name"),
    node_expression("key: a", ".operator", "required"),
    node_expression("key: a, operator: in", ".operator", "In, NotIn, Exists"),
    node_expression("key: a, operator: In", ".values", "at least one"),
    node_expression("key: a, operator: NotIn, values: []", ".values", "at least one"),
    node_expression("key: a, operator: In, values: [b c]", ".values[0]", "letters"),
    node_expression("key: a, operator: In, values: [true]", ".values[0]", "quotes"),
    node_expression("key: a, operator: Exists, values: [b]", ".values", "not be given"),
    node_expression("key: a, operator: DoesNotExist, values: [b]", ".values", "not be"),
    node_expression("key: a, operator: Gt", ".values", "exactly one integer"),
    node_expression("key: a, operator: Gt, values: [1, 2]", ".values", "exactly one"),
    node_expression("key: a, operator: Lt, values: [b]", ".values", "exactly one"),
    node_expression("key: a, operator: Lt, values: [1.5]", ".values", "exactly one"),
    pod_term("labelSelector: {}", ".topologyKey", "required"),
    pod_term("topologyKey: ''", ".topologyKey", "a name"),
    pod_term("topologyKey: a, namespaces: [B]", ".namespaces[0]", "lower-case"),
    pod_term(
        "topologyKey: a, labelSelector: {matchLabels: {a b: c}}",
        '.labelSelector.matchLabels["a b"]',
        "a name",
    ),
    pod_term(
        "topologyKey: a, labelSelector:"
        " {matchExpressions: [{key: a, operator: Gt, values: ['1']}]}",
        ".labelSelector.matchExpressions[0].operator",
        "In, NotIn, Exists, DoesNotExist",
    ),
    pod_term(
        "topologyKey: a, namespaceSelector: {matchNames: [a]}",
        ".namespaceSelector.matchNames",
        "unknown key",
    ),
    pod_term("topologyKey: a, matchLabelKeys: [b]", ".matchLabelKeys", "labelSelector"),
    pod_term(
        "topologyKey: a, labelSelector: {}, matchLabelKeys: [b],"
        " mismatchLabelKeys: [b]",
        ".mismatchLabelKeys",
        "matchLabelKeys has too",
    ),
    *(
        (
            "lab",
            f"affinity:\n  {kind}:\n    {PREFERRED}:\n    - {{{preference}}} # here",
            f"lab.affinity.{kind}.{PREFERRED}[0].{path}",
            message,
        )
        for kind, preference, path, message in [
            ("nodeAffinity", "weight: 0, preference: {}", "weight", "at least 1"),
            ("nodeAffinity", "weight: 101, preference: {}", "weight", "at most 100"),
            ("nodeAffinity", "weight: 1.5, preference: {}", "weight", "whole number"),
            ("nodeAffinity", "preference: {}", "weight", "required"),
            ("nodeAffinity", "weight: 1", "preference", "required"),
            ("podAffinity", "weight: 1", "podAffinityTerm", "required"),
        ]
    ),
    (
        "lab",
        f"affinity: {{nodeAffinity: {{{REQUIRED}: {{nodeSelectorTerms: []}}}}}} # here",
        f"lab.affinity.nodeAffinity.{REQUIRED}.nodeSelectorTerms",
        "at least one",
    ),
    (
        "lab",
        f"""
        affinity:
          nodeAffinity:
            {REQUIRED}:
              nodeSelectorTerms:
              - matchFields:
                - {{key: metadata.name, operator: In, values: [a, b]}} # here
        """,
        f"lab.affinity.nodeAffinity.{REQUIRED}"
        ".nodeSelectorTerms[0].matchFields[0].values",
        "exactly one value",
    ),
]


@pytest.mark.parametrize(
    "case",
    [
        *INIT_CONTAINERS,
        *VOLUMES,
        *MOUNTS,
        *TOLERATIONS,
        *AFFINITY,
    ],
    ids=lambda case: f"{case[2]}: {case[3]}",
)
def test_problem_is_reported_with_path_and_line(
    case: Case, assert_reported: AssertReported
) -> None:
    assert_reported(*case)
