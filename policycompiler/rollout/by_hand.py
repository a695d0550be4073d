"""Conditions that a person names on the command line, about one plan."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from policycompiler.plan import Plan, Scope
from policycompiler.report.text import clean
from policycompiler.review.conditions import Condition, Taken, coded
from policycompiler.review.facts import fleet
from policycompiler.review.order import waits
from policycompiler.review.outcome import OUTPUT, Stage
from policycompiler.rollout.written_steps import StepsError


def conditions(word: str, names: Sequence[str], plan: Plan) -> list[Condition]:
    """What to wait for. Raises `StepsError` for an unknown word or name."""
    if word not in WORDS:
        message = f"`{clean(word)}` is neither a step nor one of {', '.join(WORDS)}"
        raise StepsError(message)
    return [*WORDS[word](Stage(plan, OUTPUT), names)]


def _drained(stage: Stage, names: Sequence[str]) -> Iterator[Condition]:
    return waits.until_empty(stage, _queues(stage, names, needed=True))


def _taken(stage: Stage, names: Sequence[str]) -> Iterator[Condition]:
    yield Taken(plan=stage.kept_in, queues=_queues(stage, names, needed=True))


def _task_gone(stage: Stage, names: Sequence[str]) -> Iterator[Condition]:
    if not names:
        raise StepsError("name the task, and optionally the queues to search")
    task, *queues = names
    known = fleet.Names(stage.plan)
    if known.entry(task) is None:
        message = f"the plan has no task `{clean(task)}`; name another plan with --plan"
        raise StepsError(message)
    searched = _queues(stage, queues) if queues else tuple(known.queues(task))
    return waits.until_none_of(stage, task, searched)


def _content_gone(stage: Stage, names: Sequence[str]) -> Iterator[Condition]:
    if not names:
        raise StepsError("name one or more content types, such as application/json")
    return waits.until_none_in_form(stage, _queues(stage, ()), names)


def _workers(stage: Stage, names: Sequence[str]) -> Iterator[Condition]:
    running = fleet.running(stage.plan)
    if unknown := [name for name in names if name not in fleet.named(running)]:
        message = f"the plan runs no worker {_told(unknown)}; it runs {_told(fleet.named(running))}"
        raise StepsError(message)
    chosen = [scope for scope in running if not names or scope.name in names]
    return waits.until_workers_answer(stage, {*map(str, chosen)}, chosen)


def _queues(stage: Stage, names: Sequence[str], *, needed: bool = False) -> tuple[str, ...]:
    """The named queues of the plan, else all that its workers consume."""
    if needed and not names:
        raise StepsError("name one or more queues")
    known = set(fleet.named([*stage.plan.scopes("queue")])) | {
        str(stage.plan.get(scope, "dead_letter_queue")) for scope in stage.plan.scopes("queue")
    }
    if unknown := sorted({*names} - known):
        message = f"the plan has no queue {_told(unknown)}; name another plan with --plan"
        raise StepsError(message)
    if apart := [name for name in names if stage.plan.get(Scope("queue", name), "broadcast")]:
        message = f"each process has its own queue for broadcasts to {_told(apart)}; name other queues"
        raise StepsError(message)
    return tuple(sorted({*names} or fleet.consumed(stage.plan)))


def _told(names: Sequence[str]) -> str:
    return clean(coded(names))


WORDS: Mapping[str, Callable[[Stage, Sequence[str]], Iterator[Condition]]] = {
    "drained": _drained,
    "taken": _taken,
    "workers": _workers,
    "task-gone": _task_gone,
    "content-gone": _content_gone,
}
"""What a person can wait for, by the word that they write."""
