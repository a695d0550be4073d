"""docs/catalogue.md accounts for every mistake that is known, and what it says of each is so."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from compiled import configured_app
from places import ROOT
from review_of import RABBITMQ, at, reviewed
from workloads import compiled, workload

from policycompiler import manual
from policycompiler.compiler import compile_workload
from policycompiler.emitters import TARGETS
from policycompiler.plan import scope_from_text
from policycompiler.policies import POLICIES

PAGE = (ROOT / "docs" / "catalogue.md").read_text()
FINDINGS = {entry.finding.code: entry.finding.name for _, entry in manual.all_findings()}

NAMES = """
    alert-missing annotation-glob annotation-on-class-task annotation-star-overlap autoretry-broad
    autoretry-class-unresolvable autoscale-off-prefork autoscale-quorum beat-cron-dom-dow beat-dst
    beat-embedded-green beat-expires beat-multiple beat-overlap beat-schedule-path beat-unknown-task
    broker-list-as-balancer cancel-on-loss capacity-short chord-backend chord-expiry chord-ignore
    compression-missing-dep concurrency-implicit cpu-io-mix decorator-routing delivery-limit-missing
    disable-prefetch-rabbit dlq-consumed dlq-expires-flood dlq-hard-timeout-gap dlq-needs-late-ack dlq-redis
    dlq-unbounded dlq-undeclared early-ack-must-not-lose env-overrides-url eta-classic-rabbit4 eta-hoard
    eta-over-visibility events-off-monitored hard-limit-missing kill-group late-ack-non-idempotent
    late-ack-run-over-visibility latency-mix legacy-ack-flag limit-below-p99 memory-budget
    memory-per-child-low mixed-setting-names node-name-collision payload-large pickle pool-cpu-green
    pool-eventlet pool-gevent-soft pool-in-config pool-recycle-inert pool-time-limit-inert prefetch-long
    prefetch-mixed-worker prefetch-short prefetch-unlimited prefetch-wait-over-visibility priority-direction
    priority-monitoring priority-redis-steps producer-limits-drift publish-retry-unbounded
    publish-unconfirmed queue-args-change queue-create-missing queue-unconsumed queue-undeclared
    quorum-confirm quorum-direct quorum-partial quorum-priority quorum-subsecond rate-limit-scope
    rate-limit-unit redis-cluster-url redis-eviction redis-extra redis-keepalive-names redis-socket-timeout
    result-cleanup-needs-beat result-expiry-per-task result-unneeded retry-delay-over-visibility
    retry-knobs-inert retry-no-jitter retry-non-idempotent retry-span-exceeds-deadline retry-unbounded
    route-exact-first route-glob-no-star route-option-forbidden route-shape route-unknown-key
    serializer-not-accepted serializer-type-mismatch setting-newer-than-target slow-with-fast
    soft-missing soft-over-hard soft-shutdown-missing sqs-limits startup-retry stop-timeout-short
    timeout-requeue-loop topic-on-direct unacked-over-consumer-timeout unknown-setting
    unknown-transport-option visibility-not-uniform visibility-too-long worker-lost-loop
    worker-without-queues wrong-setting-type
