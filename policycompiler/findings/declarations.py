"""Declarations that RabbitMQ refuses, because an earlier plan declares the same queue differently."""

from __future__ import annotations

import json
from collections.abc import Iterator

from policycompiler.diagnostics import Diagnostic, SpecPath
from policycompiler.findings.judge import QUEUE_ARGS_CHANGE
from policycompiler.plan import Plan, Value
from policycompiler.review.facts.replaced_queues import Refused, refused_declarations, replaced_queues


def findings(old: Plan, new: Plan, *, with_steps: bool) -> Iterator[Diagnostic]:
    """One finding for each queue; `with_steps`, a rollout replaces the queues that it can replace."""
    replaced = replaced_queues(old, new) if with_steps else {}
    told = set()
    for refused in refused_declarations(old, new):
        queue = refused.queue.name
        if queue not in replaced and queue not in told:
            told.add(queue)
            yield _finding(refused, new, with_steps=with_steps)


def _finding(refused: Refused, new: Plan, *, with_steps: bool) -> Diagnostic:
    queue = refused.queue.name
    what = refused.key.removeprefix("arguments.")
    thing = f"queue {queue}"
    if refused.key == "exchange_type":
        thing = f"exchange {new.get(refused.queue, 'exchange')} of queue {queue}"
    elif refused.key == "dead_letter_arguments":
        thing, what = f"queue {new.get(refused.queue, 'dead_letter_queue')}", "arguments"
    message = (
        f"`{what}` of {thing} changes from {_shown(refused.was)} to {_shown(refused.now)}: RabbitMQ refuses "
        f"the new declaration (406) while the old {thing.partition(' ')[0]} exists, so workers do not start "
        "and every send fails"
    )
    steps = (
        "name a plan with a worker for the queue" if with_steps else "write the steps with `--rollout OLD`"
    )
    help_text = (
        f"keep the old value, give the queue a new name such as `{refused.name}`, or {steps}; if the old one "
        "no longer exists, compile with `--accept queue-args-change`"
    )
    path: SpecPath = new.written(refused.queue, refused.key) or ("queues", queue)
    return QUEUE_ARGS_CHANGE.at(path, message, help=help_text)


def _shown(value: Value) -> str:
    return "nothing" if value is None else f"`{json.dumps(value, ensure_ascii=False)}`"
