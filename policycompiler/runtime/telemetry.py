"""Metrics for Prometheus: waits, runs and ends of tasks, and dispatches of beat.

Shipped by policycompiler beside celeryconfig.py, which names the bounds. Do not edit.

Every publisher stamps the time into its messages. The main process of a worker counts,
because it sees the end of each run, even if the process of the run was killed.

A worker or beat counts only if the variable `CELERY_TELEMETRY_PORTS` has a port, or a
range such as `9540-9543`. It serves the metrics on the first free port. An error in
here is logged once and disturbs no task.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from fnmatch import fnmatchcase
from functools import cached_property
from importlib import import_module
from logging import getLogger
from os import environ
from time import monotonic, time
from typing import Any, Callable, NamedTuple

from billiard.einfo import ExceptionWithTraceback  # type: ignore[import-untyped]
from celery import exceptions, signals
from kombu.utils.imports import symbol_by_name

HEADER = "celeryconfig-sent"
"""A header of each message: when it was published, in seconds since 1970."""
PORTS, WORKER = "CELERY_TELEMETRY_PORTS", "CELERY_TELEMETRY_WORKER"
"""The variables with the ports, and with the name of the worker in the plan."""
UNKNOWN, OTHER = "unknown", "other"
"""The labels of tasks, queues and schedules that the app does not have."""
SIZES = (256, 1024, 4096, 16384, 65536, 262144, 1048576)
"""The buckets of payloads, in bytes."""
_RAN = ("succeeded", "failed", "retried", "hard_killed", "rejected")
_ENDS = (*_RAN, "expired", "revoked")
_DIES = frozenset({"failed", "hard_killed", "rejected", "unregistered"})
_DELAYED, _DELAY_BITS = "celery_delayed_delivery", 28
_MOST_ADDRESSES = 1000


class Told(NamedTuple):
    """What celeryconfig.py says.

    `wait_bounds`, `run_bounds`: upper bounds of buckets, in seconds. `payload_bounds`:
    bytes by the name or pattern of a task, exact names first; None is no bound.
    `dead_letters`: the queues that keep dead letters.
    """

    service: str
    fingerprint: str
    bind: str
    wait_bounds: tuple[float, ...]
    run_bounds: tuple[float, ...]
    payload_bounds: Mapping[str, int | None]
    dead_letters: tuple[str, ...]


_state: dict[str, Any] = {}


def observe(told: Mapping[str, Any], guarded: Any = None) -> None:
    """Stamp messages; measure if this process is a worker or beat that has a port.

    `guarded`: the guards, which have metrics of their own, and say what is parked.
    """
    _state.update(told=Told(**told), guarded=guarded)
    connected: list[tuple[Any, Callable[..., None]]] = [
        (signals.before_task_publish, _stamp)
    ]
    if environ.get(PORTS):
        connected += [
            (signals.worker_init, _prepare),
            (signals.worker_ready, _ready),
            (signals.worker_process_init, _enter_child),
            (signals.task_unknown, _unknown),
            (signals.beat_init, _watch_beat),
        ]
    for signal, receiver in connected:
        uid = f"{HEADER}-{receiver.__name__}"
        signal.connect(receiver, weak=False, dispatch_uid=uid)


def _stamp(headers: Any = None, **_: Any) -> None:
    """A retry is a message of its own, with its own time."""
    if isinstance(headers, dict):
        headers[HEADER] = time()


def _quietly(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function whose errors must disturb no task; the first one is logged."""
    try:
        return function(*arguments)
    except Exception:
        if not _state.get("complained"):
            _state["complained"] = True
            message = "telemetry goes on after an error; later errors are not logged"
            getLogger(__name__).exception(message)


def _client() -> Any:
    try:
        return import_module("prometheus_client")
    except ModuleNotFoundError as error:
        if error.name != "prometheus_client":
            raise
        message = f"{PORTS} is set, and telemetry needs the package prometheus-client: "
        message += "install it where workers and beat run"
        raise exceptions.ImproperlyConfigured(message) from error


def _start(app: Any, worker: str) -> None:
    """Celery swallows any other exception of a signal's receiver."""
    try:
        client = _client()
    except exceptions.ImproperlyConfigured as error:
        raise SystemExit(str(error)) from error
    _state["metrics"] = _quietly(_Metrics, client, app, worker)


