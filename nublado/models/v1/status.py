"""How the API shows the state of the service."""

from __future__ import annotations

from collections import Counter

from marshmallow import Schema, fields, validate

from nublado.constants import SIZE_NAMES
from nublado.models.domain.kubernetes import JSON
from nublado.models.domain.lab import LabStatus
from nublado.models.domain.problem import Problem, ProblemKind
from nublado.models.domain.runbook import Runbook
from nublado.models.domain.status import ServiceStatus, UserStatus
from nublado.models.v1.images import (
    NodeSchema,
    PrepulledSchema,
    dump_node,
    dump_prepull_images,
)
from nublado.models.v1.running import ConfigurationFileSchema

__all__ = ["ServiceStatusSchema", "UserStatusSchema", "dump_status", "dump_user"]


class ProblemLineSchema(Schema):
    """Something that is wrong now."""

    kind = fields.Enum(ProblemKind, by_value=True, required=True)
    title = fields.String(required=True)
    since = fields.AwareDateTime(required=True)
    cause = fields.String(required=True)
    impact = fields.String(
        required=True, metadata={"description": "What it means for users"}
    )
    runbook = fields.Url(
        required=True, metadata={"description": "What operators can do"}
    )


class ServiceSchema(Schema):
    """The process."""

    name = fields.String(required=True)
    version = fields.String(required=True)
    started = fields.AwareDateTime(required=True)
    problems = fields.List(
        fields.Nested(ProblemLineSchema),
        required=True,
        metadata={"description": "What is wrong, the gravest first"},
    )
    configuration = fields.Nested(ConfigurationFileSchema, required=True)
    streams = fields.Integer(required=True)
    most_streams = fields.Integer(required=True)


class LabLineSchema(Schema):
    """A lab."""

    username = fields.String(required=True)
    status = fields.Enum(LabStatus, by_value=True, required=True)
    image = fields.String(required=True)
    size = fields.String(required=True, validate=validate.OneOf(SIZE_NAMES))
    created = fields.AwareDateTime(required=True, allow_none=True)
    node = fields.String(required=True, allow_none=True)
    reason = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Why it has ended, or cannot start"},
    )


class LastEventSchema(Schema):
    """The last event of an operation."""

    type = fields.String(required=True)
    message = fields.String(required=True)
    progress = fields.Integer(required=True, allow_none=True)
    timestamp = fields.AwareDateTime(required=True)


class OperationLineSchema(Schema):
    """An operation in progress."""

    username = fields.String(required=True)
    kind = fields.String(required=True, metadata={"enum": ["spawn", "delete"]})
    started = fields.AwareDateTime(required=True)
    last_event = fields.Nested(LastEventSchema, required=True, allow_none=True)


class PrepullsSchema(Schema):
    """Which images are where."""

    images = fields.Nested(PrepulledSchema, required=True)
    nodes = fields.List(fields.Nested(NodeSchema), required=True)


class JobSchema(Schema):
    """A background job."""

    name = fields.String(required=True)
    last_success = fields.AwareDateTime(required=True)
    failures = fields.Integer(
        required=True, metadata={"description": "How often it has failed since"}
    )
    failing_since = fields.AwareDateTime(required=True, allow_none=True)
    error = fields.String(required=True, allow_none=True)


class WatcherLineSchema(Schema):
    """A watch of Kubernetes."""

    name = fields.String(required=True)
    synced = fields.Boolean(required=True)
    last_activity = fields.AwareDateTime(
        required=True,
        metadata={"description": "When Kubernetes last sent anything"},
    )
    idle = fields.Float(
        required=True,
        metadata={"description": "Seconds since then; 0 while nobody needs it"},
    )
    lost = fields.Float(
        required=True,
        metadata={"description": "Seconds for which nothing has been followed"},
    )
    connections = fields.Integer(required=True)


class FsadminLineSchema(Schema):
    """The pod in which operators have all file systems."""

    pod = fields.String(required=True)
    phase = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Its phase; null if there is no pod"},
    )
    started = fields.AwareDateTime(required=True, allow_none=True)
    username = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Who has asked for it"},
    )


