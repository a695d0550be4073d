"""Loads an app as a worker does, and notes what Celery itself forgets while it is loaded."""

from __future__ import annotations

import sys
from typing import Any

from .places import relative

OPTIONS = (
    *("acks_late", "acks_on_failure", "acks_on_failure_or_timeout", "acks_on_timeout", "autoretry_for"),
    *("compression", "default_retry_delay", "delivery_mode", "dont_autoretry_for", "exchange", "expires"),
    *("ignore_result", "max_retries", "priority", "queue", "rate_limit", "reject_on_worker_lost"),
    *("retry_backoff", "retry_backoff_max", "retry_jitter", "retry_kwargs", "retry_on_worker_lost"),
    *("routing_key", "send_events", "serializer", "soft_time_limit", "store_eager_result"),
    *("store_errors_even_if_ignored", "throws", "time_limit", "track_started", "trail"),
)
"""The task options that the workload language knows, and those that only a queue can say."""


class Loaded:
    """An app that is ready to work.

    `route_items` are the entries of each mapping of routes: Celery keeps only their regular expressions.
    """

    def __init__(self, asked: dict[str, Any]) -> None:
        self._name = str(asked["app"])
        self._of_decorators: dict[tuple[int, str], dict[str, Any]] = {}
        self.route_items: dict[int, list[tuple[Any, Any]]] = {}
        self._watch_decorators()
        self._watch_routes()
        if asked.get("django"):
            import django

            django.setup()
        self.app = _ready(self._name)

    @property
    def place(self) -> str:
        """The file of the module that has the app."""
        file = getattr(sys.modules.get(self._name.partition(":")[0]), "__file__", None)
        return relative(file) if file else self._name

    def decorator_of(self, task: Any) -> dict[str, Any]:
        """The options exactly as the decorator of a task has them; None counts as nothing in Celery."""
        given = self._of_decorators.get((id(self.app), task.name), {})
        return {key: value for key, value in given.items() if value is not None}

    def _watch_decorators(self) -> None:
        """Note the options of each decorator before Celery merges them with the configuration."""
        from celery import Celery

        noted, from_fun, register = self._of_decorators, Celery._task_from_fun, Celery.register_task

        def watched(app: Any, fun: Any, name: Any = None, base: Any = None, **options: Any) -> Any:
            task = from_fun(app, fun, name=name, base=base, **options)
            noted.setdefault((id(app), task.name), {key: options[key] for key in OPTIONS if key in options})
            return task

        def registered(app: Any, task: Any, **options: Any) -> Any:
            found = register(app, task, **options)
            noted[id(app), found.name] = {key: options[key] for key in OPTIONS if key in options}
            return found

        Celery._task_from_fun, Celery.register_task = watched, registered

    def _watch_routes(self) -> None:
        from celery.app.routes import MapRoute

        begin, items = MapRoute.__init__, self.route_items

        def watched(router: Any, routes: Any) -> None:
            pairs = [tuple(each) for each in (routes.items() if hasattr(routes, "items") else routes)]
            items[id(router)] = pairs
            begin(router, pairs)

        MapRoute.__init__ = watched


def _ready(name: str) -> Any:
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
