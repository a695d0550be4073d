"""The arithmetic behind the size of a worker, step by step, in numbers that a reader can check."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from policycompiler.diagnostics import did_you_mean
from policycompiler.model import WhatIf
from policycompiler.plan import Plan, Scope
from policycompiler.plan.lines import Flow, WorkerLine
from policycompiler.quantities import counted, duration, figure, number, percent, size
from policycompiler.report.sizes import (
    SHARES,
    UNKNOWN,
    about,
    limited,
    missing,
    supposed,
    times,
)
from policycompiler.report.text import clean, table
from policycompiler.sizing import (
    CAUTION,
    CELERY_SECONDS,
    SHARE_CAUTION,
    TURNAROUND_SECONDS,
    Line,
    Promise,
    erlang_b,
)

_BETWEEN = "the load of the table of sizes leaves the time between runs out; busy slots and waits count it"


class UnknownWorkerError(LookupError):
    """The plan has no worker of this name; the message has the most similar one."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        help_text = did_you_mean(name, known) or f"it has {', '.join(known) or 'none'}"
        super().__init__(clean(f"the plan has no worker `{name}`; {help_text}"))


def steps_text(plan: Plan, lines: Sequence[WorkerLine], worker: str, what_if: WhatIf) -> str:
    """The steps for one worker, ending with a newline. Raises `UnknownWorkerError`."""
    each = next((line for line in lines if line.worker == worker), None)
    if each is None:
        raise UnknownWorkerError(worker, [line.worker for line in lines])
    blocks = [[*supposed(what_if)], [*_head(plan, each)], ["load at peak", *table(_load(each))]]
    if any(flow.limit for flow in each.flows):
        blocks[-1].append("  a run ends at its hard limit, so a mean can be shorter than that of the plan")
    line = each.line
    if line is None:
        blocks.append([f"  {missing(each)}"])
    else:
        if line.rate:
            blocks[-1].append(f"  {_BETWEEN}")
        blocks.append(["run times of all messages", *table(_mixture(each, line))])
        blocks.append(["waits", *_waits(line)])
        if each.promise is not None:
            blocks.append(["promise", *_promise(each, line, each.promise)])
    blocks.append([*limited(plan, each)])
    blocks.append([*_memory(plan, each)])
    return "\n\n".join("\n".join(map(clean, block)) for block in blocks if block) + "\n"


def _head(plan: Plan, each: WorkerLine) -> Iterator[str]:
    """The slots, and why there are that many."""
    processes, slots = counted(each.processes, "process"), counted(each.slots_each, "slot")
    yield f"worker {each.worker}: {each.pool}, {processes} x {slots} = {counted(each.slots, 'slot')}"
    scope = Scope("worker", each.worker)
    setting = plan.find(scope, "autoscale") or plan.setting(scope, "concurrency")
    yield f"  limited by {each.limited_by}: {setting.because}"
    if each.beside:
        others = ", ".join(each.beside)
        yield f"  shares queues with {others}: one line with {counted(each.all_slots, 'slot')}"


def _load(each: WorkerLine) -> Iterator[tuple[str, ...]]:
    """Rate times mean run time of each task."""
    yield "  task", "runs per second", "mean run", "hard limit", "busy slots"
    for flow in each.flows:
        service = flow.service
        yield (
            f"  {flow.task}",
            _rate(flow),
            UNKNOWN if service is None else f"{figure(service.mean)} s",
            "none" if flow.limit is None else duration(flow.limit),
            UNKNOWN if service is None or flow.rate is None else figure(flow.runs * service.mean),
        )
    if (line := each.line) is not None:
        if line.rate:
            between = f"{TURNAROUND_SECONDS} s"
            yield "  between runs", figure(line.rate), between, "", figure(line.rate * TURNAROUND_SECONDS)
        yield "  together", figure(line.rate), "", "", figure(line.load)


def _rate(flow: Flow) -> str:
    if flow.rate is None:
        return UNKNOWN
    if flow.copies == 1:
        return figure(flow.rate)
    return f"{figure(flow.rate)}, a part of {figure(flow.copies, 3)} = {figure(flow.runs)}"


def _mixture(each: WorkerLine, line: Line) -> Iterator[tuple[str, ...]]:
    """Mean and variation of a run of any task."""
    mean, square = line.service.mean, line.service.square
    if not line.rate:
        yield "  no messages arrive", "", ""
        return
    rate = figure(line.rate)
    yield "  mean", f"{figure(line.load)} busy slots / {rate} per second", f"= {figure(mean)} s"
    squares = " + ".join(
        f"{figure(flow.runs)} x {figure(flow.service.longer(TURNAROUND_SECONDS).square)}"
        for flow in each.flows
        if flow.service
    )
    few = f"({squares}) / {rate}" if len(each.flows) <= 4 else "mean of run time squared, by rate"  # noqa: PLR2004
    yield "  mean square", few, f"= {figure(square)} s²"
    yield (
        "  variation",
        f"{figure(square)} / {figure(mean)}² - 1",
        f"= {figure(line.service.variation)} (0: equal runs, 1: exponential runs)",
    )


