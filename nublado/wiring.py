"""Put together what works on the cluster, for the process and the tests alike."""

from __future__ import annotations

from collections.abc import Callable

from nublado.config.model import (
    Config,
    ContainerImage,
    FileserverConfig,
    FsadminConfig,
    LabConfig,
    Volume,
)
from nublado.config.platform import Platform
from nublado.constants import CATEGORY_FILESERVER, CATEGORY_LAB, LABEL_CATEGORY
from nublado.models.domain.kubernetes import JSON
from nublado.services.alerts import Alerts
from nublado.services.builder.fileserver import FileserverBuilder
from nublado.services.builder.fsadmin import FsadminBuilder
from nublado.services.builder.lab import LabBuilder
from nublado.services.builder.prepull import PrepullPodBuilder
from nublado.services.fileserver.context import FileserverContext
from nublado.services.fileserver.service import FileserverService
from nublado.services.fsadmin.context import FsadminContext
from nublado.services.fsadmin.service import FsadminService
from nublado.services.image import ImageService
from nublado.services.image_memory import ImageMemory
from nublado.services.lab.context import LabContext
from nublado.services.lab.labs import LabService
from nublado.services.lab.reconcile import LabReconciler
from nublado.services.nodes import NodeService
from nublado.services.prepuller import Prepuller
from nublado.services.waiting import WaitingRoom
from nublado.storage.kubernetes.cache import WatchSpec
from nublado.storage.kubernetes.client import KubernetesClient
from nublado.storage.kubernetes.cluster import Cluster
from nublado.storage.kubernetes.pod import POD_EVENTS, reduce_pod
from nublado.storage.kubernetes.resource import INGRESS, JOB, NAMESPACE, POD
from nublado.storage.kubernetes.shared import SharedReads
from nublado.storage.metadata import PodMetadata

__all__ = [
    "make_cluster",
    "make_fileservers",
    "make_fsadmin",
    "make_image_memory",
    "make_labs",
    "make_prepuller",
]


def make_cluster(client: KubernetesClient, config: Config) -> Cluster:
    """Make the cluster with all watches that a configuration needs."""
    watches = [
        WatchSpec(resource=POD, labels=LABEL_CATEGORY, reduce=reduce_pod),
        WatchSpec(
            resource=NAMESPACE,
            labels=f"{LABEL_CATEGORY}={CATEGORY_LAB}",
            reduce=_metadata_only,
        ),
        POD_EVENTS,
    ]
    if config.fileserver is not None:
        watches += [
            WatchSpec(
                resource=resource,
                namespace=config.fileserver.namespace,
                labels=f"{LABEL_CATEGORY}={CATEGORY_FILESERVER}",
                reduce=reduce,
            )
            for resource, reduce in ((JOB, _metadata_only), (INGRESS, _with_status))
        ]
    return Cluster(client, watches, config.watch_reconnect_timeout)


def make_labs(
    *,
    config: LabConfig,
    namespace: str,
    builder: LabBuilder,
    cluster: Cluster,
    images: ImageService,
    alerts: Alerts,
    waiting: WaitingRoom,
    discovery: Callable[[], str | None] = lambda: None,
) -> tuple[LabService, LabReconciler]:
    """Make the service of labs, and what reconciles it with the cluster."""
    labs = LabContext(
        config=config,
        namespace=namespace,
        builder=builder,
        cluster=cluster,
        sources=SharedReads(cluster),
        alerts=alerts,
        discovery=discovery,
    )
    service = LabService(labs=labs, images=images, waiting=waiting)
    return service, LabReconciler(labs=labs, service=service)


def make_fileservers(
    *,
    config: FileserverConfig,
    volumes: tuple[Volume, ...],
    platform: Platform,
    cluster: Cluster,
    alerts: Alerts,
    waiting: WaitingRoom,
) -> FileserverService:
    """Make the service of file servers."""
    builder = FileserverBuilder(config, volumes, platform)
    files = FileserverContext(
        config=config, builder=builder, cluster=cluster, alerts=alerts
    )
    return FileserverService(files=files, waiting=waiting)


def make_fsadmin(
    *,
    config: FsadminConfig,
    lab: LabConfig,
    image: ContainerImage,
    namespace: str,
    cluster: Cluster,
    alerts: Alerts,
    waiting: WaitingRoom,
) -> FsadminService:
    """Make the service of the pod in which operators have all file systems."""
    builder = FsadminBuilder(config, lab, image, namespace)
    fsadmin = FsadminContext(
        config=config,
        builder=builder,
        cluster=cluster,
        namespace=namespace,
        alerts=alerts,
    )
    return FsadminService(fsadmin=fsadmin, waiting=waiting)


def make_prepuller(
    *,
    config: LabConfig,
    timeout: float,
    metadata: PodMetadata,
    images: ImageService,
    nodes: NodeService,
    cluster: Cluster,
    alerts: Alerts,
) -> Prepuller:
    """Make the prepuller."""
    namespace = metadata.namespace
    return Prepuller(
        images=images,
        nodes=nodes,
        builder=PrepullPodBuilder(config, namespace, metadata.owner_reference()),
        cluster=cluster,
        namespace=namespace,
        timeout=timeout,
        alerts=alerts,
    )


def make_image_memory(
    *, metadata: PodMetadata, cluster: Cluster, alerts: Alerts
) -> ImageMemory:
    """Make what keeps images over a restart."""
    return ImageMemory(cluster=cluster, namespace=metadata.namespace, alerts=alerts)


def _metadata_only(obj: JSON) -> JSON:
    return {"metadata": obj["metadata"]}


def _with_status(obj: JSON) -> JSON:
    return {"metadata": obj["metadata"], "status": obj.get("status") or {}}
