"""How exporters are started: the same options for every target, and the URL of the broker in a variable.

Every user of a host can read a command, so no command has the URL.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import quote

from policycompiler.emitters.commands import comment, variable
from policycompiler.knowledge.metric_sources import CELERY_EXPORTER, FLOWER, REDIS_EXPORTER, Source
from policycompiler.plan import APP, Plan

BESIDE = "127.0.0.1"
RETRY_SECONDS = 5
"""By default celery-exporter exits when the broker does."""


@dataclass(frozen=True, kw_only=True)
class Exporter:
    """An exporter that we start.

    `part` is its name in Compose and in units. `image` and `program` are the keys of the plan that ask for a
    container, and for units on hosts. `url` is the variable with the URL of the broker. One with neither is a
    command of the application, which has its settings. `words` come between the program and its `options`.
    `measures` and `copies`, what a second one does, are for people.
    """

    source: Source
    part: str
    image: str = ""
    program: str
    url: str = ""
    options: Callable[[Plan], list[str]]
    words: tuple[str, ...] = ()
    measures: str
    copies: str

    @property
    def port(self) -> int:
        """The port of its metrics."""
        assert self.source.port is not None
        return self.source.port


def in_containers(plan: Plan) -> Iterator[Exporter]:
    """Those that containers include."""
    return (each for each in EXPORTERS if each.image in plan.keys(APP))


def on_hosts(plan: Plan) -> Iterator[Exporter]:
    """Those that units start."""
    return (each for each in EXPORTERS if each.program in plan.keys(APP))


def command(plan: Plan, exporter: Exporter) -> list[str]:
    """The command on a host, where the variable of the workers has the URL."""
    words = [plan.text(APP, exporter.program), *exporter.words, *exporter.options(plan)]
    found = plan.get(APP, "broker_url_variable") if exporter.url else None
    shown = f"${{{variable(str(found))}}}" if found else ""
    return ["/bin/sh", "-c", f'{exporter.url}="{shown}" exec "$@"', "sh", *words] if found else words


def environment(plan: Plan, exporter: Exporter) -> dict[str, str]:
    """The variable with the URL, if the workload has the URL itself."""
    url = plan.get(APP, "broker_url") if exporter.url else None
    return {} if url is None else {exporter.url: str(url)}


def comments(exporter: Exporter) -> dict[str, str]:
    """What the comments of units say about it."""
    told = {"label": exporter.source.label, "measures": exporter.measures, "copies": exporter.copies}
    return {key: comment(text) for key, text in told.items()}


def queue_names(plan: Plan) -> list[str]:
    """All queues, and those of their dead letters."""
    queues = plan.scopes("queue")
    dead = (plan.get(queue, "dead_letter_queue") for queue in queues)
    return sorted({*(queue.name for queue in queues), *(str(name) for name in dead if name is not None)})


def _of_celery(plan: Plan) -> list[str]:
    """It knows only queues that a worker has consumed, so it is told all names."""
    words = ["--retry-interval", str(RETRY_SECONDS)]
    prefix = plan.get(APP, "exporter_key_prefix")
    if prefix is not None:
        # It reads values as JSON where it can, so that `7` is no text.
        words += ["--broker-transport-option", f"global_keyprefix={json.dumps(str(prefix))}"]
    queues = queue_names(plan)
    return [*words, "-Q", ",".join(queues)] if queues else words


def _of_redis(plan: Plan) -> list[str]:
    """It counts only the messages of keys that it is told."""
    database = int(plan.number(APP, "redis_exporter_database"))
    # It decodes keys as parts of a URL, so a comma or a control character in a key is no problem.
    keys = (f"db{database}={quote(key, safe=':')}" for key in plan.texts(APP, "redis_exporter_keys"))
    return ["-check-single-keys", ",".join(keys)]


def _of_flower(plan: Plan) -> list[str]:
    """Its page has no password, so only this host reaches it."""
    return ["--app", plan.text(APP, "app"), "flower", f"--address={BESIDE}", f"--port={FLOWER.port}"]


EXPORTERS = (
    Exporter(
        source=CELERY_EXPORTER,
        part="exporter",
        image="exporter_image",
        program="exporter_python",
        # click reads each option from `CE_` and its name.
        url="CE_BROKER_URL",
        options=_of_celery,
        # The package `prometheus-exporter-celery` has no command of its own.
        words=("-c", "from src.cli import cli; cli(auto_envvar_prefix='CE')"),
        measures="metrics of tasks and queues for Prometheus",
        copies="Run exactly one of a service: two count each task twice.",
    ),
    Exporter(
        source=REDIS_EXPORTER,
        part="redis-exporter",
        image="redis_exporter_image",
        program="redis_exporter",
        url="REDIS_ADDR",
        options=_of_redis,
        measures="metrics of Redis and of each queue for Prometheus",
        copies="One of a service is enough.",
    ),
    Exporter(
        source=FLOWER,
        part="flower",
        program="flower_celery",
        options=_of_flower,
        measures="a page about tasks and workers, and metrics of tasks for Prometheus",
        copies="Run exactly one of a service: two count each task twice.",
    ),
)
