"""Adopts a running application: looks at it, says what it has as a workload, and compiles that."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import NamedTuple

from policycompiler import load
from policycompiler.adopt import other_apps, sections
from policycompiler.adopt.folder import POLICY, WORKLOADS, Draft, service_name
from policycompiler.adopt.running import workers_of as workers_that_run
from policycompiler.adopt.sections import CELERYS_QUEUE
from policycompiler.compiler import Compilation, compile_workload
from policycompiler.diagnostics import Diagnostic, Profile
from policycompiler.findings.catalogue import FINDINGS
from policycompiler.findings.judge import judge
from policycompiler.findings.rules import read_rules
from policycompiler.knowledge.brokers import BROKERS
from policycompiler.plan import APP, Observed, Plan, Scope, Setting
from policycompiler.reality import code as codes
from policycompiler.reality import commands, measured
from policycompiler.reality import live as looks
from policycompiler.reality.code import Code, SourceCode
from policycompiler.reality.code import today as code_today
from policycompiler.reality.commands.today import Workers, workers_of
from policycompiler.reality.live import Live
from policycompiler.reality.observed import observed
from policycompiler.reality.today import plan_of_today
from policycompiler.verify import live
from policycompiler.verify.audit import audit, unregistered
from policycompiler.verify.words import as_place

_MOST_ROUNDS = 5
"""How often refused values are dropped; a second value of the same field shows only in the next round."""


class Sources(NamedTuple):
    """Where to look: apps as for `celery -A`, the interpreter that has them, files with commands, source.

    `live`: whether to look at the running deployment, at `broker` or where the app has it; `management` is
    the URL of RabbitMQ's management API.

    `rows`: whether the app reads the schedules in its database. `measured` are files with run times and
    rates. `folder` is where the interpreter runs, and the root of all places.
    """

    apps: Sequence[str]
    python: str
    django: bool
    source: Sequence[Path]
    rows: bool
    commands: Sequence[Path]
    measured: Sequence[Path]
    folder: Path
    live: bool = False
    broker: str | None = None
    management: str | None = None


class Left(NamedTuple):
    """Something of today that the workload does not say: where it was seen, what it is, and why."""

    place: str
    what: str
    why: str


class Adopted(NamedTuple):
    """An adopted application: its files by path, the compiled workload, and what it leaves out.

    Without a known broker there are no files and no plan; the last thing that is left out says why.
    """

    files: dict[str, str]
    compilation: Compilation
    today: Plan
    left: tuple[Left, ...]
    codes: tuple[Code, ...]
    source: SourceCode | None
    live: Live | None = None


def adopt(sources: Sources, service: str | None) -> Adopted:
    """Look at all sources and adopt what they show.

    Raises `CodeError` if an app cannot be loaded, and `MeasuredError` for a file without measurements.
    """
    found = [
        codes.look(app, sources.python, folder=sources.folder, django=sources.django, rows=sources.rows)
        for app in sources.apps
    ]
    source = (
        codes.read_source(sources.source, sources.python, folder=sources.folder) if sources.source else None
    )
    started = commands.read(sources.commands, root=sources.folder)
    queues = {each["name"] for code in found for each in code.facts["queues"] if each["declared"]}
    workers = workers_of(started.commands, queues or {CELERYS_QUEUE})
    seen = (
        *measured.settings(sources.measured),
        *(setting for each in found for setting in code_today.settings(each)),
        *(() if found else _app_of(workers)),
        *workers.settings,
        *other_apps.of_workers(found, workers.settings),
        *(_of_source(source, found) if source else ()),
    )
    plan = plan_of_today(seen)
    left = [Left(code.app, each.what, each.why) for code in found for each in code.unsaid]
    left += [Left(*each) for each in (*other_apps.left(found), *sections.dropped_options(plan))]
    left += [Left(each.place, "a command", each.why) for each in started.unread]
    left += [Left(each.place, each.what, each.why) for each in workers.unsayable]
    if not (workers.settings or sources.live):
        left.append(Left("", "the workers", "no command shows them; name the files with --commands"))
    if why := _why_no_workload(plan, found):
        nothing = Compilation(load.load([])[0], None, [], [], {})
        return Adopted({}, nothing, plan, (*left, Left("", "a workload", why)), tuple(found), source)
    name = service or service_name(str(plan.get(APP, "app", "service")))
    files, compilation, refused = _compiled(Draft(plan, name))
    adopted = Adopted(files, compilation, plan, (*left, *refused), tuple(found), source)
    return _with_deployment(adopted, sources, seen, name) if sources.live else adopted


def _why_no_workload(plan: Plan, found: Sequence[Code]) -> str:
    """Why what was seen is no workload; empty if it is one."""
    if plan.get(APP, "broker_transport") is not None:
        return ""
    schemes = [
        code.facts["addresses"]["broker_url"]["scheme"]
        for code in found
        if "broker_url" in code.facts["addresses"]
    ]
    known = ", ".join(BROKERS)
    if schemes:
        return f"the workload language does not know brokers at {schemes[0]}://; it knows {known}"
    return f"nothing shows the broker, which is {known}; name the app with --app"


def _with_deployment(adopted: Adopted, sources: Sources, seen: Iterable[Setting], name: str) -> Adopted:
    """The same, with what the running deployment shows; the first compile says where and how to look."""
    plan = adopted.compilation.plan
    if plan is None:
        return adopted
    live = looks.look(plan, os.environ, broker=sources.broker, management=sources.management)
    shown = list(looks.settings_of(plan, live))
    known = {scope.name for scope in adopted.today.scopes("queue")}
    queues = [each for each in shown if each.scope.kind == "queue" and each.scope.name in known]
    run = (
        ()
        if adopted.today.scopes("worker") or live.workers is None
        else workers_that_run(live.workers.nodes.values())
    )
    today = plan_of_today((*queues, *seen, *run))
    files, compilation, refused = _compiled(Draft(today, name))
    left = (*adopted.left, *refused)
    return adopted._replace(files=files, compilation=compilation, today=today, left=left, live=live)


def judged(found: Adopted, policy: Path | None, today: date | None, *, written: bool) -> Compilation:
    """The compiled workload with all findings: those of the workload, and those of the code.

    Without a policy file they have the severities of the written one. Unless the workload is `written`, its
    findings are at the places where today's values were seen.
    """
    rules = read_rules(policy, None, Path())
    day = today or date.today()  # noqa: DTZ011 - as everywhere: a waiver ends with the local day
    plan = found.compilation.plan
    of_deployment = [*live.findings(plan, found.live)] if plan is not None and found.live is not None else []
    findings = [*audit(found.codes, found.source), *of_deployment]
    if policy is None:
        findings = [each.in_profile(Profile.AS_IS) for each in findings]
    told = judge(findings, (), rules.policy, day, rules.baseline, FINDINGS)
    of_workload = found.compilation.diagnostics
    if not found.today.scopes("worker"):
        # Nobody has looked for the workers, so nothing is known of those that consume.
        of_workload = [each for each in of_workload if each.name != "queue-unconsumed"]
    if not written:
        of_workload = [_where_seen(found, each) for each in of_workload]
    return found.compilation._replace(diagnostics=[*of_workload, *told.diagnostics])


def _where_seen(adopted: Adopted, found: Diagnostic) -> Diagnostic:
    """A finding of the workload where its task, schedule or worker was seen, else where the app is made."""
    section, *names = (*map(str, found.path), "")
    settings = adopted.today.keys(Scope(section.removesuffix("s"), names[0])) if names else {}
    origins = (origin for setting in settings.values() for origin in setting.origins)
    places = [origin.place for origin in origins if isinstance(origin, Observed) and ":" in origin.place]
    places += [code.facts["place"] for code in adopted.codes]
    return replace(found, place=as_place(places[0])) if places else found


def sizes(found: Adopted) -> dict[str, int]:
    """The number of tasks, queues, workers and schedules, by noun."""
    today = found.today
    queues = (found.compilation.plan or today).scopes("queue")
    numbers = {kind: len(today.scopes(kind)) for kind in ("worker", "schedule")}
    tasks = [scope for scope in today.scopes("task") if "*" not in scope.name]
    return {"task": len(tasks), "queue": len(queues), **numbers}


def write(files: Mapping[str, str], folder: Path) -> list[str]:
    """Write files into a new folder; their names. Raises `OSError`."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return sorted(files)


