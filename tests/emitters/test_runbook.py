"""RUNBOOK.md, as readers of Markdown, the shell and the command line read it."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import click
import pytest
import yaml
from celery.bin.celery import celery as celery_command
from markdown_it import MarkdownIt
from markdown_it.token import Token
from places import EVERYTHING
from plans import plan_of

from policycompiler.cli import cli
from policycompiler.compiler import compile_workload
from policycompiler.emitters import compose, kubernetes, runbook, systemd
from policycompiler.emitters.prometheus.kinds import KINDS
from policycompiler.knowledge.runbook import ENTRIES, SYMPTOMS, Deed, Fact
from policycompiler.plan import APP, Plan
from policycompiler.runtime.guards.breakers import Breaker
from policycompiler.runtime.guards.store import Store
from policycompiler.runtime.guards.told import Trip, told_of

WORKLOAD = """
version: 1
service: shop
app: shop.app:app
broker: {{transport: {transport}, url: "${{B}}"{version}}}
owner: storefront
{deploy}
tasks:
  shop.a:
    {{queue: "high $1 `x", runtime: {{p50: 1s, p99: 3s}}, rate: 5/s, critical: true, payload: 10KiB,
     retry: {{on: [ValueError], max: 1, max_delay: 1m}}, runbook: "https://wiki.example.com/a_b*c*"}}
  shop.c: {{latency: standard, idempotent: true, queue: z}}
  shop.g: {{latency: standard, idempotency_key: name, calls: [stripe.eu], queue: z}}
store: {{url: "${{S}}"}}
dependencies: {{stripe.eu: {{rate: 5/s, breaker: {{}}}}}}
queues: {{z: {{dead_letter: true}}}}
schedules:
  often: {{task: shop.a, every: 1m}}
  weekly: {{task: shop.c, cron: "0 3 * * 1", args: [1, "a b"], kwargs: {{k: "it's"}}}}
""".replace(" `x", "")
TELEMETRY = "{metric-sources: {sources: [telemetry, celery-exporter, %s]}}"
BASE = "https://wiki.example.com/RUNBOOK.md"


def made(folder: Path, transport: str, *, deploy: str = "", base: str = "") -> Plan:
    """A plan with telemetry, strange names, and every kind of alert that it can have."""
    version = ', version: "3.13"' if transport == "rabbitmq" else ""
    text = WORKLOAD.format(transport=transport, version=version, deploy=deploy)
    (folder / "workload.yaml").write_text(text, "utf-8")
    source = "rabbitmq" if transport == "rabbitmq" else "redis-exporter"
    told = TELEMETRY % source
    if base:
        told = f'{told[:-1]}, runbooks: {{base: "{base}"}}}}'
    (folder / "policy.yaml").write_text(f"version: 1\nparameters: {told}\n", "utf-8")
    found = compile_workload([folder / "workload.yaml"], policy=folder / "policy.yaml", targets=())
    assert found.plan is not None, [each.message for each in found.diagnostics]
    return found.plan


def text_of(given: Plan) -> str:
    (file,) = runbook.emit(given)
    assert file.path == "RUNBOOK.md"
    return file.text


IMAGE = 'deploy: {image: "registry.example/shop:1.4.2"}'
CASES = {
    "redis, units": ("redis", ""),
    "redis, containers": ("redis", IMAGE),
    "rabbitmq, units": ("rabbitmq", ""),
}


@pytest.fixture(params=CASES.values(), ids=CASES)
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Plan:
    transport, deploy = request.param
    return made(tmp_path, transport, deploy=deploy)


def tokens(text: str) -> list[Token]:
    return MarkdownIt("commonmark", {"html": True}).enable("table").parse(text)


def headings(text: str) -> list[str]:
    """The texts of all headings."""
    found = tokens(text)
    return [after.content for each, after in pairwise(found) if each.type == "heading_open"]


def anchor(heading: str) -> str:
    """The address of a heading, as GitHub makes it."""
    return re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-")


def inline(text: str) -> Iterator[Token]:
    for token in tokens(text):
        yield from token.children or ()


def commands(text: str) -> Iterator[list[str]]:
    """The words of each command in blocks for the shell, without a pipe's second half."""
    for token in tokens(text):
        if token.type == "fence" and token.info == "sh":
            for line in token.content.splitlines():
                if words := shlex.split(line, comments=True):
                    yield words[: words.index("|")] if "|" in words else words


def test_each_kind_of_alert_has_an_entry_that_says_everything():
    assert set(ENTRIES) == set(KINDS)
    for name, entry in ENTRIES.items():
        assert entry.means, name
        assert entry.limit, name
        assert entry.looks, name
        assert entry.causes, name
        assert entry.never, name
        assert entry.resolves, name


def test_each_fact_and_each_deed_is_used():
    deeds = {each for entry in ENTRIES.values() for each in (*entry.looks, *entry.fixes)}
    deeds |= {each for symptom in SYMPTOMS for each in symptom.looks}
    assert set(Deed) <= deeds
    facts = {each.only for entry in ENTRIES.values() for each in (*entry.causes, *entry.never)}
    facts |= {each.only for symptom in SYMPTOMS for each in symptom.reasons}
    assert set(Fact) <= facts


