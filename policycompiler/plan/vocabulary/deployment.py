"""The keys of containers and hosts: of `app`, of `beat`, and of `host:NAME`."""

from __future__ import annotations

from policycompiler.plan.vocabulary.key import ChangeKind, Key, Reader, Type, Unit, readers

_PROCESSES = readers(Reader.WORKER, Reader.BEAT)
_PEOPLE = readers(Reader.PEOPLE)
_INSTALLATION, _PLACEMENT = ChangeKind.INSTALLATION, ChangeKind.PLACEMENT


def _container(name: str, type_: Type, says: str) -> Key:
    return Key("app", name, type_, _INSTALLATION, _PROCESSES, says)


def _beside(name: str, type_: Type, says: str) -> Key:
    """A fact about what runs beside workers and beat: its change restarts neither."""
    return Key("app", name, type_, _INSTALLATION, _PEOPLE, says)


KEYS = (
    _container("image", Type.TEXT, "containers: image with the application; absent without containers"),
    _container("image_user", Type.NUMBER, "containers: number of the user"),
    _container("secret_name", Type.TEXT, "containers: name of the Secret, or of the environment file"),
    _container("configuration_directory", Type.TEXT, "containers: folder with celeryconfig.py"),
    _container(
        "alive_file", Type.TEXT, "containers: file that a worker touches while it is connected to its broker"
    ),
    _beside(
        "alive_seconds", Type.NUMBER, "containers: age of that file from which a worker is unhealthy"
    )._replace(unit=Unit.SECONDS, readers=_PROCESSES),
    _beside("kubernetes_namespace", Type.TEXT, "Kubernetes: namespace"),
    _beside("kubernetes_name", Type.TEXT, "Kubernetes: first part of the names of all objects"),
    _beside("autoscaler", Type.TEXT, "Kubernetes: `keda` or `hpa`, if a worker has `scaling`"),
    _beside("scaler", Type.TEXT, "KEDA: type of the triggers, if KEDA scales a worker"),
    _beside("scaler_fields", Type.MAPPING, "KEDA: fields that all triggers share"),
    _beside("scaler_secrets", Type.MAPPING, "KEDA: keys of the Secret that it reads, by its own fields"),
    _beside("network_policy", Type.FLAG, "Kubernetes: limit the connections of the processes"),
    _beside("monitors", Type.FLAG, "Kubernetes: let the Prometheus Operator scrape exporters and telemetry"),
    _beside("prometheus_rules", Type.FLAG, "Kubernetes: give the alert rules to the Prometheus Operator"),
    _beside("broker_image", Type.TEXT, "Compose: image of the broker, if it is a part"),
    _beside("exporter_image", Type.TEXT, "containers: image of celery-exporter, if it is a part"),
    _beside("redis_exporter_image", Type.TEXT, "containers: image of redis_exporter, if it is a part"),
    _beside("redis_exporter", Type.TEXT, "path of redis_exporter on a host, if units start it"),
    _beside("redis_exporter_keys", Type.TEXTS, "Redis: keys whose messages redis_exporter counts"),
    _beside("redis_exporter_database", Type.NUMBER, "Redis: database that redis_exporter reads"),
    _beside("flower_image", Type.TEXT, "containers: image of Flower, if it is a part"),
    Key("beat", "cpu_request_cores", Type.NUMBER, _INSTALLATION, _PEOPLE, "containers: cores", Unit.CORES),
    Key(
        "beat",
        "memory_request_bytes",
        Type.NUMBER,
        _INSTALLATION,
        _PEOPLE,
        "containers: memory",
        Unit.BYTES,
    ),
    Key(
        "beat",
        "schedule_volume_bytes",
        Type.NUMBER,
        _INSTALLATION,
        readers(Reader.BEAT),
        "Kubernetes: volume for the schedule file; 0 without one",
        Unit.BYTES,
    ),
    Key("host", "cores", Type.NUMBER, _PLACEMENT, _PEOPLE, "processor cores, if declared", Unit.CORES),
    Key("host", "memory_bytes", Type.NUMBER, _PLACEMENT, _PEOPLE, "memory, if declared", Unit.BYTES),
    Key("host", "workers", Type.MAPPING, _PLACEMENT, _PEOPLE, "number of processes of each worker"),
    Key("host", "beat", Type.FLAG, _PLACEMENT, _PEOPLE, "whether beat runs there", mirror=True),
)
