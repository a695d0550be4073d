"""Alerts on the server of the broker: its memory, its disk, and what it deletes."""

from __future__ import annotations

from dataclasses import replace

from policycompiler.knowledge.runbook.entry import Cause, Deed, Entry, Fact, Never

_REDIS = (
    Deed.BROKER,
    "redis-cli -u {url} info memory",
    "redis-cli -u {url} info keyspace",
    "redis-cli -u {url} --memkeys",
    Deed.STATUS,
)
_RABBITMQ = (
    Deed.BROKER,
    "rabbitmq-diagnostics alarms",
    "rabbitmq-diagnostics memory_breakdown",
    Deed.STATUS,
)
_KEYS = Never("Do not delete keys or run FLUSHDB: queues, bindings and unacknowledged messages are keys.")
_QUEUES = Never("Do not purge or delete queues to get memory back: their tasks would be lost.")
_FILLED = (
    Cause("A backlog fills the memory.", "Start more workers. Stop the publisher that sends too much."),
    Cause(
        "Another application shares the server: the largest keys are not those of the queues.",
        "Its owner stops what fills it. Later, give the broker a server of its own.",
    ),
    Cause("Results fill the memory: keys `celery-task-meta-*`.", "Shorten `result_expires`.", Fact.RESULTS),
    Cause("Messages are larger than planned.", "Send references instead of data."),
)
_LOWERED = (
    Cause(
        "The limit is too low: queues are short and keys are small, or `maxmemory` is less than {memory}.",
        "Somebody lowered it, or it came from an old file. Set it to {memory}, also in the file of Redis.",
        Fact.MEMORY_LIMIT,
    ),
    Cause(
        "The limit is too low: queues are short and keys are small.",
        "Somebody lowered it, or it came from an old file. Raise it, also in the file of Redis.",
        Fact.NO_MEMORY_LIMIT,
    ),
)

