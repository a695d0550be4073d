"""The connection to the broker, and the behavior of the broker: timeouts, redelivery, priorities."""

from __future__ import annotations

from policycompiler.policies.broker import (
    broker_addresses,
    broker_connection,
    broker_delays,
    connection_values,
    external_tasks,
    priorities,
    priority_pins,
    rabbitmq_server,
    redis_server,
    sqs_queues,
    transport_options,
    unacked_messages,
    visibility_timeout,
)
from policycompiler.policies.policy import Policy

DECIDERS: tuple[Policy, ...] = (
    visibility_timeout,
    broker_connection,
    external_tasks,
    priorities,
    rabbitmq_server,
    redis_server,
)

CHECKS: tuple[Policy, ...] = (
    transport_options,
    unacked_messages,
    broker_delays,
    broker_addresses,
    connection_values,
    sqs_queues,
    priority_pins,
)
