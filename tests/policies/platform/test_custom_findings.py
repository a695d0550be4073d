"""The organization's own findings."""

from __future__ import annotations

import json
from pathlib import Path
from types import UnionType

import pytest
from places import EVERYTHING
from workloads import found, workload

from policycompiler.compiler import Compilation, compile_workload
from policycompiler.policies.platform.custom_findings.names import Kind, mappings, names

SHOP = """\
broker: {transport: rabbitmq, url: "${U}", version: "3.12"}
tasks:
  shop.pay: {owner: payments, idempotent: true, runtime: 2s, queue: pay}
  shop.mail: {latency: interactive, runtime: 1s, critical: true}
  shop.report: {latency: batch, work: cpu, memory: 600MiB}
queues:
  pay: {type: quorum, arguments: {x-single-active-consumer: true}}
workers:
  pay: {queues: [pay], concurrency: 8}
schedules:
  nightly: {task: shop.report, cron: "0 3 * * *"}
  often: {task: shop.mail, every: 5m}
"""


DEEP = "task.name != ''"
"""Half a million questions."""
for _variable in "abcdef":
    DEEP = f"[1,2,3,4,5,6,7,8,9].all({_variable}, {DEEP})"


def compiled(folder: Path, when: str, fragment: str = SHOP, name: str = "our-own") -> Compilation:
    path, rules = folder / "workload.yaml", folder / "policy.yaml"
    path.write_text(workload(fragment))
    custom = {"name": name, "severity": "warning", "when": when, "message": "not here", "help": "ask us"}
    rules.write_text(f"version: 1\ncustom: [{json.dumps(custom)}]\n")
    return compile_workload([path], policy=rules, targets=())


def fired(folder: Path, when: str, fragment: str = SHOP) -> list[str]:
    compilation = compiled(folder, when, fragment)
    assert not compilation.misruled, compilation.diagnostics
    return [each.message for each in compilation.diagnostics if each.name == "our-own"]


@pytest.mark.parametrize(
    ("when", "names"),
    [
        ('task.owner == "payments"', ["shop.pay"]),
        ('task.owner == "payments" && queue.type != "quorum"', []),
        ('task.owner == "payments" && queue.type == "quorum"', ["shop.pay"]),
        ('task.name.startsWith("shop.m")', ["shop.mail"]),
        ('task.owner == ""', ["shop.mail", "shop.report"]),
        ("task.critical", ["shop.mail"]),
        ("task.memory_bytes > 500 * 1024 * 1024", ["shop.report"]),
        ("task.runtime_p99_seconds >= 2", ["shop.pay"]),
        ("task.runtime_p99_seconds < 1000000", ["shop.mail", "shop.pay"]),
        ("!task.options.acks_late", ["shop.mail", "shop.report"]),
        ("size(task.workers) == 1", ["shop.mail", "shop.pay", "shop.report"]),
        ('"x-single-active-consumer" in queue.arguments', ["pay"]),
        ('queue.tasks.exists(name, name == "shop.pay")', ["pay"]),
        ("worker.concurrency == 8", ["pay"]),
        ("task.idempotent && worker.concurrency == 8", ["shop.pay"]),
        ('schedule.task == "shop.mail"', ["often"]),
        ("schedule.every_seconds < 600", ["often"]),
        ('task.work == "cpu" && schedule.name != ""', ["nightly"]),
        ('schedule.name == "often" && worker.pool == "prefork"', ["often"]),
        ('app.broker_transport == "rabbitmq"', [""]),
        ('app.broker_transport == "redis"', []),
        ("task.name == \"task.owner\" || 'worker.' == task.name", []),
    ],
)
def test_it_finds(tmp_path, when, names):
    assert fired(tmp_path, when) == [f"{name}: not here" if name else "not here" for name in names]