"""
RULES = NAMES.split()
PIECES_OF_ADVICE = 30
MISTAKES = 21

DECIDED = {
    "dlq-redis": (
        "tasks: {shop.a: {queue: q}}\nqueues: {q: {dead_letter: true}}",
        "queue:q/dead_letter_copies",
        "all",
    ),
    "dlq-hard-timeout-gap": (
        (
            'broker: {transport: rabbitmq, url: "${B}"}\n'
            "tasks: {shop.a: {queue: q, idempotent: true}}\nqueues: {q: {dead_letter: true}}"
        ),
        "queue:q/dead_letter_copies",
        "acknowledged",
    ),
    "decorator-routing": ("tasks: {shop.a: {}}", "task:shop.a/queue", "shop.standard.io"),
    "dlq-unbounded": (
        (
            'broker: {transport: rabbitmq, url: "${B}", version: "3.9"}\n'
            "tasks: {shop.a: {queue: q, idempotent: true}}\nqueues: {q: {dead_letter: true}}"
        ),
        "queue:q/dead_letter_arguments",
        {"x-max-length": 10000},
    ),
    "queue-undeclared": ("tasks: {shop.a: {queue: q}}", "queue:q/exchange", "q"),
    "redis-socket-timeout": (
        "tasks: {shop.a: {}}",
        "app/broker_transport_options",
        {
            "socket_timeout": 30.0,
            "unacked_restore_interval": 10,
            "unacked_restore_throttle": 1,
            "visibility_timeout": 3600,
        },
    ),
    "result-cleanup-needs-beat": (
        'results: {backend: database, url: "${R}"}\ntasks: {shop.a: {result: keep}}',
        "beat/scheduler",
        "celery.beat:PersistentScheduler",
    ),
    "route-option-forbidden": ("tasks: {shop.a: {}}", "task:shop.a/queue", "shop.standard.io"),
    "route-unknown-key": ("tasks: {shop.a: {}}", "task:shop.a/queue", "shop.standard.io"),
    "startup-retry": ("tasks: {shop.a: {}}", "app/broker_connection_retry_on_startup", True),
}
"""A workload, a setting, its value; who decides it is what the page says."""

REFUSED = {
    "autoretry-class-unresolvable": "tasks: {shop.a: {idempotent: true, retry: {on: [Timeout]}}}",
    "result-expiry-per-task": "tasks: {shop.a: {options: {result_expires: 60}}}",
    "retry-delay-over-visibility": (
        'broker: {transport: redis, url: "${B}", visibility_timeout: 10m}\n'
        "tasks: {shop.a: {idempotent: true, options: {autoretry_for: [OSError], retry_backoff: true}}}"
    ),
    "rate-limit-unit": "celery: {settings: {task_default_rate_limit: 10/d}}",
    "route-glob-no-star": 'tasks: {"shop.[ab]": {}}',
    "sqs-limits": (
        'broker: {transport: sqs, url: "sqs://"}\n'
        "celery: {settings: {worker_enable_remote_control: true}}\ntasks: {shop.a: {}}"
    ),
}
"""What is found under another name than the rule's, or in another place than its page shows first."""

BY_TARGET = {
    "annotation-glob",
    "annotation-star-overlap",
    "kill-group",
    "producer-limits-drift",
    "route-exact-first",
    "route-shape",
}
"""What the text of the files shows, below."""

PATTERNS = """\
tasks:
  shop.*: {queue: q, runtime: 1m}
  shop.mail.*: {queue: r, priority: 5}
  shop.mail.send: {queue: q, runtime: 1s}
"""


TYPES = ("{type: classic}", "{type: quorum}")


def rows(title: str) -> Iterator[list[str]]:
    """The cells of the tables below a heading."""
    text = PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and cells[0] not in {"rule", "n", "mistake", "---"}:
            yield cells


TABLE = {name: (how, words) for name, how, words in rows("Rules")}


def quick() -> None:
    """A task."""


def policy_of(rule: str) -> str:
    named = re.findall(r"\[([\w-]+)\]\(policies\.md", TABLE[rule][0])
    assert len(named) == 1, rule
    return named[0]


def test_every_rule_stands_there_once() -> None:
    assert sorted(name for name, *_ in rows("Rules")) == sorted(RULES)


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_is_found_or_decided_or_there_is_a_reason(rule: str) -> None:
    how, words = TABLE[rule]
    if how.startswith("found: "):
        assert "](findings/" in how
    elif how == "not visible":
        assert len(words.split()) > 10
    else:
        assert how.startswith("decided: ")
        assert ("](policies.md#" in how) or ("target `" in how)


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule in FINDINGS.values()])
def test_a_rule_that_is_a_finding_names_it(rule: str) -> None:
    assert TABLE[rule][0].startswith("found: ")
    assert rule in re.findall(r"\) ([a-z0-9-]+)", TABLE[rule][0])


def test_every_finding_that_is_named_has_that_code() -> None:
    named = re.findall(r"\[(PC\d+)\]\(findings/([a-z]+)\.md#(pc\d+)\) ([a-z0-9-]+)", PAGE)
    assert len(named) == PAGE.count("(findings/") - PAGE.count("(findings/README.md)")
    for code, chapter, anchor, name in named:
        assert FINDINGS.get(code) == name
        assert manual.finding_page(code)[0].chapter == chapter
        assert anchor == code.lower()


