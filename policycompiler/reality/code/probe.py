"""What a Celery app has today: a program for the application's own interpreter.

It needs Python 3.9 and Celery 5.3 or newer, and nothing else. It loads the app as a worker does (the app, its
default modules, finalize) and writes one JSON document. It opens no connection itself, and reports those that
the application opens while it is imported. Values that may be secret never leave the process.

Usage: probe.py ANSWER ASKED, where ANSWER is the file to write and ASKED is JSON:

- `app`, as for `celery -A`;
- `django`, whether Django is set up first;
- `calls`, a list of `name`, `task`, `args` and `kwargs` to hold against the signatures of the tasks;
- `rows`, whether to read the schedules of django-celery-beat from the database.
"""

from __future__ import annotations

import json
import os
import re
import sys
import traceback
import warnings
from contextlib import suppress
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

FORMAT = 1
OPTIONS = (
    *("acks_late", "acks_on_failure", "acks_on_failure_or_timeout", "acks_on_timeout", "autoretry_for"),
    *("compression", "default_retry_delay", "delivery_mode", "dont_autoretry_for", "exchange", "expires"),
    *("ignore_result", "max_retries", "priority", "queue", "rate_limit", "reject_on_worker_lost"),
    *("retry_backoff", "retry_backoff_max", "retry_jitter", "retry_kwargs", "retry_on_worker_lost"),
    *("routing_key", "send_events", "serializer", "soft_time_limit", "store_eager_result"),
    *("store_errors_even_if_ignored", "throws", "time_limit", "track_started", "trail"),
)
"""The task options that the workload language knows, and those that only a queue can say."""
_DECORATOR_WINS = frozenset(
    {
        *("autoretry_for", "dont_autoretry_for", "retry_backoff", "retry_backoff_max", "retry_jitter"),
        "retry_kwargs",
    }
)
"""Options that Celery reads from the decorator first, whatever an annotation says."""
_CLASSES = frozenset({"autoretry_for", "dont_autoretry_for", "throws"})
_RETRY_DEFAULTS = {
    "autoretry_for": (),
    "dont_autoretry_for": (),
    "retry_kwargs": {},
    "retry_backoff": False,
    "retry_backoff_max": 600,
    "retry_jitter": True,
}
_SECRET = re.compile(
    r"password|passwd|passphrase|secret|(api|access)[_-]?key|credential|token", re.IGNORECASE
)
_WITH_PASSWORD = re.compile(r"(\w[\w+.-]*://)[^@\s/]*@")
_SECTIONS = frozenset({"beat_schedule", "task_annotations", "task_queues", "task_routes"})
"""Settings that the document has in another form."""
_ADDRESSES = ("broker_url", "broker_read_url", "broker_write_url", "result_backend")
_LONGEST_TEXT = 2000


class Unsayable(Exception):
    """A value that JSON or the workload language cannot express; the text says what it is."""


def main() -> None:
    """Write what the app has, or why it cannot be loaded."""
    answer, asked = sys.argv[1], json.loads(sys.argv[2])
    # Like `celery -A`: modules come from the current folder, never from the folder of this file.
    sys.path[0] = os.getcwd()
    warnings.simplefilter("ignore")
    connects: set[str] = set()
    sys.addaudithook(lambda event, args: _note_connect(connects, event, args))
    try:
        found = Look(asked).document()
    except BaseException as problem:  # noqa: BLE001 - an application may even exit while it is imported
        found = {"error": _told(problem)}
    found["connects"] = sorted(connects)
    found["format"] = FORMAT
    with open(answer, "w", encoding="utf-8") as file:
        json.dump(found, file)
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads of the application must not keep the program alive.
    os._exit(0)


def _note_connect(connects: set[str], event: str, args: Any) -> None:
    if event == "socket.connect":
        address = args[1]
        connects.add(f"{address[0]}:{address[1]}" if isinstance(address, tuple) else str(address))


def _told(problem: BaseException) -> dict[str, Any]:
    """The kind, the text and the place of an exception, without passwords."""
    frames = [each for each in traceback.extract_tb(problem.__traceback__) if each.filename != __file__]
    own = [each for each in frames if _is_below(each.filename)] or frames
    text = _WITH_PASSWORD.sub(r"\1**@", str(problem))[:_LONGEST_TEXT]
    where = f"{_relative(own[-1].filename)}:{own[-1].lineno}" if own else ""
    return {"kind": type(problem).__name__, "text": text, "place": where}


