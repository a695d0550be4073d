"""How celery-exporter is started: the same options for every target.

It gets the URL of the broker in a variable, because every user of a host can read a command. It knows only
queues that a worker has consumed, so it is told all names, with those of dead letters. On Redis it counts
only messages of the first priority.
"""

from __future__ import annotations

import json

from policycompiler.emitters.commands import variable
from policycompiler.plan import APP, Plan

URL = "CE_BROKER_URL"
"""The variable with the URL: click reads each option from `CE_` and its name."""
RETRY_SECONDS = 5
"""By default it exits when the broker does."""
_START = "from src.cli import cli; cli(auto_envvar_prefix='CE')"
"""The package `prometheus-exporter-celery` has no command of its own."""


def options(plan: Plan) -> list[str]:
    """The options as words."""
    words = ["--retry-interval", str(RETRY_SECONDS)]
    prefix = plan.get(APP, "exporter_key_prefix")
    if prefix is not None:
        # It reads values as JSON where it can, so that `7` is no text.
        words += ["--broker-transport-option", f"global_keyprefix={json.dumps(str(prefix))}"]
    queues = queue_names(plan)
    return [*words, "-Q", ",".join(queues)] if queues else words


def queue_names(plan: Plan) -> list[str]:
    """All queues, and those of their dead letters."""
    queues = plan.scopes("queue")
    dead = (plan.get(queue, "dead_letter_queue") for queue in queues)
    return sorted({*(queue.name for queue in queues), *(str(name) for name in dead if name is not None)})


def on_host(plan: Plan) -> list[str]:
    """The command on a host, where the variable of the workers has the URL."""
    command = [plan.text(APP, "exporter_python"), "-c", _START, *options(plan)]
    found = plan.get(APP, "broker_url_variable")
    shown = f"${{{variable(str(found))}}}" if found else ""
    return ["/bin/sh", "-c", f'{URL}="{shown}" exec "$@"', "sh", *command] if found else command


def environment(plan: Plan) -> dict[str, str]:
    """The variable with the URL, if the workload has the URL itself."""
    url = plan.get(APP, "broker_url")
    return {} if url is None else {URL: str(url)}