def _in_memory(kind: Any) -> Any:
    """A kind of metric with values in this process alone.

    With `PROMETHEUS_MULTIPROC_DIR`, prometheus_client keeps values in files, which the
    application's own endpoint shows, and which each process of a pool begins at 0.
    """
    values: Any = import_module("prometheus_client.values")

    class InMemory(kind):  # type: ignore[misc]
        def _metric_init(self) -> None:
            chosen = values.ValueClass
            try:
                values.ValueClass = values.MutexValue
                super()._metric_init()
            finally:
                values.ValueClass = chosen

    return InMemory


class _Metrics:
    """The metrics of this process, in a registry of their own."""

    def __init__(self, client: Any, app: Any, worker: str) -> None:
        self.app, self.worker, self.told = app, worker, _state["told"]
        self.client, self.registry = client, client.CollectorRegistry()
        self.series: dict[tuple[str, str], _Series] = {}
        self.addresses: dict[tuple[str, str], str] = {}
        task, histogram, counter = ("task", "queue"), client.Histogram, client.Counter
        waits, runs = self.told.wait_bounds, self.told.run_bounds
        self.wait = self._made(
            histogram, "task_wait_seconds", "From publish to start.", task, waits
        )
        self.run = self._made(
            histogram, "task_run_seconds", "From start to end.", task, runs
        )
        self.starts = self._made(counter, "task_starts", "Runs that began.", task)
        self.ends = self._made(
            counter, "task_outcomes", "Ends of messages.", (*task, "outcome")
        )
        self.success = self._gauge(
            "task_last_success_timestamp_seconds", "Last success.", "task"
        )
        self.payload = self._made(
            histogram, "payload_bytes", "Bodies of messages.", task, SIZES
        )
        self.over = self._made(
            counter, "payload_over_bound", "Bodies above the declared size.", task
        )
        said = self._gauge(
            "plan_info", "The plan that was read.", "fingerprint", "worker"
        )
        said.labels(self.told.service, self.told.fingerprint, worker).set(1)

    def _made(
        self, kind: Any, name: str, says: str, labels: Any, buckets: Any = None
    ) -> Any:
        options = {} if buckets is None else {"buckets": buckets}
        names = ("service", *labels)
        full = f"policycompiler_{name}"
        own = _in_memory(kind)
        return own(full, says, names, registry=self.registry, **options)

    def _gauge(self, name: str, says: str, *labels: str) -> Any:
        return self._made(self.client.Gauge, name, says, labels)

    def of(self, task: str, queue: str) -> _Series:
        """The series of a task in a queue."""
        found = self.series.get((task, queue))
        if found is None:
            found = self.series.setdefault((task, queue), _Series(self, task, queue))
        return found

    def queue_of(self, info: Any) -> str:
        """The queue that a message came from, as the app calls it."""
        info = info or {}
        address = info.get("exchange") or "", info.get("routing_key") or ""
        found = self.addresses.get(address)
        if found is None:
            if len(self.addresses) >= _MOST_ADDRESSES:
                self.addresses.clear()
            found = self._bound(*address)
            # A worker may begin to consume another queue while it runs.
            if found != OTHER:
                self.addresses[address] = found
        return found

    def _bound(self, exchange: str, key: str) -> str:
        queues = self.app.amqp.queues.consume_from
        if not exchange and key in queues:
            return str(queues[key].alias or key)
        delayed = exchange.startswith(_DELAYED)
        key = key.split(".", _DELAY_BITS)[-1] if delayed else key
        for name, queue in queues.items():
            there = delayed or queue.exchange.name == exchange
            if there and (_fits(queue, key) or (delayed and key == name)):
                return str(queue.alias or name)
        return OTHER

    def collect(self) -> Iterator[Any]:
        """All metrics, without the time at which each was created."""
        for metric in (*self.registry.collect(), *self._live()):
            metric.samples = [
                each for each in metric.samples if not each.name.endswith("_created")
            ]
            yield metric

    def restricted_registry(self, names: Any) -> Any:
        """The counted metrics with these names: a scrape may ask for some."""
        return self.registry.restricted_registry(names)

    def _live(self) -> Iterator[Any]:
        """What is true at the moment of a scrape: nothing to keep right in between."""
        if "consumer" not in _state:
            return
        family = import_module("prometheus_client.core").GaugeMetricFamily
        service = self.told.service
        queues = self.app.amqp.queues.consume_from
        names = [queue.alias or name for name, queue in list(queues.items())]
        active = dict.fromkeys(names, 0)
        for request in _active():
            run = getattr(request, "_telemetry", None)
            if run is not None:
                active[run.series.queue] = active.get(run.series.queue, 0) + 1
        name = "policycompiler_tasks_in_flight"
        flights = family(name, "Runs at this moment.", labels=("service", "queue"))
        for queue, number in active.items():
            flights.add_metric((service, queue), number)
        labels = ("service", "worker", "queue")
        consumes = family("policycompiler_worker_consumes", "1", labels=labels)
        for queue in names:
            consumes.add_metric((service, self.worker, queue), 1)
        yield from (flights, consumes)