def _is_below(path: str) -> bool:
    relative = os.path.relpath(path)
    return not relative.startswith("..") and "site-packages" not in relative


def _relative(path: str) -> str:
    """A path below the current folder, or the part of a path that no machine knows better."""
    if _is_below(path):
        return os.path.relpath(path)
    return re.sub(r"^.*(site-packages|lib/python[\d.]+)/", "", path)


class Look:
    """One app, loaded, and what it has."""

    def __init__(self, asked: dict[str, Any]) -> None:
        self.said: dict[tuple[int, str], dict[str, Any]] = {}
        self.unsaid: list[dict[str, str]] = []
        self._unsayable_settings: set[str] = set()
        self.route_items: dict[int, list[tuple[Any, Any]]] = {}
        self._spy()
        if asked.get("django"):
            import django

            django.setup()
        self.asked = asked
        self.app = self._loaded(str(asked["app"]))

    def document(self) -> dict[str, Any]:
        """Everything that was asked for."""
        import celery
        import kombu

        app = self.app
        # Before anything is routed: routing adds the queues that nobody declared.
        declared = [self._queue(queue, declared=True) for _, queue in sorted(app.amqp.queues.items())]
        names = sorted(name for name in app.tasks if not name.startswith("celery."))
        tasks = {name: self._task(app.tasks[name]) for name in names}
        routes = list(self._patterns())
        used, known = dict(app.amqp.queues), {each["name"] for each in declared}
        return {
            "celery": celery.__version__,
            "kombu": kombu.__version__,
            "python": ".".join(map(str, sys.version_info[:3])),
            "main": app.main,
            "place": self._place_of_app(),
            "addresses": {key: self._address(key) for key in _ADDRESSES if app.conf.get(key)},
            "settings": dict(self._settings()),
            "set": sorted(key for key in _SECTIONS if app.conf.get(key)),
            "unsayable_settings": sorted(self._unsayable_settings),
            "in_code": sorted(key for key in app.conf.maps[0] if self._known(key)),
            "unknown_settings": sorted(self._unknown_settings()),
            "tasks": tasks,
            "annotated": bool(app.conf.task_annotations),
            "routes": routes,
            "queues": [
                *declared,
                *(self._queue(used[name], declared=False) for name in sorted(used) if name not in known),
            ],
            "schedules": {name: self._schedule(name, each) for name, each in self._beat_schedule()},
            "misfits": list(self._misfits()),
            "rows": list(self._rows()) if self.asked.get("rows") else [],
            "unsaid": self.unsaid,
        }

    # Loading -----------------------------------------------------------------------------------------------

    def _spy(self) -> None:
        """Note the options of each decorator before Celery merges them with the configuration."""
        from celery import Celery

        said, from_fun, register = self.said, Celery._task_from_fun, Celery.register_task

        def spied(app: Any, fun: Any, name: Any = None, base: Any = None, **options: Any) -> Any:
            task = from_fun(app, fun, name=name, base=base, **options)
            said.setdefault((id(app), task.name), {key: options[key] for key in OPTIONS if key in options})
            return task

        def registered(app: Any, task: Any, **options: Any) -> Any:
            found = register(app, task, **options)
            said[id(app), found.name] = {key: options[key] for key in OPTIONS if key in options}
            return found

        Celery._task_from_fun, Celery.register_task = spied, registered
        self._spy_on_routes()

    def _spy_on_routes(self) -> None:
        """Note the keys of each mapping of routes; Celery keeps only their regular expressions."""
        from celery.app.routes import MapRoute

        begin, items = MapRoute.__init__, self.route_items

        def spied(router: Any, routes: Any) -> None:
            pairs = [tuple(each) for each in (routes.items() if hasattr(routes, "items") else routes)]
            items[id(router)] = pairs
            begin(router, pairs)

        MapRoute.__init__ = spied

    def _loaded(self, name: str) -> Any:
        """The app, as a worker has it once it is ready."""
        from celery import Celery
        from celery.app.utils import find_app

        app = find_app(name)
        if not isinstance(app, Celery):
            what = f"`{name}` is a {type(app).__name__}, not a Celery app"
            message = f"{what}; name the attribute of a module that is one"
            raise TypeError(message)
        app.set_default()
        # The first look at the configuration connects the handlers of on_after_configure.
        app.conf.get("broker_url")
        app.loader.import_default_modules()
        app.finalize()
        return app

    def _place_of_app(self) -> str:
        """The file of the module that has the app."""
        module = sys.modules.get(str(self.asked["app"]).partition(":")[0])
        file = getattr(module, "__file__", None)
        return _relative(file) if file else str(self.asked["app"])

    # Settings ----------------------------------------------------------------------------------------------

    @staticmethod
    def _known(key: str) -> bool:
        from celery.app.defaults import SETTING_KEYS

        return key in SETTING_KEYS

    def _settings(self) -> Iterator[tuple[str, Any]]:
        """The settings that somebody set to something else than Celery's default."""
        from celery.app.defaults import DEFAULTS, SETTING_KEYS

        for key in sorted(SETTING_KEYS - _SECTIONS - {*_ADDRESSES}):
            value = self.app.conf.get(key)
            if value == DEFAULTS.get(key):
                continue
            try:
                yield key, said(value, key)
            except Unsayable as problem:
                self._unsayable_settings.add(key)
                self._cannot(f"setting {key}", str(problem))

    def _unknown_settings(self) -> Iterable[str]:
        """Names that look like a setting of Celery, and that no setting has."""
        loaded = getattr(self.app.loader, "_conf", None)
        namespace = getattr(self.app, "namespace", None)
        names = [str(key) for key in self.app.conf.maps[0]]
        if loaded is not None:
            names += [str(key) for key in _keys_of(loaded)]
        for name in names:
            plain = name.lower()
            prefix = f"{namespace.lower()}_" if namespace else ""
            if prefix and plain.startswith(prefix):
                plain = plain[len(prefix) :]
            elif prefix and name.isupper():
                continue  # another program's setting in the same module, such as Django's
            if name.startswith("_") or self._known(plain) or not re.fullmatch(r"[a-z][a-z0-9_]*", plain):
                continue
            if plain.startswith(("task_", "worker_", "beat_", "broker_", "result_", "celery_", "celeryd_")):
                yield plain

    def _address(self, key: str) -> dict[str, Any]:
        """The kind of an address, and the environment variables that have it; never the address."""
        value = self.app.conf.get(key)
        text = value if isinstance(value, str) else ";".join(map(str, value))
        scheme = text.partition("://")[0].partition(":")[0]
        return {
            "scheme": scheme,
            "variables": sorted(name for name, found in os.environ.items() if found == text),
            "password": bool(_WITH_PASSWORD.search(text)),
            "plain": _WITH_PASSWORD.sub(r"\1**@", text) if "://" in text else scheme,
        }

    # Tasks -------------------------------------------------------------------------------------------------

    def _task(self, task: Any) -> dict[str, Any]:
        function = getattr(task, "_orig_run", None) or task.run
        code = getattr(getattr(function, "__wrapped__", function), "__code__", None)
        if code is None:
            code = getattr(getattr(function, "__func__", None), "__code__", None)
        place = f"{_relative(code.co_filename)}:{code.co_firstlineno}" if code else type(task).__module__
        return {
            "place": place,
            "class": None if getattr(task, "_decorated", False) else type(task).__name__,
            "options": dict(self._options(task)),
            "decorator": dict(self._decorator(task)),
            "destination": self._destination(task),
        }

    def _options(self, task: Any) -> Iterator[tuple[str, dict[str, Any]]]:
        """Each option that the decorator, an annotation or a base class gives: value and source."""
        decorator = {
            key: value
            for key, value in self.said.get((id(self.app), task.name), {}).items()
            if value is not None
        }
        annotation = self._annotation(task)
        for option in OPTIONS:
            source = self._source(task, option, decorator, annotation)
            if source is None:
                continue
            value = getattr(task, option, None)
            if option in _DECORATOR_WINS and option in decorator:
                value = decorator[option]
            usual = self._usual(option)
            # A flag that is off, where the app does not say whether it is on, is no option.
            off = value is False and usual is None
            if value == usual or off or (option in _CLASSES and not value):
                continue
            try:
                yield option, {"value": _option(option, value), "from": source}
            except Unsayable as problem:
                self._cannot(f"option {option} of task {task.name}", str(problem))

    def _decorator(self, task: Any) -> Iterator[tuple[str, Any]]:
        """The options exactly as the decorator has them."""
        for option, value in sorted(self.said.get((id(self.app), task.name), {}).items()):
            if value is not None:
                with suppress(Unsayable):
                    yield option, _option(option, value)

    def _source(
        self, task: Any, option: str, decorator: dict[str, Any], annotation: dict[str, Any]
    ) -> str | None:
        if option in _DECORATOR_WINS and option in decorator:
            return "decorator"
        if option in annotation:
            return "annotation"
        if option in decorator:
            return "decorator"
        bases = type(task).__mro__ if not getattr(task, "_decorated", False) else type(task).__mro__[1:]
        from celery.app.task import Task

        for base in bases:
            if base is Task:
                return None
            # `app.Task` is bound, so it has values of the configuration.
            if base is not self.app.Task and option in vars(base):
                from_config = {key for key, _ in Task.from_config}
                bound = (
                    base is type(task) and option in from_config and vars(base)[option] == self._usual(option)
                )
                return None if bound else f"class {base.__module__}.{base.__qualname__}"
        return None

    def _annotation(self, task: Any) -> dict[str, Any]:
        from celery.app.annotations import resolve_all

        merged: dict[str, Any] = {}
        for each in resolve_all(self.app.annotations, task):
            merged.update(each)
        return merged

    def _usual(self, option: str) -> Any:
        """The value of an option that nothing gives: that of the configuration, or Celery's default."""
        from celery.app.task import Task

        for name, setting in Task.from_config:
            if name == option:
                found = self.app.conf[setting]
                if found is None and option in ("acks_on_failure", "acks_on_timeout"):
                    # Before 5.7 one setting was for both.
                    found = self.app.conf.get("task_acks_on_failure_or_timeout")
                    return True if found is None else found
                return found
        return _RETRY_DEFAULTS.get(option, getattr(Task, option, None))

    def _destination(self, task: Any) -> dict[str, Any]:
        """Where a plain `delay()` sends the task."""
        try:
            preset = {key: value for key, value in task._get_exec_options().items() if value is not None}
            found = self.app.amqp.router.route(dict(preset), task.name, (), {}, task)
            self._note_key(f"task {task.name}", found)
            return self._sent(found)
        except Exception as problem:  # noqa: BLE001 - a route may be any code of the application
            self._cannot(f"route of task {task.name}", f"{type(problem).__name__}: {problem}")
            return {}

    def _sent(self, options: dict[str, Any]) -> dict[str, Any]:
        queue = options.get("queue")
        found = {"queue": getattr(queue, "name", queue)}
        for key in ("exchange", "routing_key", "priority"):
            value = options.get(key)
            if value is not None and not (key != "priority" and queue is not None):
                found[key] = getattr(value, "name", value)
        return found

    def _note_key(self, what: str, options: dict[str, Any]) -> None:
        """A queue of the workload has one key; a message with another one may reach other queues too."""
        queue, key = options.get("queue"), options.get("routing_key")
        if key is not None and queue is not None and key != queue.routing_key:
            self._cannot(f"routing key {key} of {what}", f"messages get the key of queue {queue.name}")

    def _patterns(self) -> Iterator[dict[str, Any]]:
        """The routes with a pattern, in the order in which Celery tries them; others are noted."""
        from celery.app.routes import MapRoute

        for router in self.app.amqp.router.routes:
            if not isinstance(router, MapRoute):
                name = getattr(router, "__name__", type(router).__name__)
                self._cannot(f"route {name}", "it is code, which may look at the arguments of a task")
                continue
            for key, route in self.route_items[id(router)]:
                if not isinstance(key, str):
                    self._cannot(f"route {key.pattern}", "a regular expression has no form in the workload")
                elif "*" in key or key not in self.app.tasks:
                    yield {"pattern": key, "route": self._route(key, route)}

    def _route(self, name: str, route: Any) -> dict[str, Any]:
        fields = {"queue": route} if isinstance(route, str) else dict(route)
        try:
            return self._sent(self.app.amqp.router.expand_destination(fields))
        except Exception as problem:  # noqa: BLE001 - an undeclared queue, for instance
            self._cannot(f"route {name}", f"{type(problem).__name__}: {problem}")
            return {}

    # Queues and schedules ----------------------------------------------------------------------------------

    def _queue(self, queue: Any, *, declared: bool) -> dict[str, Any]:
        from kombu.transport.base import to_rabbitmq_queue_arguments

        limits = {
            key: getattr(queue, key, None)
            for key in ("expires", "message_ttl", "max_length", "max_length_bytes", "max_priority")
        }
        arguments = to_rabbitmq_queue_arguments(queue.queue_arguments or {}, **limits)
        bindings = [[each.exchange.name, each.routing_key] for each in queue.bindings or ()]
        return {
            "name": getattr(queue, "alias", None) or queue.name,
            "broadcast": type(queue).__name__ == "Broadcast" or queue.exchange.type == "fanout",
            "exchange": queue.exchange.name,
            "exchange_type": queue.exchange.type,
            "routing_key": queue.routing_key,
            "arguments": self._mapping(f"arguments of queue {queue.name}", arguments),
            "consumer_arguments": self._mapping(
                f"consumer arguments of queue {queue.name}", queue.consumer_arguments or {}
            ),
            "durable": queue.durable,
            "auto_delete": queue.auto_delete,
            "exclusive": queue.exclusive,
            "no_declare": bool(queue.no_declare),
            "bindings": bindings,
            "declared": declared,
        }

    def _mapping(self, what: str, value: Any) -> Any:
        try:
            return said(dict(value), "")
        except Unsayable as problem:
            self._cannot(what, str(problem))
            return {}

    def _beat_schedule(self) -> list[tuple[str, Any]]:
        return sorted((str(name), each) for name, each in (self.app.conf.beat_schedule or {}).items())

    def _schedule(self, name: str, entry: Any) -> dict[str, Any]:
        entry = dict(entry) if hasattr(entry, "keys") else dict(vars(entry))
        found: dict[str, Any] = {"task": str(entry.get("task"))}
        try:
            found.update(_times(entry.get("schedule")))
        except Unsayable as problem:
            self._cannot(f"schedule {name}", str(problem))
            found["unsaid"] = str(problem)
        if entry.get("relative"):
            self._cannot(f"schedule {name}", "`relative` has no form in the workload")
        for key in ("args", "kwargs", "options"):
            value = entry.get(key)
            if not value:
                continue
            try:
                found[key] = said(list(value) if key == "args" else _plain_options(dict(value)), "")
            except Unsayable as problem:
                self._cannot(f"{key} of schedule {name}", str(problem))
        zone = self.app.conf.timezone or "UTC"
        of_app = str(getattr(zone, "key", None) or zone) if not self._is_local() else None
        found.setdefault("timezone", of_app)
        return found

    def _misfits(self) -> Iterator[dict[str, str]]:
        """The calls whose arguments the signature of their task refuses; nothing is called."""
        for call in self.asked.get("calls", ()):
            task = self.app.tasks.get(call["task"])
            header = getattr(task, "__header__", None)
            if header is None or not task.typing:
                continue
            arguments = call["args"]
            try:
                header(*arguments, **call["kwargs"])
            except TypeError as problem:
                yield {"name": call["name"], "why": str(problem)}

    @staticmethod
    def _rows() -> Iterator[dict[str, Any]]:
        """The schedules that django-celery-beat keeps in the database, without a change of it."""
        from django_celery_beat.models import PeriodicTask

        related = ("interval", "crontab", "solar", "clocked")
        for row in PeriodicTask.objects.select_related(*related).order_by("name"):
            kind = next((each for each in related if getattr(row, f"{each}_id") is not None), None)
            yield {
                "name": row.name,
                "task": row.task,
                "kind": kind,
                **_row_times(row, kind),
                "args": row.args,
                "kwargs": row.kwargs,
                "options": {
                    key: value
                    for key in ("queue", "exchange", "routing_key", "priority")
                    if (value := getattr(row, key)) not in (None, "")
                },
                "expires": row.expire_seconds,
                "enabled": row.enabled,
                "one_off": row.one_off,
                "last_run": row.last_run_at.isoformat() if row.last_run_at else None,
            }

    def _is_local(self) -> bool:
        return not self.app.conf.enable_utc and not self.app.conf.timezone

    def _cannot(self, what: str, why: str) -> None:
        self.unsaid.append({"what": what, "why": _WITH_PASSWORD.sub(r"\1**@", why)[:_LONGEST_TEXT]})