class FailureSchema(Schema):
    """Something that went wrong."""

    timestamp = fields.AwareDateTime(required=True)
    event = fields.String(required=True)
    message = fields.String(required=True)
    user = fields.String(required=True, allow_none=True)
    first = fields.AwareDateTime(required=True, allow_none=True)
    count = fields.Integer(required=True)
    users = fields.List(fields.String(), required=True)


class TrendStepSchema(Schema):
    """How many spawns came to an end within 5 minutes."""

    began = fields.AwareDateTime(required=True)
    succeeded = fields.Integer(required=True)
    failed = fields.Integer(required=True)


class UserStatusSchema(Schema):
    """What is known of one user's lab and file server."""

    username = fields.String(required=True)
    lab = fields.Nested(LabLineSchema, required=True, allow_none=True)
    operation = fields.Nested(
        OperationLineSchema,
        required=True,
        allow_none=True,
        metadata={"description": "The newest, which may be over"},
    )
    events = fields.List(fields.Nested(LastEventSchema), required=True)
    has_fileserver = fields.Boolean(
        required=True,
        allow_none=True,
        metadata={"description": "Null where they are disabled"},
    )
    failures = fields.List(fields.Nested(FailureSchema), required=True)


class ServiceStatusSchema(Schema):
    """State of the service."""

    service = fields.Nested(ServiceSchema, required=True)
    counts = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(),
        required=True,
        metadata={"description": "How many labs there are by status"},
    )
    labs = fields.List(fields.Nested(LabLineSchema), required=True)
    operations = fields.List(fields.Nested(OperationLineSchema), required=True)
    prepulls = fields.Nested(PrepullsSchema, required=True)
    fileservers = fields.List(
        fields.String(),
        required=True,
        allow_none=True,
        metadata={"description": "Usernames; null where they are disabled"},
    )
    fsadmin = fields.Nested(
        FsadminLineSchema,
        required=True,
        allow_none=True,
        metadata={"description": "Null where it is disabled"},
    )
    jobs = fields.List(fields.Nested(JobSchema), required=True)
    watchers = fields.List(fields.Nested(WatcherLineSchema), required=True)
    trend = fields.List(
        fields.Nested(TrendStepSchema),
        required=True,
        metadata={"description": "Spawns of the last hour, the oldest first"},
    )
    failures = fields.List(fields.Nested(FailureSchema), required=True)


_SERVICE_FIELDS = (
    "name",
    "version",
    "started",
    "configuration",
    "streams",
    "most_streams",
)


def dump_problem(problem: Problem, runbook: Runbook) -> JSON:
    """Show something that is wrong."""
    return {
        "kind": problem.kind,
        "title": problem.kind.headline,
        "since": problem.since,
        "cause": problem.cause,
        "impact": problem.kind.impact,
        "runbook": runbook.entry(problem.kind),
    }


def dump_user(user: UserStatus) -> JSON:
    """Show what is known of one user."""
    shown: JSON = UserStatusSchema().dump(user)
    return shown


def dump_status(status: ServiceStatus) -> JSON:
    """Show the state of the service."""
    counts = Counter(lab.status.value for lab in status.labs)
    dumped: JSON = ServiceStatusSchema().dump(
        {
            "service": {
                **{name: getattr(status, name) for name in _SERVICE_FIELDS},
                "problems": [
                    dump_problem(problem, status.runbook) for problem in status.problems
                ],
            },
            "counts": {state.value: counts[state.value] for state in LabStatus},
            "labs": status.labs,
            "operations": status.operations,
            "prepulls": {
                "images": dump_prepull_images(status.prepulls),
                "nodes": [dump_node(node) for node in status.prepulls.nodes],
            },
            "fileservers": status.fileservers,
            "fsadmin": status.fsadmin,
            "jobs": [
                {
                    "name": name,
                    "last_success": job.last_success,
                    "failures": job.failures,
                    "failing_since": job.failing_since,
                    "error": job.error,
                }
                for name, job in sorted(status.jobs.items())
            ],
            "watchers": status.watchers,
            "trend": status.trend,
            "failures": status.failures,
        }
    )
    return dumped