def test_a_plan_without_alerts_has_no_runbook():
    empty = plan_of({"app": {"service": "shop", "broker_transport": "sqs"}})
    assert list(runbook.emit(empty)) == []
    assert runbook.missing(empty) == "the plan has no alerts"


def test_each_alert_of_the_plan_has_its_section_and_no_other_has_one(case):
    found = [each for each in headings(text_of(case)) if each in KINDS]
    assert sorted(found) == sorted({case.text(scope, "alert") for scope in case.scopes("alert")})


def test_every_link_inside_leads_to_a_heading_and_no_heading_is_there_twice(case):
    text = text_of(case)
    anchors = [anchor(each) for each in headings(text)]
    assert len(anchors) == len(set(anchors))
    links = [str(each.attrs["href"]) for each in inline(text) if each.type == "link_open"]
    assert links
    assert {each.removeprefix("#") for each in links if each.startswith("#")} <= set(anchors)
    assert all(each.startswith("#") for each in links)


def test_the_addresses_of_the_policy_lead_to_sections(tmp_path):
    found = made(tmp_path, "redis", base=BASE)
    anchors = {anchor(each) for each in headings(text_of(found))}
    books = {str(found.get(scope, "runbook", "")) for scope in found.scopes("alert")}
    ours = {each.removeprefix(f"{BASE}#") for each in books if each.startswith(BASE)}
    assert ours
    assert ours <= anchors


def test_each_row_of_a_table_has_the_cells_of_its_head(case):
    widths: list[int] = []
    for token in tokens(text_of(case)):
        if token.type == "table_open":
            widths = []
        if token.type == "tr_open":
            widths.append(0)
        if token.type in {"th_open", "td_open"}:
            widths[-1] += 1
        if token.type == "table_close":
            assert len(widths) > 1
            assert len(set(widths)) == 1


def test_no_text_of_a_user_is_markup(case):
    shown = [each.content for each in inline(text_of(case)) if each.type in {"text", "code_inline"}]
    assert "high $1" in shown
    assert any("https://wiki.example.com/a_b*c*" in each for each in shown)
    assert not any(each.type in {"html_inline", "em_open"} for each in inline(text_of(case)))


def test_every_table_of_alerts_has_each_alert_with_its_numbers(case):
    text = text_of(case)
    for scope in case.scopes("alert"):
        section = text.partition(f"\n## {case.text(scope, 'alert')}\n")[2].partition("\n## ")[0]
        rows = [line for line in section.splitlines() if line.startswith("|")]
        queue = case.get(scope, "queue")
        mine = [row for row in rows if queue is None or f"`{queue}`" in row]
        assert mine, scope
        assert any(case.text(scope, "severity") in row for row in mine)
        threshold = case.get(scope, "threshold")
        if "Backlog" in scope.name:
            assert any(f"more than {threshold} messages" in row for row in mine)


def test_every_command_is_one_that_its_program_takes(case):
    found = list(commands(text_of(case)))
    # `timeout 5` runs what follows.
    programs = {words[2] if words[0] == "timeout" else words[0] for words in found}
    assert {"policycompiler", "export"} <= programs
    known = {"policycompiler", "celery", "export", "systemctl", "journalctl", "kubectl", "docker", "curl"}
    known |= {"systemd-run", "redis-cli", "rabbitmqctl", "rabbitmq-diagnostics"}
    assert programs - known <= {"df", "free"}
    for words in found:
        if words[0] == "policycompiler":
            parsed(cli, words)
        elif "celery" in words:
            parsed(celery_command, words[words.index("celery") :])


def parsed(group: click.Command, words: list[str]) -> None:
    """Let click read a command line without a run of it; raises on an unknown command or option."""
    command, rest = group, [str(EVERYTHING) if word == "$BUILD" else word for word in words[1:]]
    if rest[0] == "--app":
        # Celery imports the application when it reads this option.
        rest = rest[2:]
    while True:
        context = command.make_context(command.name, rest)
        rest = [*context._protected_args, *context.args]
        if not isinstance(command, click.Group):
            assert rest == []
            return
        _, found, rest = command.resolve_command(context, rest)
        assert found is not None, words
        command = found


def test_every_unit_that_is_named_is_a_file_of_the_plan(case):
    files = {Path(file.path).name for file in systemd.emit(case)}
    text = text_of(case)
    named = {f"{each}@.service" for each in re.findall(r"([\w.-]+-worker-[\w.-]+)@", text)}
    named |= set(re.findall(r"[\w.-]+-beat\.service", text))
    assert bool(named) == (case.get(APP, "image") is None)
    assert named <= files


def test_every_container_that_is_named_is_an_object_of_the_plan(case):
    text = text_of(case)
    deployments = set(re.findall(r"deployment/([\w.-]+)", text))
    services = {each for found in re.findall(r"docker compose exec (\S+)", text) for each in found.split()}
    assert bool(deployments) == bool(services) == (case.get(APP, "image") is not None)
    objects = [yaml.safe_load_all(file.text) for file in kubernetes.emit(case) if file.path.endswith(".yaml")]
    names = {each["metadata"]["name"] for found in objects for each in found if each["kind"] == "Deployment"}
    assert deployments <= names
    for file in compose.emit(case):
        assert services <= set(yaml.safe_load(file.text)["services"])


