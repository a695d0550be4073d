"""Files for RabbitMQ: the queues as `celeryconfig.py` declares them, rights of users, and its configuration.

`definitions.json` is imported with `rabbitmqctl import_definitions` or the management API. It has no users,
because it would have their passwords. It has no virtual host either: an import would delete the description
and the tags of a virtual host that exists.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.emitters.base import MODE_SCRIPT, OutputFile, Raw, Reading, json_text, one_line
from policycompiler.emitters.commands import comment, why
from policycompiler.emitters.launch import quote
from policycompiler.emitters.rabbitmq import definitions, permissions
from policycompiler.emitters.templates import render
from policycompiler.plan import APP, Plan

ID = "rabbitmq"


def emit(plan: Plan) -> Iterator[OutputFile]:
    """Three files for a broker that stores declarations; none for another."""
    for file in (_definitions, _permissions, _configuration):
        reading = Reading(plan)
        if reading.broker.declarations:
            yield file(reading)


def _definitions(reading: Reading) -> OutputFile:
    return reading.file("rabbitmq/definitions.json", json_text(definitions.definitions(reading)))


def _permissions(reading: Reading) -> OutputFile:
    content = {
        "service": comment(reading.text(APP, "service")),
        "virtual_host": definitions.virtual_host(reading),
        "roles": permissions.roles(reading),
    }
    return reading.file(
        "rabbitmq/permissions.sh", render("rabbitmq/permissions.sh", quote, content), MODE_SCRIPT
    )


def _configuration(reading: Reading) -> OutputFile:
    """Lines for rabbitmq.conf, each with its reason."""
    lines = [
        {"key": Raw(key), "value": value, "why": why(reading.setting(APP, f"server.{key}"))}
        for key, value in reading.below(APP, "server.").items()
    ]
    content = {"service": comment(reading.text(APP, "service")), "lines": lines, "nothing": not lines}
    return reading.file("rabbitmq/rabbitmq.conf", render("rabbitmq/rabbitmq.conf", one_line, content))
