"""The plan: who may decide what, what it looks like as a file, and the page that lists its keys."""

from __future__ import annotations

import pytest
from places import EVERYTHING, EVERYTHING_ELSE, ROOT

from policycompiler.compiler import compile_workload
from policycompiler.plan import (
    APP,
    ConflictError,
    Constant,
    Decision,
    Derived,
    Plan,
    PlanDraft,
    Scope,
    UndecidedError,
    Value,
    Written,
    scope_from_text,
    vocabulary,
)
from policycompiler.plan.file import from_json, to_json

TASK = Scope("task", "shop.mail.send")
ORIGINS = (
    Written(("tasks", "shop.mail.send", "call_time_queues", 0)),
    Derived(Scope("queue", "a/b:c"), "queue_wait_seconds"),
    Constant("parameters.time-limits.hard_over_soft", 1.2),
)


def decision(key: str = "queue", value: Value = "mail", *, overrides: bool = False) -> Decision:
    return Decision(TASK, key, value, "because", ORIGINS, overrides)


def test_the_second_decider_of_a_setting_is_refused_and_both_are_named() -> None:
    draft = PlanDraft()
    draft.settle(decision(), "placement")
    with pytest.raises(
        ConflictError, match=r"retries decides task:shop\.mail\.send/queue, which placement has"
    ):
        draft.settle(decision(), "retries")


def test_a_decision_that_says_so_overrides_an_earlier_one() -> None:
    draft = PlanDraft()
    draft.settle(decision(value="mail"), "placement")
    draft.settle(decision(value="post", overrides=True), "retries")
    assert draft.finished().setting(TASK, "queue")[2:6:3] == ("post", "retries")


def test_a_decision_without_an_origin_is_refused() -> None:
    with pytest.raises(ConflictError, match="without an origin"):
        PlanDraft().settle(decision()._replace(origins=()), "placement")


def test_reading_what_nobody_has_decided_names_the_setting() -> None:
    with pytest.raises(UndecidedError, match=r"no policy has decided task:shop\.mail\.send/queue"):
        Plan().value(TASK, "queue")


def test_get_has_a_default_for_what_nobody_has_decided() -> None:
    assert Plan().get(TASK, "queue", "none") == "none"


@pytest.mark.parametrize(
    "value",
    [None, True, 0, 1.5, "", 'π "quoted" \\ \x7f', [1, [2]], {"b": {"c": [None]}, "a": 1}],
    ids=repr,
)
def test_a_plan_reads_back_equal_from_its_text(value: Value) -> None:
    draft = PlanDraft()
    draft.settle(decision(value=value), "placement")
    draft.settle(Decision(APP, "service", "shop", "written", ORIGINS), "as-written")
    plan = draft.finished()
    again = from_json(to_json(plan))
    assert list(again) == list(plan)
    assert again == plan


@pytest.mark.parametrize("head", ["", '"format": 3, ', '"format": "1", '])
def test_a_plan_of_another_format_is_refused(head: str) -> None:
    with pytest.raises(ValueError, match="this version reads formats 1 and 2"):
        from_json(f'{{{head}"settings": {{}}}}')


def test_the_text_of_a_plan_does_not_depend_on_the_order_of_decisions() -> None:
    keys = ["queue", "options.acks_late", "workers"]
    texts = set()
    for order in (keys, keys[::-1]):
        draft = PlanDraft()
        for key in order:
            draft.settle(decision(key, {"b": 1, "a": 2} if order is keys else {"a": 2, "b": 1}), "test")
        texts.add(to_json(draft.finished()))
    assert len(texts) == 1


def test_a_setting_stands_on_one_line_of_the_text() -> None:
    draft = PlanDraft()
    draft.settle(decision(), "placement")
    assert sum('"queue": ' in line for line in to_json(draft.finished()).splitlines()) == 1


@pytest.mark.parametrize("text", ["app", "beat", "task:shop.mail.send", "alert:CeleryQueueBacklog:mail"])
def test_a_scope_is_written_as_users_name_it(text: str) -> None:
    assert str(scope_from_text(text)) == text


def decided() -> dict[str, set[str]]:
    """Scope kinds and the keys that the plans of the examples and of the workloads with everything have."""
    found: dict[str, set[str]] = {}
    for source, environment in (
        *((ROOT / "examples" / "shop", name) for name in (None, "rabbitmq")),
        (ROOT / "examples" / "minimal.yaml", None),
        *((path, None) for path in sorted(EVERYTHING.glob("*.yaml"))),
    ):
        plan = compile_workload([source], environment=environment, targets=(), policy=EVERYTHING_ELSE).plan
        assert plan is not None, source
        for setting in plan:
            found.setdefault(setting.scope.kind, set()).add(setting.key)
    return found


def test_every_key_that_is_declared_is_decided_somewhere():
    """But for settings and options of Celery's own, and a few that stand in none of these plans."""
    plans = decided()
    assert plans.keys() == set(vocabulary.SCOPES)
    for kind in vocabulary.SCOPES:
        own = {key.name for key in vocabulary.declared(kind) if not key.celerys and not key.is_prefix}
        assert own - plans[kind] == _NOT_HERE.get(kind, set()), kind


_NOT_HERE = {
    "app": {
        *("policies", "broker_memory_bytes", "broker_policy_priority", "log_format", "traces"),
        *("telemetry_bind", "telemetry_wait_buckets", "telemetry_run_buckets"),
        *("exporter_key_prefix", "alert_minute_seconds", "flower_celery"),
    },
    "beat": {"telemetry_port"},
    "worker": {"telemetry_ports"},
    "queue": {"broker_policy"},
    "alert": {"other_tasks", "lists", "dependency", "parks"},
    "task": {"mandatory", "sent_as"},
}
"""Of policy files, of workloads with less or of newer brokers, of patterns, of queues of other apps; and what
only plans between two have."""
