"""Reviews for the tests of how they are printed: of each class, shifted, hostile."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from policycompiler.diagnostics import Waived
from policycompiler.findings.acknowledge import Answer
from policycompiler.load import Document, load
from policycompiler.plan import Scope, scope_from_text
from policycompiler.report.review import Half, Reviewed
from policycompiler.review import OUTPUT, Change, Class, Review, Step
from policycompiler.review.conditions import DeleteQueue, Drained, Seen, WorkerAnswer, WorkersAnswer

REINDEX = ("tasks", "shop.search.reindex")
OLD = """\
tasks:
  shop.search.reindex: {queue: standard}
  shop.gone: {}
"""
NEW = """\
tasks:
  shop.search.reindex:
    queue: search
schedules:
  yearly: {task: shop.search.reindex, cron: 0 4 1 1 *}
"""


def about(address: str) -> dict[str, object]:
    """What a change is about, for `_replace`."""
    scope, _, key = address.partition("/")
    return {"scope": scope_from_text(scope), "key": key}


MOVED = Change(
    Class.ORDERED,
    "task-moved",
    Scope("task", "shop.search.reindex"),
    "queue",
    "workers of `search` must run before any producer sends there",
    "standard",
    "search",
    "placement",
    (*REINDEX, "queue"),
    (*REINDEX, "queue"),
)
GONE = Change(
    Class.LOSSY,
    "task-removed",
    Scope("task", "shop.gone"),
    "",
    "messages of it that wait are thrown away",
    None,
    None,
    "",
    ("tasks", "shop.gone"),
    (),
)
SHIFTED = Change(
    Class.SAFE,
    "schedule-shifted",
    Scope("schedule", "yearly"),
    "",
    "beat reads it when it starts",
    {"cron": {"minute": "0", "hour": "3"}, "timezone": "UTC", "next": ["2027-01-01T03:00+00:00"]},
    {"cron": {"minute": "0", "hour": "4"}, "timezone": "UTC", "next": ["2027-01-01T04:00+00:00"]},
    "schedules",
    (),
    ("schedules", "yearly", "cron"),
)
FOLLOWING = Change(
    Class.SAFE,
    "worker-options",
    Scope("worker", "search"),
    "stop_timeout_seconds",
    "the longest run",
    90,
    5400,
    "stop-timeout",
    (),
    (),
    follows=True,
)
SEARCH = WorkerAnswer(
    name="search", nodes="worker@search.*", replicas=2, queues=("search",), fingerprint="0123456789ab"
)
STEPS = (
    Step(
        "expand",
        "start the workers of `search`",
        "they have to be there first",
        "stop them",
        "rollout/1-overlap",
        start=("worker:search",),
        restart=("worker:standard",),
        wait_for=(WorkersAnswer(plan="rollout/1-overlap", workers=(SEARCH,)),),
        run=(DeleteQueue(plan=".", queue="old"),),
    ),
    Step(
        "drain",
        "wait for the old queue",
        "it is still consumed",
        "nothing to undo",
        OUTPUT,
        reload=("worker:standard",),
        stop=("beat",),
        wait_for=(Drained(plan="rollout/previous", queues=("standard",)),),
    ),
)
REVIEW = Review((GONE, MOVED, SHIFTED, FOLLOWING), STEPS, {})
WAIVED = Waived("nobody sends it", "storefront", "2027-03-31")


def document_of(text: str, file: str) -> Document:
    """The workload of one file in the current folder."""
    path = Path(file)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return load([path])[0]


def reviewed(review: Review = REVIEW, answers: Sequence[Answer] | None = None) -> Reviewed:
    """A review of two workloads, with nobody who answers for anything."""
    return Reviewed(
        review,
        Half("git:main", document_of(OLD, "old/w.yaml")),
        Half("workload", document_of(NEW, "new/w.yaml")),
        [Answer() for _ in review.changes] if answers is None else answers,
    )


def hostile(text: str) -> Review:
    """The same text wherever there may be one."""
    changes = [
        Change(risk, kind, Scope("task", text), text, text, text, {text: [text]}, text, (text, text), (text,))
        for risk in Class
        for kind in ("task-moved", "schedule-shifted", "no-such-kind")
    ]
    step = Step(
        "expand",
        text,
        text,
        text,
        text,
        (text,),
        (text,),
        (text,),
        (text,),
        (Seen(says=text),),
        (DeleteQueue(plan=text, queue=text),),
    )
    return Review(tuple(reversed(changes)), (step, step), {})
