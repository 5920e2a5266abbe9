"""Subresources that are actions rather than parts: logs, eviction, binding."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from aiohttp import web

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.kubernetes.containers.logs import ContainerLogs, LogQuery
from nublado.sandbox.kubernetes.errors import ApiError, bad_request, conflict
from nublado.sandbox.kubernetes.exec import Execute, serve_exec
from nublado.sandbox.kubernetes.identity import User, issue_token
from nublado.sandbox.kubernetes.rendering import json_response
from nublado.sandbox.kubernetes.requests import flag, is_dry_run, read_object
from nublado.sandbox.kubernetes.store import Store
from nublado.sandbox.kubernetes.urls import Place, unknown_path
from nublado.sandbox.kubernetes.writing import success

__all__ = ["serve_action"]


async def serve_action(
    store: Store,
    logs: ContainerLogs,
    execute: Execute | None,
    request: web.Request,
    place: Place,
) -> web.StreamResponse:
    """Answer a request for a subresource that is an action.

    Parameters
    ----------
    store
        The objects.
    logs
        What containers that run have written.
    execute
        Runs commands in containers; None where there are none.
    request
        The request.
    place
        What it is about.

    Raises
    ------
    ApiError
        Raised if there is no such object or action (404), or it fails.
    """
    match place.kind.kind, place.subresource, request.method:
        case "Pod", "log", "GET":
            return await _log(store, logs, request, place)
        case "Pod", "exec", "GET" | "POST":
            pod = store.get("Pod", place.namespace, str(place.name))
            return await serve_exec(request, pod, execute)
        case "Pod", "eviction", "POST":
            options = (await read_object(request)).get("deleteOptions") or {}
            dry_run = is_dry_run(request.query) or options.get("dryRun") == ["All"]
            store.delete(
                "Pod",
                place.namespace,
                str(place.name),
                options.get("gracePeriodSeconds"),
                dry_run=dry_run,
            )
            return json_response(success(), 201)
        case "Pod", "binding", "POST":
            return _bind(store, place, await read_object(request))
        case "ServiceAccount", "token", "POST":
            return _token(store, place, await read_object(request))
    raise unknown_path()


async def _log(
    store: Store, logs: ContainerLogs, request: web.Request, place: Place
) -> web.StreamResponse:
    """Send the log of a container; one that is simulated has a made-up one."""
    pod = store.get("Pod", place.namespace, str(place.name))
    containers = [container["name"] for container in pod["spec"]["containers"]]
    container = request.query.get("container") or containers[0]
    name, uid = pod["metadata"]["name"], pod["metadata"]["uid"]
    if container not in containers:
        raise bad_request(f"container {container} is not valid for pod {name}")
    if logs.is_known(uid, container):
        return await _written_log(store, logs, request, pod, container)
    state = _state(pod, container)
    if "waiting" in state or not state:
        reason = state.get("waiting", {}).get("reason", "ContainerCreating")
        why = f'container "{container}" in pod "{name}" is waiting to start: {reason}'
        raise bad_request(why)
    lines = [f"{container} of {place.namespace}/{name} started\n"]
    if "terminated" in state:
        lines.append(f"exited with {state['terminated'].get('exitCode', 0)}\n")
    return web.Response(text="".join(lines))


async def _written_log(
    store: Store,
    logs: ContainerLogs,
    request: web.Request,
    pod: JSON,
    container: str,
) -> web.StreamResponse:
    query = LogQuery.of(request.query)
    metadata = pod["metadata"]
    uid, previous = metadata["uid"], flag(request.query, "previous")
    path = logs.find(uid, container, previous=previous)
    if path is None:
        raise bad_request(
            f'previous terminated container "{container}" in pod'
            f' "{metadata["name"]}" not found'
        )

    def is_over() -> bool:
        current = store.find("Pod", metadata["namespace"], metadata["name"])
        is_same = current is not None and current["metadata"]["uid"] == uid
        latest = logs.find(uid, container, previous=False)
        running = is_same and "running" in _state(current or {}, container)
        return previous or latest != path or not running

    response = web.StreamResponse(headers={"Content-Type": "text/plain"})
    await response.prepare(request)
    async for data in query.read(path, is_over):
        await response.write(data)
    await response.write_eof()
    return response


def _state(pod: JSON, container: str) -> JSON:
    statuses = pod.get("status", {}).get("containerStatuses") or ()
    return next((s["state"] for s in statuses if s["name"] == container), {})


def _bind(store: Store, place: Place, binding: JSON) -> web.Response:
    node = (binding.get("target") or {}).get("name")
    if not node:
        raise bad_request("target.name: Required value")
    pod = store.get("Pod", place.namespace, str(place.name))
    assigned = pod["spec"].get("nodeName")
    if assigned:
        why = f'pod {place.name} is already assigned to node "{assigned}"'
        raise conflict(place.kind, str(place.name), why)

    def bind(obj: JSON) -> None:
        obj["spec"]["nodeName"] = node

    store.mutate("Pod", place.namespace, str(place.name), bind)
    return json_response(success(), 201)


def _token(store: Store, place: Place, body: JSON) -> web.Response:
    account = store.get("ServiceAccount", place.namespace, str(place.name))
    spec = body.get("spec") or {}
    seconds = spec.get("expirationSeconds", 3600)
    if not isinstance(seconds, int) or seconds < 600:
        why = "may not specify a duration less than 10 minutes"
        raise ApiError(422, "Invalid", f"spec.expirationSeconds: Invalid value: {why}")
    user = User.of_account(str(place.namespace), str(place.name))
    token = issue_token(user, uid=account["metadata"]["uid"])
    expires = datetime.now(UTC) + timedelta(seconds=seconds)
    answer = {
        "kind": "TokenRequest",
        "apiVersion": "authentication.k8s.io/v1",
        "metadata": {"name": place.name, "namespace": place.namespace},
        "spec": spec,
        "status": {
            "token": token,
            "expirationTimestamp": expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
        },
    }
    return json_response(answer, 201)
