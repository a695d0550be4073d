"""The workload language: a document in, a typed workload or findings out."""

from policycompiler.model.parse import checked, parse, parse_policy_file, schema_text, workload_schema
from policycompiler.model.policy_file import PolicyFile, PolicyParameters
from policycompiler.model.units import is_name
from policycompiler.model.what_if import AS_WRITTEN, WhatIf, supposed
from policycompiler.model.workload import Workload
from policycompiler.model.workload.queues import Queue
from policycompiler.model.workload.schedules import Schedule
from policycompiler.model.workload.tasks import Retry, Runtime, TaskFields
from policycompiler.model.workload.waivers import Waiver
from policycompiler.model.workload.workers import Worker, WorkerOptions

__all__ = [
    "AS_WRITTEN",
    "PolicyFile",
    "PolicyParameters",
    "Queue",
    "Retry",
    "Runtime",
    "Schedule",
    "TaskFields",
    "Waiver",
    "WhatIf",
    "Worker",
    "WorkerOptions",
    "Workload",
    "checked",
    "is_name",
    "parse",
    "parse_policy_file",
    "schema_text",
    "supposed",
    "workload_schema",
]