def test_every_policy_and_target_that_is_named_exists() -> None:
    named = re.findall(r"\[([\w-]+)\]\(policies\.md#([\w-]+)\)", PAGE)
    assert len(named) == PAGE.count("policies.md#")
    assert {name for pair in named for name in pair} <= {policy.NAME for policy in POLICIES}
    assert set(re.findall(r"target `(\w+)`", PAGE)) <= set(TARGETS)


def test_what_is_said_to_be_decided_is_shown_below() -> None:
    by_policy = {rule for rule, (how, _) in TABLE.items() if how.startswith("decided: [")}
    assert by_policy == DECIDED.keys()
    assert {rule for rule, (how, _) in TABLE.items() if how.startswith("decided: target")} == BY_TARGET


@pytest.mark.parametrize("rule", DECIDED)
def test_a_setting_is_decided_by_the_policy_that_is_named(rule: str) -> None:
    fragment, address, value = DECIDED[rule]
    plan = compiled(workload(fragment)).plan
    assert plan is not None
    scope, _, key = address.rpartition("/")
    setting = plan.setting(scope_from_text(scope), key)
    assert (setting.value, setting.policy) == (value, policy_of(rule))


@pytest.mark.parametrize("rule", REFUSED)
def test_a_mistake_is_found_as_the_page_says(rule: str) -> None:
    found = {finding.code for finding in compiled(workload(REFUSED[rule])).diagnostics}
    assert found & set(re.findall(r"\[(PC\d+)\]", TABLE[rule][0]))


def test_a_queue_that_is_declared_otherwise_is_found_by_comparing_two_plans() -> None:
    old, new = (f"{RABBITMQ}tasks: {{shop.a: {{queue: q}}}}\nqueues: {{q: {kind}}}\n" for kind in TYPES)
    found = at(reviewed(old, new), "queue:q/arguments.x-queue-type")
    assert (found.risk, found.kind) == ("ordered", "queue-arguments")
    assert "ordered-change" in TABLE["queue-args-change"][0]


def test_the_settings_file_keeps_its_promises(tmp_path: Path) -> None:
    (tmp_path / "workload.yaml").write_text(workload(PATTERNS))
    compilation = compile_workload([tmp_path / "workload.yaml"])
    files = {file.path: file.text for file in compilation.files}
    (tmp_path / "celeryconfig.py").write_text(files["celeryconfig.py"])
    app = configured_app(tmp_path, {"CELERY_BROKER_URL": "memory://"})
    # annotation-star-overlap, annotation-glob: the narrowest entry alone, whole.
    tasks = [app.task(quick, name=f"shop.{name}", shared=False) for name in ("mail.send", "a")]
    assert [task.queue for task in tasks] == ["q", "q"]
    assert [task.soft_time_limit for task in tasks] == [2, 94]
    # route-shape, route-exact-first, and what may stand in a route.
    routes = app.conf.task_routes
    assert list(routes) == ["shop.mail.send", "shop.mail.*", "shop.*"]
    assert {key for route in routes.values() for key in route} <= {"queue", "priority"}
    # producer-limits-drift
    assert "Publishers must load it too" in files["celeryconfig.py"]
    # kill-group
    units = [text for path, text in files.items() if path.endswith("@.service")]
    assert units
    assert all("KillMode=mixed\n" in text for text in units)
    assert "stopasgroup=false" in files["supervisor/shop.conf"]


def test_every_piece_of_advice_is_answered_with_a_place() -> None:
    found = list(rows("Widespread advice"))
    assert [int(cells[0]) for cells in found] == list(range(1, PIECES_OF_ADVICE + 1))
    for _, advice, truth, where in found:
        assert advice
        assert truth
        assert ".md#" in where


def test_every_mistake_of_real_projects_is_answered_with_a_place() -> None:
    found = list(rows("Mistakes in real projects"))
    assert len(found) == MISTAKES
    assert all(".md#" in here for _, here in found if "target `" not in here)