REDIS_MEMORY = Entry(
    means="Redis is near its memory limit. At the limit, publishers get an error and no task is sent.",
    limit="more than {share} of its memory limit",
    looks=_REDIS,
    causes=(*_FILLED, *_LOWERED),
    fixes=(
        "redis-cli -u {url} config get maxmemory",
        "# on the host of Redis: only if it has that much free memory, and as much again for a save",
        "free --human",
        "redis-cli -u {url} config set maxmemory {memory}",
        "redis-cli -u {url} config rewrite",
    ),
    never=(_KEYS, Never("Do not set an eviction policy: Redis would delete whole queues.")),
    resolves="Redis uses a smaller share of its limit.",
)
REDIS_UNLIMITED = Entry(
    means="Redis has no memory limit. The alert on its memory cannot fire, and the kernel may kill Redis.",
    limit="no limit",
    looks=("redis-cli -u {url} config get maxmemory",),
    causes=(
        Cause("`maxmemory` was never set.", "Set {memory}, as `redis/redis.conf` does.", Fact.MEMORY_LIMIT),
        Cause(
            "`maxmemory` was never set.",
            "Set less than half of the host's memory: a save may need as much again. "
            "The plan has a number only if each task declares `rate` and `payload`.",
            Fact.NO_MEMORY_LIMIT,
        ),
        Cause(
            "It was set by a command, and Redis was restarted.", "Set it again, then run `config rewrite`."
        ),
    ),
    fixes=("redis-cli -u {url} config set maxmemory {memory}", "redis-cli -u {url} config rewrite"),
    never=(Never("Do not set a limit below the present use: publishers would get errors at once."),),
    resolves="Redis has a limit.",
)
REDIS_EVICTING = Entry(
    means="Redis deletes keys because its memory is full. Queues and bindings of Celery are such keys.",
    limit="one deleted key within {window}",
    looks=("redis-cli -u {url} config get maxmemory-policy", "redis-cli -u {url} info stats", *_REDIS),
    causes=(
        Cause("`maxmemory-policy` is not `noeviction`.", "Set it now, before you look for the cause."),
        *_FILLED,
    ),
    fixes=(
        "redis-cli -u {url} config set maxmemory-policy noeviction",
        "redis-cli -u {url} config rewrite",
        Deed.STATUS,
    ),
    never=(_KEYS, Never("Do not restart Redis before its policy is set: it would delete again.")),
    resolves="No key was deleted within the window. Deleted messages are lost: compare them with your data.",
)
REDIS_POLICY = Entry(
    means="With full memory, Redis will delete keys, and queues are keys.",
    limit="`maxmemory-policy` is not `noeviction`",
    looks=("redis-cli -u {url} config get maxmemory-policy",),
    causes=(
        Cause("The server was set up as a cache.", "Change its policy, or use a server of its own."),
        Cause("It was restarted with an old configuration file.", "Write the setting into that file."),
    ),
    fixes=("redis-cli -u {url} config set maxmemory-policy noeviction", "redis-cli -u {url} config rewrite"),
    never=(
        Never("Do not use `volatile-lru` as a compromise: results have a time to live, and would disappear."),
    ),
    resolves="The policy is `noeviction`.",
)
RABBITMQ_ALARM = Entry(
    means="RabbitMQ blocks all publishers until the alarm ends. Sends hang, and workers still consume.",
    limit="the alarm was on within {window}",
    looks=_RABBITMQ,
    causes=(
        Cause("A backlog fills memory or disk.", "Start more workers. They are not blocked."),
        Cause("The disk is full of logs or of other files.", "Delete those, not the data of RabbitMQ."),
        Cause("The watermark is too low for the host.", "Raise it in `rabbitmq.conf`."),
        Cause("Dead letters pile up.", "See CeleryDeadLetterGrowth: replay or drop them.", Fact.LETTERS),
    ),
    fixes=(Deed.START, "rabbitmqctl list_queues name messages consumers", "df --human-readable"),
    never=(
        _QUEUES,
        Never("Do not restart publishers or RabbitMQ: that frees nothing of what the queues hold."),
    ),
    resolves="RabbitMQ has ended the alarm for a few minutes.",
)
RABBITMQ_MEMORY = replace(
    RABBITMQ_ALARM,
    means="RabbitMQ is near its memory limit. At the limit, it blocks all publishers.",
    limit="more than {share} of its memory limit",
    resolves="RabbitMQ uses a smaller share of its limit.",
)
UNROUTABLE = Entry(
    means="RabbitMQ dropped a message that no queue is bound for. Events without a monitor are harmless.",
    limit="one message within {window}",
    looks=("rabbitmqctl list_bindings source_name routing_key destination_name", Deed.DIFFERENCES),
    causes=(
        Cause("Only events and replies of remote control: no monitor listens.", "Do nothing."),
        Cause("A publisher uses another routing key or exchange.", "Give it the compiled `celeryconfig.py`."),
        Cause("A queue or its binding was deleted.", "Start a worker of the queue: it declares them again."),
    ),
    fixes=(Deed.START,),
    never=(Never("Do not bind a queue to everything: it would fill with events."),),
    resolves="No message was dropped within the window.",
)

ENTRIES = {
    "RedisBrokerMemoryHigh": REDIS_MEMORY,
    "RedisBrokerMemoryCritical": REDIS_MEMORY,
    "RedisBrokerNoMaxmemory": REDIS_UNLIMITED,
    "RedisBrokerEvicting": REDIS_EVICTING,
    "RedisBrokerUnsafePolicy": REDIS_POLICY,
    "RabbitMQMemoryAlarm": RABBITMQ_ALARM,
    "RabbitMQDiskAlarm": RABBITMQ_ALARM,
    "RabbitMQMemoryHigh": RABBITMQ_MEMORY,
    "RabbitMQUnroutable": UNROUTABLE,
}