def _app_of(workers: Workers) -> Iterator[Setting]:
    """Without a look at the code: the app of the first command."""
    for each in workers.settings:
        if each.key == "app":
            yield each._replace(scope=APP)
            return


def _of_source(source: SourceCode, found: Sequence[Code]) -> Iterator[Setting]:
    """The tasks that only the source shows: no app registers them."""
    known = {name for code in found for name in code.facts["tasks"]}
    for task in unregistered(found, source):
        scope = Scope("task", task.name)
        if task.named and task.name not in known:
            # A task without an option is a task too.
            yield observed(scope, "longest_run_seconds", None, source=code_today.CODE, place=task.place)
            for option, value in task.options.items():
                key = option if option == "queue" else f"options.{option}"
                yield observed(scope, key, value, source=code_today.CODE, place=task.place)


def _compiled(draft: Draft) -> tuple[dict[str, str], Compilation, list[Left]]:
    """Compile a draft; values that the language refuses are dropped until it is a workload."""
    refused = [
        Left("", str(scope), "it has texts or numbers that YAML does not carry") for scope in draft.unreadable
    ]
    with tempfile.TemporaryDirectory(prefix="policycompiler-") as aside:
        folder = Path(aside)
        for _ in range(_MOST_ROUNDS):
            files = draft.files()
            for name, text in files.items():
                (folder / name).parent.mkdir(exist_ok=True)
                (folder / name).write_text(text, encoding="utf-8")
            compilation = compile_workload([Path(WORKLOADS)], policy=Path(POLICY), targets=[], root=folder)
            if compilation.plan is not None:
                break
            dropped = list(draft.drop(compilation.diagnostics))
            refused += [Left("", ".".join(map(str, each.path)), each.why) for each in dropped]
            if not dropped:
                break
    return files, compilation, refused
