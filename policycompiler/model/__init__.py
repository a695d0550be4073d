"""What a user may write, checked: a document in, a typed workload or findings out."""

from policycompiler.model.parse import checked, parse, parse_policy_file, schema_text, workload_schema
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
    "checked",
    "is_name",
    "parse",
    "parse_policy_file",
    "schema_text",
    "workload_schema",
]