def _active() -> tuple[Any, ...]:
    """The requests that run; the worker may change the set meanwhile."""
    requests = import_module("celery.worker.state").active_requests
    for _ in range(10):
        with suppress(RuntimeError):
            return tuple(requests)
    return ()


def _fits(queue: Any, key: str) -> bool:
    """Whether a queue gets messages with a routing key from its exchange."""
    kind, bound = queue.exchange.type, queue.routing_key or ""
    if kind != "topic":
        return bool(kind == "fanout" or bound == key)
    words = {"*": r"[^.]*\.", "#": r"([^.]*\.)*"}
    parts = (words.get(word, re.escape(f"{word}.")) for word in bound.split("."))
    return re.fullmatch("".join(parts), f"{key}.") is not None


class _Series:
    """The series of a task in a queue. Counts begin at 0, so the first one is seen."""

    def __init__(self, metrics: _Metrics, task: str, queue: str) -> None:
        self.metrics, self.queue, told = metrics, queue, metrics.told
        self.labels = told.service, task, queue
        ends = ["unregistered"] if task == UNKNOWN else [*_ENDS, *_parks()]
        kept = ["dead_lettered"] if queue in told.dead_letters else []
        if task != UNKNOWN:
            self.starts = metrics.starts.labels(*self.labels)
        self.ends = {
            end: metrics.ends.labels(*self.labels, end) for end in [*ends, *kept]
        }
        self.most = _bound_of(told.payload_bounds, task)
        self.over = metrics.over.labels(*self.labels) if self.most else None

    @cached_property
    def wait(self) -> Any:
        return self.metrics.wait.labels(*self.labels)

    @cached_property
    def run(self) -> Any:
        return self.metrics.run.labels(*self.labels)

    @cached_property
    def payload(self) -> Any:
        return self.metrics.payload.labels(*self.labels)

    @cached_property
    def success(self) -> Any:
        return self.metrics.success.labels(*self.labels[:2])

    def end(self, outcome: str, *, again: bool = False) -> None:
        self.ends[outcome].inc()
        if outcome in _DIES and not again and "dead_lettered" in self.ends:
            self.ends["dead_lettered"].inc()


def _parks() -> tuple[str, ...]:
    """The end of a run that guards have sent again for later."""
    return () if _state.get("guarded") is None else ("parked",)


def _bound_of(bounds: Mapping[str, int | None], task: str) -> int | None:
    if task in bounds:
        return bounds[task]
    found = (most for name, most in bounds.items() if fnmatchcase(task, name))
    return next(found, None)


