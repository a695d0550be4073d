"""A rollout played through on plans: what is sent is taken, known, read and kept at every moment.

A deployment is who runs which plan. Within a step processes go over one by one, in any order: so whatever was
sent before it or is sent after it meets receivers that are as before, or as after. What was sent stays under
way until a drain waits for its queue.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterable, Iterator
from fnmatch import fnmatchcase
from typing import NamedTuple

from policycompiler import emitters
from policycompiler.plan import APP, BEAT, Plan, Scope
from policycompiler.plan.queue_lists import priority_steps
from policycompiler.review import Class, Review, Step
from policycompiler.review.conditions import (
    Action,
    Condition,
    DeleteExchange,
    DeleteQueue,
    MoveLevels,
    Pause,
    Seen,
)
from policycompiler.review.facts import fleet


class Sent(NamedTuple):
    """A kind of message under way; `levels` are the lists that its sender knows on Redis.

    `held` is how long its sender reckons with that a worker holds one, `limit` how long a run of it may last.
    """

    task: str
    queue: str
    content: str
    levels: tuple[float, ...]
    held: float
    limit: float


class Words(NamedTuple):
    """The names that producers and beat send, and those that workers send.

    A task that only one version of the code has is sent by no worker here: what the code of a task calls is
    not known, and no configuration could keep it back while workers go over.
    """

    all: frozenset[str]
    of_workers: frozenset[str]


class Broken(NamedTuple):
    """What goes wrong, and with what."""

    what: str
    about: str


class Deployment(NamedTuple):
    """Who runs what: the plan of each worker, of beat, and of the producers."""

    workers: dict[str, Plan]
    beat: Plan | None
    producers: Plan

    @classmethod
    def of(cls, plan: Plan) -> Deployment:
        """Everything from one plan."""
        workers = dict.fromkeys(fleet.named(fleet.running(plan)), plan)
        return cls(workers, plan if plan.keys(BEAT) else None, plan)

    @property
    def plans(self) -> list[Plan]:
        """Those that somebody runs, each once."""
        return _each_once([*self.workers.values(), *self.senders])

    @property
    def senders(self) -> list[Plan]:
        """Those of producers and beat."""
        return _each_once([self.producers, *([self.beat] if self.beat else [])])

    def without(self, processes: Iterable[str]) -> Deployment:
        """The deployment without some of its processes."""
        workers = {name: plan for name, plan in self.workers.items() if f"worker:{name}" not in processes}
        return Deployment(workers, None if "beat" in processes else self.beat, self.producers)

    def having(self, processes: Iterable[str], plan: Plan | None) -> Deployment:
        """The deployment with some processes running a plan."""
        workers, beat, producers = dict(self.workers), self.beat, self.producers
        for process in processes:
            assert plan is not None, f"{process} starts, and nothing is deployed"
            if process == "producers":
                producers = plan
            elif process == "beat":
                beat = plan
            else:
                workers[process.removeprefix("worker:")] = plan
        return Deployment(workers, beat, producers)


def broken(old: Plan, new: Plan, found: Review) -> list[Broken]:
    """What goes wrong in a rollout and in neither of the two deployments by itself.

    What a change says to see to by hand is done, and what one says to be lost may be.
    """
    alone = (Deployment.of(plan) for plan in (old, new))
    anyway = {each for at in alone for each in _wrong(at, _words(old, new))}
    borne = _borne(found)
    return [
        each
        for each in dict.fromkeys(_played(old, new, found))
        if each not in anyway
        and not any(fnmatchcase(re.split(" to | in ", each.about)[0], task) for task in borne)
    ]


def _borne(found: Review) -> set[str]:
    """The tasks that go to another app of which a change says what becomes of what is left here."""
    told = {
        Class.MANUAL: "check that none is left",
        Class.LOSSY: "and discard its messages",
    }
    return {
        change.scope.name
        for change in found.changes
        if change.risk in told and told[change.risk] in change.because
    }


def _wrong(at: Deployment, words: Words) -> Iterator[Broken]:
    sent = _sends(at, words) | _sent_before(at.producers)
    yield from _receiving(at, sent)
    yield from _waiting(at, sent)


def _played(old: Plan, new: Plan, found: Review) -> Iterator[Broken]:
    words = _words(old, new)
    now = Deployment.of(old)
    pending = _sends(now, words) | _sent_before(old)
    declared = dict(_declarations(old))
    for step in found.steps:
        plan = {"": None, ".": new}[step.folder] if step.folder in {"", "."} else found.phases[step.folder]
        if "beat" in step.start and now.beat is not None:
            yield Broken("two beats", step.action)
        started = now.having(step.start, plan)
        over = started.having((*step.restart, *step.reload), plan)
        then = over.without(step.stop)
        # What a worker sends that is only now started meets the others as they are, and itself.
        for before, after in ((started, started), (started, over), (over, then)):
            pending |= _sends(after, words)
            yield from _receiving(before, pending)
            yield from _receiving(after, pending)
            yield from _results(before, after)
        yield from _killed(started, step, plan, pending)
        deployed = _declarations(plan) if plan is not None else ()
        # A process that starts again at any moment declares what it uses.
        for name, declaration in (*_declared(now), *deployed, *_declared(over), *_declared(then)):
            if declared.setdefault(name, declaration) != declaration:
                yield Broken("a declaration is refused", name)
        for action in step.run:
            gone = _gone(action)
            if gone:
                yield from _deleted(gone, then)
                declared.pop(gone, None)
        if any(isinstance(each, MoveLevels) for each in step.run):
            levels = _levels(new)
            pending = {each._replace(levels=levels) if each.levels else each for each in pending}
        # What nobody takes yet waits for the end of the step, and is not lost.
        yield from _waiting(then, pending)
        now = then
        if step.wait_for and step.phase == "drain":
            yield from _without_end(now, step, pending, words)
            seen = {name for each in step.wait_for for name in _named(each)}
            pending = {each for each in pending if each.queue not in seen} | _sends(now, words)
    yield from _arrived(now, new)


def _arrived(now: Deployment, new: Plan) -> Iterator[Broken]:
    wanted = Deployment.of(new)
    if now.workers.keys() != wanted.workers.keys():
        yield Broken("other workers at the end", str(sorted(now.workers.keys() ^ wanted.workers.keys())))
    for name, plan in [*now.workers.items(), ("beat", now.beat or new), ("producers", now.producers)]:
        if plan is not new and not _alike(name, plan, new):
            yield Broken("not as the new plan at the end", name)
    if (now.beat is None) != (wanted.beat is None):
        yield Broken("not as the new plan at the end", "beat")


def _alike(name: str, plan: Plan, new: Plan) -> bool:
    """Whether a process that was left with another plan does what it does with the new one."""
    before, after = _files(plan), _files(new)
    own = {"beat": ["launch/beat.sh"], "producers": []}.get(name, [f"launch/{name}.sh"])
    if any(_commands(before.get(path, "")) != _commands(after.get(path, "")) for path in own):
        return False
    reads, should = _assigned(before["celeryconfig.py"]), _assigned(after["celeryconfig.py"])
    if name != "beat":
        reads, should = (
            {key: each[key] for key in each if "beat_" not in key.lower()} for each in (reads, should)
        )
    # A queue too many does no harm.
    queues = ("task_queues", "_dead_letters")
    return reads.keys() == should.keys() and all(
        reads[key] == should[key] or (key.lower().endswith(queues) and reads[key] >= should[key])
        for key in reads
    )


_EMITTED: dict[int, tuple[Plan, dict[str, str]]] = {}


def _files(plan: Plan) -> dict[str, str]:
    """What is deployed to start processes and to tell them their settings, by path."""
    if _EMITTED.get(id(plan), (None,))[0] is not plan:
        found = emitters.emit(plan, ("celeryconfig", "launch"))
        _EMITTED[id(plan)] = (plan, {file.path: file.text for file in found})
    return _EMITTED[id(plan)][1]


def _commands(script: str) -> list[str]:
    return [line for line in script.splitlines() if line and not line.startswith("#")]


def _assigned(module: str) -> dict[str, frozenset[str]]:
    """What a module of settings assigns, without comments; a list as the set of its items."""
    found: dict[str, frozenset[str]] = {}
    for line in ast.parse(module).body:
        if isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name):
            value = line.value
            items = [value]
            if isinstance(value, ast.List | ast.Tuple):
                items = value.elts
            elif isinstance(value, ast.Dict) and line.targets[0].id == "_dead_letters":
                items = [
                    ast.Tuple([key, each]) for key, each in zip(value.keys, value.values, strict=True) if key
                ]
            found[line.targets[0].id] = frozenset(map(ast.dump, items))
        elif isinstance(line, ast.ClassDef) and line.name == "ZonedCrontab":
            found["beat_schedule of a zone"] = frozenset({ast.dump(line)})
        elif not _is_silent(line):
            found[ast.dump(line)] = frozenset()
    return found


def _is_silent(line: ast.stmt) -> bool:
    """An import, the docstring, which says for which versions it was written, or the plan that a worker shows."""
    if isinstance(line, ast.ClassDef) and line.name == "_ShowsPlan":
        return True
    text = isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant)
    return text or isinstance(line, ast.Import | ast.ImportFrom)


def _waiting(at: Deployment, pending: Iterable[Sent]) -> Iterator[Broken]:
    """What no worker looks for while workers are as they are."""
    external = {
        scope.name for plan in at.plans for scope in plan.scopes("queue") if plan.get(scope, "external")
    }
    takers = _takers(at)
    for each in pending:
        if each.queue not in takers.keys() | external:
            yield Broken("nobody consumes", f"{each.task} in {each.queue}")
        for worker in takers.get(each.queue, []):
            if missing := set(each.levels) - set(priority_steps(at.workers[worker])):
                yield Broken("a level that nobody looks into", f"{sorted(missing)} by {worker}")


def _without_end(at: Deployment, step: Step, pending: Iterable[Sent], words: Words) -> Iterator[Broken]:
    """What a drain waits for although nobody takes it, or although it goes on being sent."""
    takers = _takers(at)
    for named in (_named(each) for each in step.wait_for if not isinstance(each, Seen | Pause)):
        for each in pending:
            if each.queue in named and each.queue not in takers:
                yield Broken("a wait for what nobody takes", each.queue)
        for task, queue in _goes_on(at, words):
            if {task, queue} <= named:
                yield Broken("a wait for what goes on being sent", f"{task} in {queue}")


def _named(wait: Condition) -> set[str]:
    """The queues and the task that a wait looks at; what a person looks at, by its words."""
    if isinstance(wait, Seen):
        return {*re.findall(r"[\w.*-]+", wait.says)}
    return {*getattr(wait, "queues", ()), *filter(None, [getattr(wait, "task", "")])}


def _gone(action: Action) -> str:
    """What an action deletes from the broker."""
    match action:
        case DeleteQueue():
            return f"queue {action.queue}"
        case DeleteExchange():
            return f"exchange {action.exchange}"
    return ""


def _goes_on(at: Deployment, words: Words) -> Iterator[tuple[str, str]]:
    """Task and queue of all that is sent, also to other apps."""
    senders = [*((plan, words.all) for plan in at.senders)]
    for plan, known in (*senders, *((plan, words.of_workers) for plan in at.workers.values())):
        for word in known:
            task = _names(plan).entry(word)
            if task is not None and word not in _names(plan).earlier:
                yield str(plan.get(task, "sent_as") or word), plan.text(task, "queue")


def _takers(at: Deployment) -> dict[str, list[str]]:
    takers: dict[str, list[str]] = {}
    for name, plan in at.workers.items():
        for queue in plan.texts(Scope("worker", name), "queues"):
            takers.setdefault(queue, []).append(name)
    return takers


def _receiving(at: Deployment, pending: Iterable[Sent]) -> Iterator[Broken]:
    """What is lost or repeated of messages under way while workers are as they are."""
    takers = _takers(at)
    for each in pending:
        for worker in takers.get(each.queue, []):
            yield from _taking(each, worker, at.workers[worker])
    for worker, plan in at.workers.items():
        timeout = plan.number_if_any(APP, "visibility_timeout_seconds")
        held = max((each.held for each in pending), default=0)
        if timeout is not None and timeout < held:
            yield Broken("given back while it is held", f"by {worker}: {timeout:g} < {held:g}")


def _taking(each: Sent, worker: str, plan: Plan) -> Iterator[Broken]:
    if not _names(plan).runs(each.task):
        yield Broken("unknown", f"{each.task} to {worker}")
    if each.content not in fleet.accepted(plan):
        yield Broken("refused", f"{each.content} by {worker}")


def _killed(at: Deployment, step: Step, plan: Plan | None, pending: Iterable[Sent]) -> Iterator[Broken]:
    """A worker is stopped by what is installed when that comes: what it goes over to, or what it is."""
    for process in (*step.restart, *step.reload, *step.stop):
        name = process.removeprefix("worker:")
        if name in at.workers:
            installed = at.workers[name] if process in step.stop or plan is None else plan
            grace = installed.number_if_any(Scope("worker", name), "stop_timeout_seconds")
            queues = at.workers[name].texts(Scope("worker", name), "queues")
            for each in pending:
                if grace is not None and each.queue in queues and grace < each.limit:
                    yield Broken("killed by a stop", f"{each.task} in {name}: {grace:g} < {each.limit:g}")


def _results(now: Deployment, then: Deployment) -> Iterator[Broken]:
    written = {fleet.result_content(plan) for at in (now, then) for plan in at.workers.values()}
    for plan in _each_once([*now.plans, *then.plans]):
        for content in written - fleet.accepted_results(plan):
            yield Broken("a result is refused", content)


def _used(at: Deployment) -> Iterator[tuple[Plan, set[str]]]:
    """The plans that somebody runs, each with the queues that its processes take from or send to."""
    for plan in at.plans:
        used = {plan.text(task, "queue") for task in plan.scopes("task")}
        used |= {each.queue for each in _sends_by_schedule(plan)} | {plan.text(APP, "task_default_queue")}
        for worker, running in at.workers.items():
            if running is plan:
                used.update(plan.texts(Scope("worker", worker), "queues"))
        yield plan, used


def _declared(at: Deployment) -> Iterator[tuple[str, object]]:
    """What the processes of a deployment declare when they start again."""
    for plan, used in _used(at):
        yield from _declarations(plan, used)


def _declarations(plan: Plan, used: Collection[str] | None = None) -> Iterator[tuple[str, object]]:
    """Queues and exchanges that RabbitMQ refuses to declare in another way while they exist; those `used`."""
    if plan.get(APP, "broker_transport") != "rabbitmq":
        return
    for scope in plan.scopes("queue"):
        if used is not None and scope.name not in used:
            continue
        if not plan.get(scope, "external") and not plan.get(scope, "broadcast"):
            yield f"queue {scope.name}", plan.below(scope, "arguments.")
            yield f"exchange {plan.get(scope, 'exchange')}", plan.get(scope, "exchange_type")
        if plan.get(scope, "dead_letter_queue") is not None:
            yield f"queue {plan.get(scope, 'dead_letter_queue')}", plan.get(scope, "dead_letter_arguments")


def _deleted(what: str, at: Deployment) -> Iterator[Broken]:
    """Deleted although a process still takes from it, or sends to it, or to what sends to it."""
    used = {
        f"exchange {plan.get(Scope('queue', name), 'exchange')}" for plan, all_ in _used(at) for name in all_
    }
    if what in used | {name for name, _ in _declared(at)}:
        yield Broken("deleted while it is in use", what)


def _words(old: Plan, new: Plan) -> Words:
    """Names that may be sent: all that are declared, and one that each pattern stands for."""
    declared = {scope.name.replace("*", "any") for plan in (old, new) for scope in plan.scopes("task")}
    found = declared | set(_names(old).earlier) | set(_names(new).earlier)
    renamed = {name for name in found if _names(new).entry(name) in _renamed(old, new)}
    both = {name for name in found if all(_names(plan).entry(name) for plan in (old, new))}
    # What this app now runs is new to it.
    both -= {name for name in both if _names(new).runs(name) and not _names(old).runs(name)}
    return Words(frozenset(found), frozenset(both | renamed))


def _renamed(old: Plan, new: Plan) -> set[Scope]:
    """The tasks that the old plan knows by an earlier name; what else has one is new to it."""
    known = {task for earlier, task in _names(new).earlier.items() if _names(old).runs(earlier)}
    return {Scope("task", task) for task in known}


_KNOWN: dict[int, tuple[Plan, fleet.Names]] = {}


def _names(plan: Plan) -> fleet.Names:
    if _KNOWN.get(id(plan), (None,))[0] is not plan:
        _KNOWN[id(plan)] = (plan, fleet.Names(plan))
    return _KNOWN[id(plan)][1]


def _sends(at: Deployment, words: Words) -> set[Sent]:
    """What is sent to queues of this app by whoever is deployed."""
    sent = {each for plan in at.senders for each in _sends_of(plan, words.all)}
    if at.beat is not None:
        sent.update(_sends_by_schedule(at.beat))
    return sent | {each for plan in at.workers.values() for each in _sends_of(plan, words.of_workers)}


def _sent_before(plan: Plan) -> set[Sent]:
    """What the code of before an earlier rename may have sent, for which the earlier names are kept."""
    found = set()
    for name, task in _names(plan).earlier.items():
        scope = Scope("task", task)
        found.update(_message(plan, scope, name, plan.text(scope, "queue"), None))
    return found


def _each_once(plans: Iterable[Plan]) -> list[Plan]:
    return list({id(plan): plan for plan in plans}.values())


def _sends_of(plan: Plan, words: frozenset[str]) -> Iterator[Sent]:
    names = _names(plan)
    for word in words - names.earlier.keys():
        task = names.entry(word)
        # What another app runs is sent anyway, and may meet workers of this one.
        if task is not None:
            # A producer that sends by the earlier name has its route.
            name = str(plan.get(task, "sent_as") or word)
            yield from _message(plan, task, name, plan.text(task, "queue"), None)


def _sends_by_schedule(plan: Plan) -> Iterator[Sent]:
    names = _names(plan)
    for schedule in plan.scopes("schedule"):
        called = plan.text(schedule, "task")
        task = names.entry(called)
        options = plan.get(schedule, "options")
        options = options if isinstance(options, dict) else {}
        if task is not None:
            name = str(plan.get(task, "sent_as") or called)
            queue = str(options.get("queue") or plan.text(task, "queue"))
            yield from _message(plan, task, name, queue, options.get("serializer"))


def _message(plan: Plan, task: Scope, name: str, queue: str, content: object) -> Iterator[Sent]:
    if plan.get(Scope("queue", queue), "external"):
        return
    content = content or plan.get(task, "options.serializer") or plan.get(APP, "task_serializer", "json")
    held = plan.number_if_any(APP, "longest_hold_seconds") or 0.0
    limit = plan.number_if_any(task, "options.time_limit") or 0.0
    yield Sent(name, queue, fleet.content_type(str(content)), _levels(plan), held, limit)


def _levels(plan: Plan) -> tuple[float, ...]:
    on_redis = plan.get(APP, "broker_transport") == "redis"
    return tuple(sorted(priority_steps(plan))) if on_redis else ()