def _keys_of(configuration: Any) -> Iterable[Any]:
    try:
        return list(configuration.keys())
    except Exception:  # noqa: BLE001 - any object may be a configuration
        return []


def _row_times(row: Any, kind: str | None) -> dict[str, Any]:
    if kind == "interval":
        return {"every_seconds": row.interval.schedule.run_every.total_seconds()}
    if kind == "crontab":
        fields = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")
        cron = {field: str(getattr(row.crontab, field)).replace(" ", "") for field in fields}
        return {"cron": cron, "timezone": str(row.crontab.timezone)}
    if kind == "solar":
        return {
            "solar": {
                "event": row.solar.event,
                "latitude": float(row.solar.latitude),
                "longitude": float(row.solar.longitude),
            }
        }
    return {}


def _option(option: str, value: Any) -> Any:
    if option in _CLASSES:
        several = value if isinstance(value, (list, tuple, set, frozenset)) else (value,)
        return [_class_name(each) for each in several]
    return said(value.total_seconds() if isinstance(value, timedelta) else value, option)


def _class_name(value: Any) -> str:
    if not isinstance(value, type):
        message = f"{value!r} is no exception class"
        raise Unsayable(message)
    return (
        value.__qualname__ if value.__module__ == "builtins" else f"{value.__module__}.{value.__qualname__}"
    )