class _Run:
    """A message that the worker has received, and what happened to it."""

    __slots__ = ("again", "ended", "series", "started", "stored")

    def __init__(self, request: Any) -> None:
        metrics = _state["metrics"]
        queue = metrics.queue_of(request.delivery_info)
        self.series: _Series = metrics.of(request.task.name, queue)
        self.started: float | None = None
        self.ended = self.again = self.stored = False
        size = len(request.message.body or "")
        self.series.payload.observe(size)
        if self.series.most and size > self.series.most:
            self.series.over.inc()

    def start(self, request: Any, accepted: float) -> None:
        self.started = accepted
        self.series.starts.inc()
        sent = (request.message.headers or {}).get(HEADER)
        if isinstance(sent, (int, float)):
            eta = request.eta.timestamp() if request.eta else 0.0
            wait = time() - (monotonic() - accepted) - max(sent, eta)
            # The clocks of two hosts differ.
            self.series.wait.observe(max(0.0, wait))

    def returns(self, again: Any) -> None:
        """Whether the message comes again, so this is not its end for good."""
        self.again = bool(again)

    def has_result(self, stored: Any) -> None:
        """Whether a process stored a result before it was lost."""
        self.stored = bool(stored)

    def end(self, outcome: str, seconds: Any = None) -> None:
        """Count the end once: a hard limit and a revoked run are told twice."""
        if self.ended:
            return
        self.ended = True
        self.series.end(outcome, again=self.again)
        if outcome in _RAN and self.started is not None:
            self.series.run.observe(seconds or monotonic() - self.started)
        if outcome == "succeeded":
            self.series.success.set(time())

    def fail(self, problem: Any) -> None:
        """The end of a run that raised, or whose process is gone."""
        if isinstance(problem, ExceptionWithTraceback):
            problem = problem.exc
        if isinstance(problem, exceptions.Ignore):
            self.ended = True
        elif isinstance(problem, exceptions.WorkerLostError) and self.stored:
            self.end("succeeded")
        elif _parks() and _state["guarded"].parked(problem):
            self.end("parked")
        else:
            kinds = (end for kind, end in _PROBLEMS if isinstance(problem, kind))
            self.end(next(kinds, "failed"))


_PROBLEMS: tuple[tuple[Any, str], ...] = (
    (exceptions.Retry, "retried"),
    (exceptions.Reject, "rejected"),
    (exceptions.TimeLimitExceeded, "hard_killed"),
    (exceptions.WorkerLostError, "hard_killed"),
    # A process of a pool that exits takes its run with it.
    ((SystemExit, KeyboardInterrupt), "hard_killed"),
)


def _tell(request: Any, what: str, *arguments: Any) -> None:
    run = getattr(request, "_telemetry", None)
    if run is not None:
        _quietly(getattr(run, what), *arguments)


def _observed(base: Any) -> Any:  # noqa: C901 - a class, whose methods are simple
    """A class of requests that is measured, derived from that of the application."""

    class Observed(base):  # type: ignore[misc]
        __slots__ = ("_telemetry",)

        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self._telemetry = _quietly(_Run, self)

        def __init_subclass__(cls, **options: Any) -> None:
            super().__init_subclass__(**options)
            # Celery derives a class whose method does not call this one.
            if "on_success" in vars(cls):
                cls.on_success = _succeeding(cls.on_success)

        def on_accepted(self, pid: Any, time_accepted: float) -> Any:
            _tell(self, "start", self, time_accepted)
            return super().on_accepted(pid, time_accepted)

        def on_failure(self, exc_info: Any, *arguments: Any, **options: Any) -> Any:
            try:
                return super().on_failure(exc_info, *arguments, **options)
            finally:
                _tell(self, "fail", exc_info.exception)

        def on_timeout(self, soft: Any, timeout: Any) -> Any:
            try:
                return super().on_timeout(soft, timeout)
            finally:
                if not soft:
                    _tell(self, "end", "hard_killed")

        def reject(self, requeue: bool = False) -> Any:  # noqa: FBT001, FBT002
            _tell(self, "returns", requeue)
            return super().reject(requeue)

        def _announce_revoked(
            self, reason: Any, terminated: Any, signum: Any, expired: Any
        ) -> Any:
            _tell(self, "end", "expired" if expired else "revoked")
            return super()._announce_revoked(reason, terminated, signum, expired)

        def _announce_cancelled(self, *arguments: Any, **options: Any) -> Any:
            # The connection is lost, so the broker delivers the message again.
            _tell(self, "end", "retried")
            return super()._announce_cancelled(*arguments, **options)

        def _retry_worker_lost(self, *arguments: Any) -> Any:
            sent = super()._retry_worker_lost(*arguments)
            _tell(self, "returns", sent)
            return sent

        def _success_was_stored(self) -> Any:
            stored = super()._success_was_stored()
            _tell(self, "has_result", stored)
            return stored

    return Observed


def _succeeding(method: Callable[..., Any]) -> Callable[..., Any]:
    def on_success(self: Any, result: Any, **options: Any) -> Any:
        failed, _, seconds = result
        try:
            return method(self, result, **options)
        finally:
            if not failed:
                _tell(self, "end", "succeeded", seconds)

    return on_success


def _prepare(sender: Any = None, **_: Any) -> None:
    """All tasks of a worker are there, and it takes no message yet."""
    _start(sender.app, environ.get(WORKER) or sender.hostname)
    if _state["metrics"] is not None:
        _quietly(_observe_tasks, sender.app)
        _show_guards(sender.app)