@pytest.mark.parametrize("runtime", ["3s", "300ms"])
@pytest.mark.parametrize(
    ("when", "name"),
    [
        ("task.runtime_p99_seconds * 2.0 > 0.0", "our-own"),
        ("task.runtime_p99_seconds * 2 > 0", "expression-unanswered"),
        ("task.name.matches('(')", "expression-unanswered"),
        ("task.workers[99] == 'x'", "expression-unanswered"),
        ("task.runtime_p99_seconds", "expression-unanswered"),
        (DEEP, "expression-unanswered"),
    ],
)
def test_an_expression_without_an_answer_is_a_finding_whatever_unit_was_written(
    tmp_path, when, name, runtime
):
    fragment = f"tasks: {{shop.a: {{runtime: {runtime}, idempotent: true}}}}"
    found_names = [each.name for each in compiled(tmp_path, when, fragment).diagnostics]
    assert found_names == [name]


def test_a_finding_stands_where_the_workload_declares_what_it_is_about(tmp_path):
    def places(when: str) -> list[str]:
        compilation = compiled(tmp_path, when)
        ours = [each for each in compilation.diagnostics if each.name == "our-own"]
        return [each.at for each in found(compilation.document, ours)]

    assert places('task.name == "shop.pay"') == ["3:3"]
    assert places('queue.name == "pay"') == ["7:3"]
    assert places('worker.name == "shop.interactive.io"') == ["4:3"]
    assert places('schedule.name == "often"') == ["12:3"]


def test_a_finding_has_the_words_of_the_policy_file(tmp_path):
    ours = [each for each in compiled(tmp_path, "task.critical").diagnostics if each.name == "our-own"]
    assert [(each.code, each.severity, each.help) for each in ours] == [("ORG", "warning", "ask us")]


@pytest.mark.parametrize(
    ("when", "message"),
    [
        ("task.ownr == 'x'", "undeclared reference to 'task.ownr', at 1:5 of the expression"),
        ("tusk.owner == 'x'", "undeclared reference to 'tusk.owner', at 1:5 of the expression"),
        ("task.owner.startWith('x')", "undeclared reference to 'startWith', at 1:21 of the expression"),
        (
            "task.owner == 3",
            "found no matching overload for '_==_' applied to '(string, int)', at 1:12 of the expression",
        ),
        ("task.owner ==", "Syntax error: mismatched input '<EOF>', at 1:14 of the expression"),
        ("task.owner", "the expression must be true or false, but has type string"),
        ("1 == 1", "the expression names none of task, queue, worker, schedule and app"),
        ("'task.owner' == ''", "the expression names none of task, queue, worker, schedule and app"),
    ],
)
def test_a_wrong_expression_is_refused_when_the_policy_file_is_read(tmp_path, when, message):
    compilation = compiled(tmp_path, when)
    assert compilation.misruled
    assert [(each.name, each.message) for each in compilation.diagnostics] == [
        ("invalid-expression", message)
    ]
    assert compilation.diagnostics[0].place is not None


@pytest.mark.parametrize(
    "when", ["(" * 900 + "task.critical" + ")" * 900, "[1]." * 400 + "size()", "!" * 1999]
)
def test_an_expression_that_is_too_deep_is_refused(tmp_path, when):
    assert compiled(tmp_path, when).misruled


def test_a_name_that_is_taken_is_refused(tmp_path):
    compilation = compiled(tmp_path, "task.critical", name="retry-non-idempotent")
    assert [each.name for each in compilation.diagnostics] == ["finding-name-taken"]


@pytest.mark.parametrize("kind", ["task", "queue", "worker", "schedule"])
def test_every_setting_of_the_plan_has_a_name_and_the_type_that_it_is_said_to_have(kind):
    compilations = [compile_workload([path], targets=()) for path in EVERYTHING.glob("*.yaml")]
    settings = [
        setting
        for compilation in compilations
        for setting in compilation.plan or ()
        if setting.scope.kind == kind and setting.value is not None
    ]
    named = names(kind)
    grouped = tuple(f"{prefix}." for prefix in mappings(kind))
    settings = [setting for setting in settings if not setting.key.startswith(grouped)]
    assert {setting.key for setting in settings if f"{kind}.{setting.key}" not in named} == set()
    for setting in settings:
        assert isinstance(setting.value, TYPES[named[f"{kind}.{setting.key}"]]), setting


TYPES: dict[Kind, type | UnionType] = {
    Kind.TEXT: str,
    Kind.FLAG: bool,
    Kind.LIST: list,
    Kind.MAPPING: dict,
    Kind.NUMBER: int | float,
}