def _plain_options(options: dict[str, Any]) -> dict[str, Any]:
    """Options of a send, with names instead of the objects of kombu."""
    plain = {}
    for key, value in options.items():
        plain[key] = getattr(value, "name", value) if key in ("queue", "exchange") else value
    return plain


def _times(schedule: Any) -> dict[str, Any]:
    """When an entry is due."""
    from celery.schedules import crontab, solar
    from celery.schedules import schedule as interval

    if isinstance(schedule, (int, float)) and not isinstance(schedule, bool):
        return {"every_seconds": schedule}
    if isinstance(schedule, timedelta):
        return {"every_seconds": schedule.total_seconds()}
    if isinstance(schedule, crontab) and _decides_like(schedule, crontab):
        fields = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")
        texts = [str(getattr(schedule, f"_orig_{field}")).replace(" ", "") for field in fields]
        for text in texts:
            if not re.fullmatch(r"[\w*/,-]+", text):
                message = f"the crontab field `{text}`"
                raise Unsayable(message)
        zone = vars(schedule).get("tz")
        own = {"timezone": str(getattr(zone, "key", None) or zone)} if zone is not None else {}
        return {"cron": dict(zip(fields, texts)), **own}
    if type(schedule) is solar:
        return {"solar": {"event": schedule.event, "latitude": schedule.lat, "longitude": schedule.lon}}
    if type(schedule) is interval:
        return {"every_seconds": schedule.run_every.total_seconds()}
    message = f"a schedule of the class {type(schedule).__module__}.{type(schedule).__qualname__}"
    raise Unsayable(message)


def _decides_like(schedule: Any, kind: Any) -> bool:
    """Whether a class of its own changes nothing of its kind but the time zone."""
    kept = all(getattr(type(schedule), name) is getattr(kind, name) for name in ("is_due", "remaining_delta"))
    return kept or type(schedule).__name__ == "TzAwareCrontab"  # of django-celery-beat


def said(value: Any, key: str) -> Any:
    """A value as JSON. Raises `Unsayable` for another kind of value, and for what may be secret."""
    if _SECRET.search(key) and value:
        raise Unsayable("it may be secret")
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        text = str.__str__(value)
        if _WITH_PASSWORD.search(text):
            raise Unsayable("it has a URL with a password")
        return text
    if isinstance(value, timedelta):
        return value.total_seconds()
    if hasattr(value, "keys"):
        return {str(name): said(value[name], str(name)) for name in list(value)}
    if isinstance(value, (list, tuple)):
        return [said(each, key) for each in value]
    if isinstance(value, (set, frozenset)):
        return sorted(said(each, key) for each in value)
    if isinstance(value, date):
        raise Unsayable("a date, which JSON does not have")
    message = f"a value of the class {type(value).__module__}.{type(value).__qualname__}"
    raise Unsayable(message)


if __name__ == "__main__":
    main()