def _show_guards(*app: Any) -> None:
    if _state.get("guarded") is not None:
        _quietly(_state["guarded"].show, _state["metrics"].registry, *app)


def _observe_tasks(app: Any) -> None:
    classes: dict[Any, Any] = {}
    for task in app.tasks.values():
        base = symbol_by_name(task.Request)  # type: ignore[no-untyped-call]
        if base not in classes:
            classes[base] = _observed(base)
        task.Request = classes[base]


def _ready(sender: Any = None, **_: Any) -> None:
    _state["consumer"] = sender
    if _state.get("metrics") is not None:
        _quietly(_begin, sender.app, _state["metrics"])
        _quietly(_serve, _state["metrics"])


def _begin(app: Any, metrics: _Metrics) -> None:
    """Show the tasks of this worker before their first message."""
    consumed = app.amqp.queues.consume_from
    for name, queue in consumed.items():
        metrics.of(UNKNOWN, queue.alias or name)
    names = {queue.alias or name for name, queue in consumed.items()}
    for name, task in app.tasks.items():
        queue = getattr(task, "queue", None)
        queue = str(getattr(queue, "name", queue))
        if queue in names:
            metrics.of(name, queue)


def _serve(metrics: _Metrics) -> None:
    """Serve on the first free port; a process that still stops may have the others."""
    first, _, last = environ[PORTS].partition("-")
    why: object = "the range is empty"
    for port in range(int(first), int(last or first) + 1):
        try:
            started = metrics.client.start_http_server(
                port, addr=metrics.told.bind, registry=metrics
            )
        except OSError as problem:
            why = problem
            continue
        _state["server"] = started[0] if started else None
        message = "telemetry is on port %s of %s"
        getLogger(__name__).info(message, port, metrics.told.bind)
        return
    message = "telemetry is not served: no port of %s is free (%s)"
    getLogger(__name__).error(message, environ[PORTS], why)


def _enter_child(**_: Any) -> None:
    """A process of a pool must not hold the port of the main process."""
    server = _state.pop("server", None)
    if server is not None:
        _quietly(server.socket.close)


def _unknown(message: Any = None, **_: Any) -> None:
    if _state.get("metrics") is not None:
        _quietly(_count_unknown, _state["metrics"], message)


def _count_unknown(metrics: _Metrics, message: Any) -> None:
    metrics.of(UNKNOWN, metrics.queue_of(message.delivery_info)).end("unregistered")


def _watch_beat(sender: Any = None, **_: Any) -> None:
    # Beat inside of a worker has the metrics of the worker.
    if "metrics" not in _state:
        _start(sender.app, "beat")
        if _state["metrics"] is not None:
            _show_guards()
            _quietly(_wrap, sender.scheduler, sender.app, _state["metrics"])
            _quietly(_serve, _state["metrics"])


def _wrap(scheduler: Any, app: Any, metrics: _Metrics) -> None:
    """Measure each tick and each dispatch of a scheduler of any class."""
    service, names = metrics.told.service, frozenset(app.conf.beat_schedule)
    gauge = metrics._gauge
    began = gauge("beat_started_timestamp_seconds", "When beat started.")
    ticked = gauge(
        "beat_last_tick_timestamp_seconds", "The last look at the schedules."
    )
    sent = gauge("beat_last_dispatch_timestamp_seconds", "Last message.", "schedule")
    errors = metrics._made(
        metrics.client.Counter, "beat_dispatch_errors", "Failed sends.", ("schedule",)
    )
    began.labels(service).set(time())
    for name in names:
        errors.labels(service, name)
    tick, dispatch = scheduler.tick, scheduler.apply_async

    def ticking(*arguments: Any, **options: Any) -> Any:
        found = tick(*arguments, **options)
        _quietly(ticked.labels(service).set, time())
        return found

    def dispatching(entry: Any, *arguments: Any, **options: Any) -> Any:
        name = entry.name if entry.name in names else OTHER
        try:
            found = dispatch(entry, *arguments, **options)
        except Exception:
            _quietly(errors.labels(service, name).inc)
            raise
        _quietly(sent.labels(service, name).set, time())
        return found

    scheduler.tick, scheduler.apply_async = ticking, dispatching
