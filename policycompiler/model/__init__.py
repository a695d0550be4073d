"""What a user may write, checked: a document in, a typed workload or findings out."""

from policycompiler.model.parse import parse, workload_schema
from policycompiler.model.policy_file import PolicyFile, PolicyParameters
from policycompiler.model.units import is_name
from policycompiler.model.workload import (
    Queue,
    Retry,
    Runtime,
    Schedule,
    TaskFields,
    Waiver,
    Worker,
    WorkerOptions,
    Workload,
)

__all__ = [
    "PolicyFile",
    "PolicyParameters",
    "Queue",
    "Retry",
    "Runtime",
    "Schedule",
    "TaskFields",
    "Waiver",
    "Worker",
    "WorkerOptions",
    "Workload",
    "is_name",
    "parse",
    "workload_schema",
]
