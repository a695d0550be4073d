"""The kind of change that a review assigns to a setting."""

from __future__ import annotations

from policycompiler.plan import Scope, vocabulary
from policycompiler.plan.vocabulary import ChangeKind


def kind_of(scope: Scope, key: str) -> ChangeKind:
    """The kind of change that a setting's difference is."""
    declared = vocabulary.find(scope.kind, key)
    return ChangeKind.UNKNOWN if declared is None else declared.change
