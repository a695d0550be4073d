"""Alerts on the monitoring itself, and on the whole service."""

from __future__ import annotations

from policycompiler.knowledge.runbook.entry import Cause, Deed, Entry, Fact, Never

_TARGETS = "Prometheus shows the address and the last error under Status, Targets"

BROKER_DOWN = Entry(
    means="The broker does not answer. No task can be sent, and no waiting task starts. Running tasks go on.",
    limit="the broker does not answer",
    looks=(
        Deed.BROKER,
        "# on the host of the broker",
        "systemctl list-units --all 'redis*' 'valkey*' 'rabbitmq*'",
        "df --human-readable",
        "free --human",
    ),
    causes=(
        Cause(
            "The process of the broker has ended, or restarts again and again.",
            "Find its unit with `list-units`, read its log with `journalctl --unit`, and start it.",
        ),
        Cause(
            "Its disk or its memory is full.",
            "Delete old logs and packages, not the data of the broker. Then start it.",
        ),
        Cause(
            "A firewall, a DNS name, a password or a certificate changed.",
            "Run the command above from the host of a worker, and correct the connection.",
        ),
        Cause(
            "Only its exporter or its plugin fails: the command above succeeds.",
            f"Restart the exporter or enable the plugin. {_TARGETS}.",
        ),
    ),
    fixes=(Deed.BROKER, Deed.STATUS, Deed.ANSWERS),
    never=(
        Never("Do not delete the data folder of the broker: it contains the waiting messages."),
        Never(
            "Do not restart the workers before the broker answers: they reconnect by themselves. "
            "Restart a worker only if it answers later and starts nothing."
        ),
    ),
    resolves="Prometheus sees the broker again. Then watch that the queues get shorter.",
)

EXPORTER_DOWN = Entry(
    means=(
        "Prometheus gets no metrics from a source. Alerts that read this source cannot fire, "
        "so look at the service by hand until it is back."
    ),
    limit="no answer, or no target in Prometheus",
    looks=(Deed.SOURCES, Deed.EXPORTER_STATE, Deed.STATUS),
    causes=(
        Cause("The broker is down.", "See CeleryBrokerDown.", Fact.EVENTS),
        Cause("The process of the source has ended.", "Start it, and read its log."),
        Cause(
            "Somebody started it by hand without its queues: it answers, and counts too little.",
            "Give it all queues of the plan: {counters}.",
            Fact.TOLD_QUEUES,
        ),
        Cause(
            "celery-exporter was installed with a Celery or redis-py that it does not support.",
            "Its log has the error. Install it into an environment of its own.",
            Fact.EXPORTER,
        ),
        Cause(
            "Prometheus has no target for it: a job was renamed or removed.",
            f"Compare the job in the query with the configuration of Prometheus. {_TARGETS}.",
        ),
        Cause(
            "The scrape times out. An answer of celery-exporter takes at least 2 s.",
            "Scrape it every 30 s with a timeout of 15 s.",
            Fact.EVENTS,
        ),
    ),
    fixes=(Deed.EXPORTER_RESTART, Deed.SOURCES),
    never=(Never("Do not read silence as health: the alerts whose label `source` has it cannot fire now."),),
    resolves="Prometheus scrapes the source again.",
)

TELEMETRY_DOWN = Entry(
    means="Prometheus scrapes neither a worker nor beat. All processes are down, or it cannot reach them.",
    limit="no process is scraped",
    looks=(Deed.PROCESSES, Deed.ANSWERS, Deed.SOURCES),
    causes=(
        Cause("All processes were stopped or fail at the start.", "Read the logs, then start them."),
        Cause(
            "A new release fails to import, or a variable is missing.",
            "Read the last lines of the logs. Roll back, or set the variable.",
        ),
        Cause(
            "Workers answer, but Prometheus cannot reach their ports.",
            "Correct the targets or the firewall. Each worker has one spare port, which need not answer. "
            f"{_TARGETS}.",
        ),
    ),
    fixes=(Deed.LOGS, Deed.START),
    never=(Never("Do not purge queues: their messages run as soon as the workers are back."),),
    resolves="Prometheus scrapes one process of the service.",
)

PLANS_DIFFER = Entry(
    means=(
        "Processes run settings of two compiles. Routes, limits and acknowledgment may differ, "
        "so one task may be treated in two ways."
    ),
    limit="more than one plan",
    looks=(Deed.DIFFERENCES,),
    causes=(
        Cause("A rollout stopped halfway.", "Finish it, or roll all processes back."),
        Cause("A process was not restarted after the last compile.", "Restart it."),
        Cause("A host has an older folder, or an image has an older tag.", "Deploy the same output there."),
    ),
    fixes=(Deed.RESTART, Deed.BEAT_RESTART),
    never=(
        Never("Do not compile again to make the alert go away: that adds a third plan."),
        Never("Do not restart all workers at once if the rollout has steps: follow its order."),
    ),
    resolves="All processes run one plan.",
)

ENTRIES = {
    "CeleryBrokerDown": BROKER_DOWN,
    "CeleryExporterDown": EXPORTER_DOWN,
    "CeleryTelemetryDown": TELEMETRY_DOWN,
    "CeleryPlansDiffer": PLANS_DIFFER,
}
