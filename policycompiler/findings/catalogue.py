"""All findings, listed here or by the policy that finds them.

The names that a waiver or a policy file may use must not depend on the imported modules.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from policycompiler import output, policies, verify
from policycompiler.diagnostics import Finding
from policycompiler.findings import baseline, empty_targets, judge, refused_outputs
from policycompiler.load.files import TOO_LARGE, UNREADABLE
from policycompiler.load.merge import DECLARED_TWICE, UNKNOWN_ENVIRONMENT, UNUSED_DEFAULTS
from policycompiler.load.parse import (
    AMBIGUOUS_SCALAR,
    CONTROL_CHARACTER,
    DUPLICATE_KEY,
    INVALID_YAML,
    NOT_A_MAPPING,
    UNSUPPORTED_YAML,
)
from policycompiler.model.anywhere import INVALID_VALUE, SECRET_VALUE
from policycompiler.model.parse import MISSING_KEY, UNKNOWN_KEY, WRONG_TYPE

_OF_TEXTS = (UNREADABLE, TOO_LARGE, DECLARED_TWICE, UNKNOWN_ENVIRONMENT, UNUSED_DEFAULTS)
_OF_YAML = (
    *(INVALID_YAML, DUPLICATE_KEY, UNSUPPORTED_YAML),
    *(AMBIGUOUS_SCALAR, CONTROL_CHARACTER, NOT_A_MAPPING),
)
_OF_THE_MODEL = (UNKNOWN_KEY, MISSING_KEY, WRONG_TYPE, INVALID_VALUE, SECRET_VALUE)
_OF_RULES = (
    *(policies.UNTUNABLE_POLICY, policies.TOO_MANY_ERRORS),
    *(judge.WAIVER_NOT_ALLOWED, judge.WAIVER_UNUSED, judge.UNKNOWN_FINDING, judge.SEVERITY_FIXED),
    *(
        judge.UNKNOWN_TARGET,
        empty_targets.TARGET_EMPTY,
        baseline.BASELINE_ENTRY_GONE,
        baseline.INVALID_BASELINE,
    ),
)
_OF_CHANGES = (judge.LOSSY_CHANGE, judge.MANUAL_CHANGE, judge.ORDERED_CHANGE, judge.QUEUE_ARGS_CHANGE)
_OF_OUTPUT = (
    *(output.EDITED_BY_HAND, output.NOT_OURS),
    *(output.UNWRITABLE_OUTPUT, output.UNREADABLE_MANIFEST),
    *(refused_outputs.SETTINGS_TOO_LARGE, refused_outputs.ENVIRONMENT_REFUSED),
)
_OF_POLICIES = tuple(found for policy in policies.POLICIES for found in policies.findings_of(policy))

FINDINGS: Mapping[str, Finding] = MappingProxyType(
    {
        word: found
        for found in (
            *(*_OF_TEXTS, *_OF_YAML, *_OF_THE_MODEL),
            *(*_OF_RULES, *_OF_CHANGES, *_OF_OUTPUT, *_OF_POLICIES, *verify.FINDINGS),
        )
        for word in (found.code, found.name)
    }
)
"""By code and by name."""
