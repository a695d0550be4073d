"""The user's own values: carried into the plan, and compared with what Celery knows."""

from __future__ import annotations

from policycompiler.policies.policy import Policy
from policycompiler.policies.written import (
    as_written,
    celery_defaults,
    declared_facts,
    dependencies,
    given_twice,
    idempotency_keys,
    inert_settings,
    known_celery,
    missing_declarations,
    option_versions,
    pinned_settings,
    version_pairs,
    voiding_pins,
)

DECIDERS: tuple[Policy, ...] = (
    as_written,
    celery_defaults,
    dependencies,
    declared_facts,
    idempotency_keys,
)

CHECKS: tuple[Policy, ...] = (
    known_celery,
    pinned_settings,
    option_versions,
    version_pairs,
    given_twice,
    inert_settings,
    voiding_pins,
    missing_declarations,
)