def _waits(line: Line) -> list[str]:
    """Erlang C, the mean wait, and the tail."""
    slots, load, busy = line.slots, line.load, line.utilization
    rows = [("  utilization", f"{figure(load)} busy slots / {counted(slots, 'slot')}", f"= {percent(busy)}")]
    if busy >= 1:
        return [
            *table(rows),
            "  messages arrive faster than the slots run them: the backlog grows without end",
        ]
    if not load:
        return [*table(rows), "  no message waits"]
    lost, waiting, mean = erlang_b(slots, load), line.waiting_share, line.service.mean
    equal, exponential = line.extreme_delays
    variation = line.service.variation
    shape, scale = line.tail
    rows += [
        ("  Erlang B", f"B({counted(slots, 'slot')}, load {figure(load)})", f"= {figure(lost)}"),
        (
            "  share that waits",
            f"Erlang C = {figure(lost)} / (1 - {figure(busy)} x (1 - {figure(lost)}))",
            f"= {figure(waiting)}",
        ),
        (
            "  their mean wait",
            f"if runs are exponential: {figure(mean)} s / ({slots} x (1 - {figure(busy)}))",
            f"= {figure(exponential)} s",
        ),
        ("", "if runs are equal (Cosmetatos)", f"= {figure(equal)} s"),
        (
            "",
            f"{figure(variation)} x {figure(exponential)} s + (1 - {figure(variation)}) x {figure(equal)} s",
            f"= {figure(line.mean_delay / line.relief)} s",
        ),
        *_relief(line),
        (
            "  mean wait of all",
            f"{figure(waiting)} x {figure(line.mean_delay)} s",
            f"= {figure(line.mean_wait)} s",
        ),
        (
            "  longer than t",
            f"share {figure(waiting)} x exp(-(t / {figure(scale)} s)^{figure(shape)})",
            "",
        ),
    ]
    for share in SHARES:
        late = 1 - share
        how = f"{figure(scale)} s x ln({figure(waiting)} / {figure(late)})^(1 / {figure(shape)})"
        wait = line.wait_quantile(share)
        if waiting <= late:
            how = f"at most {figure(late)} of the messages wait"
        elif wait == line.least_wait(share):
            how = f"until one of the {slots} runs ends: longer than the formula says"
        rows.append((f"  p{100 * share:.0f}", how, f"= {about(wait)}"))
    return table(rows)


def _relief(line: Line) -> list[tuple[str, str, str]]:
    """The factor for runs of which a few are very long."""
    if line.relief == 1:
        return []
    how = f"long runs rarely hold all slots at once: x {figure(line.relief)}"
    return [("", how, f"= {figure(line.mean_delay)} s")]


def _promise(each: WorkerLine, line: Line, promise: Promise) -> list[str]:
    """Whether the promise holds, with which slots, and up to which traffic."""
    share = 1 - (1 - promise.share) / SHARE_CAUTION
    told = f"{percent(promise.share)} of the messages start within {duration(promise.seconds)}"
    rows = [
        f"  {told}: the most urgent latency class of its queues",
        f"  for safety, the wait of {100 * share:.2f}% is multiplied by {number(CAUTION)}",
        f"  Celery's own {duration(CELERY_SECONDS)} are added",
        f"  at most {percent(promise.ceiling)} of the slots may be busy",
    ]
    least = each.fewest_slots
    tried = {line.slots, *(slots for slots in ((least or 1) - 1, least) if slots)}
    rows += table(_trial(line, slots, promise, share) for slots in sorted(tried))
    rows.append("  no number of slots keeps it" if least is None else f"  fewest slots that keep it: {least}")
    if (factor := each.breaks_at) is not None:
        rate = factor * line.rate
        busy = percent(rate * line.service.mean / line.slots) if line.slots else "no slots"
        rows.append(
            f"  breaks at {times(factor)} of this traffic: {counted(rate, 'message')} per second, {busy} busy"
        )
    return rows


def _trial(line: Line, slots: int, promise: Promise, share: float) -> tuple[str, ...]:
    """A number of slots, and whether the promise would hold on them."""
    tried = line._replace(slots=slots)
    wait = tried.wait_quantile(share)
    now = " (now)" if slots == line.slots else ""
    safe = figure(wait * CAUTION + CELERY_SECONDS)
    steps = f"{figure(wait)} s x {number(CAUTION)} + {CELERY_SECONDS} s = {safe} s"
    return (
        f"  {counted(slots, 'slot')}{now}",
        f"{percent(tried.utilization)} busy",
        "the wait is endless" if math.isinf(wait) else steps,
        "keeps it" if promise.holds(tried) else "does not keep it",
    )


def _memory(plan: Plan, each: WorkerLine) -> Iterator[str]:
    """The estimate of the memory, and what the steps leave out."""
    if each.memory_bytes is not None:
        base, slot = size(each.base_bytes or 0), size(each.slot_bytes or 0)
        yield "memory (estimate)"
        yield (f"  {each.processes} x ({base} + {each.slots_each} x {slot}) = {size(each.memory_bytes)}")
        for key in ("base_bytes", "slot_bytes"):
            yield f"  {key}: {plan.setting(Scope('worker', each.worker), key).because}"
    yield ""
    yield "Retries, bursts and countdowns are not counted: declare the rate at peak with its retries."
