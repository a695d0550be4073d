"""What happens to a message and its result: acknowledged, retried, expired, dead-lettered, kept."""

from __future__ import annotations

from policycompiler.policies.delivery import (
    broadcast_retries,
    chords,
    critical_messages,
    dead_letter_gaps,
    dead_letters,
    expiry,
    expiry_checks,
    failure_acknowledgement,
    late_acknowledgement,
    lost_connections,
    message_size,
    refused_messages,
    result_expiry,
    results,
    retries,
    retry_checks,
    serialization,
    worker_lost,
)
from policycompiler.policies.policy import Policy

DECIDERS: tuple[Policy, ...] = (
    late_acknowledgement,
    retries,
    worker_lost,
    expiry,
    dead_letters,
    failure_acknowledgement,
    results,
    chords,
    serialization,
    message_size,
    refused_messages,
)

CHECKS: tuple[Policy, ...] = (
    retry_checks,
    broadcast_retries,
    expiry_checks,
    critical_messages,
    dead_letter_gaps,
    lost_connections,
    result_expiry,
)