def section(text: str, name: str) -> str:
    """The text of one section of an alert."""
    return text.partition(f"\n## {name}\n")[2].partition("\n## ")[0]


DEPLOY = "deploy: {user: celery, directory: /srv/shop, environment_file: /etc/shop.env}"


def test_a_shell_has_the_user_the_folder_and_the_variables_of_the_units(tmp_path):
    found = made(tmp_path, "redis", deploy=DEPLOY)
    (words,) = [words for words in commands(text_of(found)) if words[0] == "systemd-run"]
    (unit,) = [file.text for file in systemd.emit(found) if "worker-z" in file.path]
    told = dict(word.lstrip("-").split("=", 1) for word in words if "=" in word)
    of_unit = dict(line.split("=", 1) for line in unit.splitlines() if "=" in line)
    assert told["uid"] == of_unit["User"] == "celery"
    assert told["working-directory"] == of_unit["WorkingDirectory"] == "/srv/shop"
    assert told["property"] == f"EnvironmentFile={of_unit['EnvironmentFile']}"
    assert told["setenv"].removeprefix("PATH=").split(":")[0] == "/srv/shop/venv/bin"


def test_a_client_asks_the_broker_of_the_workers_and_no_other_on_its_host(case):
    found = [words for words in commands(text_of(case)) if words[0] == "redis-cli"]
    assert all(words[1] == "-u" for words in found)
    on_redis = case.text(APP, "broker_transport") == "redis"
    # The store of guards is a Redis as well.
    assert {words[2] for words in found} == ({"$B", "$S"} if on_redis else {"$S"})


def test_a_breaker_is_looked_up_under_the_name_that_workers_give_it(case):
    names = told_of({"service": case.text(APP, "service")}).names
    record = Breaker(Store(None), names, "stripe.eu", Trip(1, 1, 1)).keys[0]
    text = section(text_of(case), "CeleryBreakerOpen")
    assert ["redis-cli", "-u", "$S", "HGETALL", record] in list(commands(text))


def test_no_pattern_hides_a_unit_that_is_stopped(case):
    """`systemctl` matches a pattern only with the units that are loaded (systemctl(1), "PATTERN")."""
    verbs = {"status", "start", "restart"}
    found = [words for words in commands(text_of(case)) if words[0] == "systemctl" and verbs & set(words)]
    assert not any("*" in word for words in found for word in words)


def test_lines_about_workers_name_their_queues_where_a_section_has_several(case):
    lines = [
        line
        for line in section(text_of(case), "CeleryQueueNoConsumer").splitlines()
        if re.match(r"systemctl (start|restart)|docker compose (up|restart)|kubectl .* rollout", line)
    ]
    queues = {queue.name for queue in case.scopes("queue") if case.find(queue, "workers")}
    assert {line.rpartition("  # ")[2] for line in lines} == queues


def test_dead_letters_lead_to_the_workers_that_made_them(case):
    text = section(text_of(case), "CeleryDeadLetterGrowth")
    assert "`z.dead`, worker `z`" in text
    assert "worker-z" in text
    assert "standard" not in text


def test_a_missed_task_is_sent_as_its_schedule_sends_it(case):
    text = section(text_of(case), "CeleryScheduleMissed")
    sent = [words for words in commands(text) if "call" in words and "shop.c" in words]
    assert sent
    for words in sent:
        options = words[words.index("shop.c") + 1 :]
        told = dict(zip(options[::2], options[1::2], strict=True))
        assert json.loads(told["--args"]) == [1, "a b"]
        assert json.loads(told["--kwargs"]) == {"k": "it's"}
        assert told["--queue"] == "z"


@pytest.mark.parametrize(
    ("source", "option"), [("celery-exporter", "`-Q`"), ("redis-exporter", "`-check-single-keys`")]
)
def test_a_missing_metric_is_explained_by_the_source_that_counts(tmp_path, source, option):
    text = WORKLOAD.format(transport="redis", version="", deploy="")
    (tmp_path / "workload.yaml").write_text(text, "utf-8")
    rules = f"version: 1\nparameters: {{metric-sources: {{sources: [telemetry, {source}]}}}}\n"
    (tmp_path / "policy.yaml").write_text(rules, "utf-8")
    found = compile_workload([tmp_path / "workload.yaml"], policy=tmp_path / "policy.yaml", targets=())
    assert found.plan is not None
    told = section(text_of(found.plan), "CeleryQueueMetricMissing")
    assert re.findall(r"`-[\w-]+`", told) == [option]


def test_the_file_of_beat_is_the_one_that_its_unit_writes(tmp_path):
    found = made(tmp_path, "redis")
    (unit,) = [file.text for file in systemd.emit(found) if file.path.endswith("beat.service")]
    paths = re.findall(r"--schedule-file (\S+)", text_of(found))
    assert paths
    assert all(path in unit for path in paths)
