"""Deployments: their pods start, stop well, and have no privileges."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from policycompiler.reality.manifests.objects import Fields, entries, is_name, mapping, quantity, whole

_PROBES = ("livenessProbe", "startupProbe", "readinessProbe")
_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc")
_SHELLS = frozenset({"sh", "bash", "dash", "ash"})
_ABOVE_ROOT = ("allowPrivilegeEscalation", False), ("readOnlyRootFilesystem", True)
_MOST_PORT = 65535
_LONGEST_PORT_NAME = 15
_PROTOCOLS = frozenset({"TCP", "UDP", "SCTP"})
_LEAST_PATIENCE_SECONDS = 120
COMPONENT = "app.kubernetes.io/component"
_PROCESSES = frozenset({"worker", "beat"})


def problems(fields: Fields) -> Iterator[str]:
    """What is wrong with a Deployment."""
    if fields.get("kind") != "Deployment":
        return
    spec = mapping(fields.get("spec"))
    template = mapping(spec.get("template"))
    labels = mapping(mapping(template.get("metadata")).get("labels"))
    wanted = mapping(mapping(spec.get("selector")).get("matchLabels"))
    if not wanted or any(labels.get(key) != value for key, value in wanted.items()):
        yield "the selector does not match the labels of its pods"
    component = str(labels.get(COMPONENT))
    yield from _strategy(spec, component)
    yield from _pod(mapping(template.get("spec")), component)


def _strategy(spec: Fields, component: str) -> Iterator[str]:
    strategy = mapping(spec.get("strategy"))
    kind, rolling = strategy.get("type"), mapping(strategy.get("rollingUpdate"))
    if kind not in ("Recreate", "RollingUpdate"):
        yield f"strategy `{kind}` is not known"
    if kind == "Recreate" and "rollingUpdate" in strategy:
        yield "a strategy `Recreate` has no `rollingUpdate`"
    if kind == "RollingUpdate" and not rolling.get("maxSurge") and not rolling.get("maxUnavailable"):
        yield "`maxSurge` and `maxUnavailable` are both 0, so no pod is ever replaced"
    if component == "worker" and rolling.get("maxUnavailable") != 0:
        yield "`maxUnavailable` is not 0, so a broken version replaces workers that run"
    replicas = spec.get("replicas")
    if "replicas" in spec and (whole(replicas) is None or int(str(replicas)) < 0):
        yield f"`replicas` is `{replicas}`; it must be a whole number"
    if component == "beat" and (replicas != 1 or kind != "Recreate"):
        yield "only one beat may run: it needs `replicas: 1` and the strategy `Recreate`"


def _pod(spec: Fields, component: str) -> Iterator[str]:
    if spec.get("restartPolicy", "Always") != "Always":
        yield "`restartPolicy` must be `Always`: a process that ends must start again"
    if spec.get("automountServiceAccountToken") is not False:
        yield "its pods can use the API of Kubernetes; set `automountServiceAccountToken: false`"
    if mapping(spec.get("securityContext")).get("runAsNonRoot") is not True:
        yield "its pods may run as root; set `runAsNonRoot: true`"
    if component in _PROCESSES and whole(spec.get("terminationGracePeriodSeconds")) is None:
        yield "without a number as `terminationGracePeriodSeconds`, Kubernetes kills runs after 30 s"
    containers = entries(spec.get("containers"))
    if not containers:
        yield "its pods have no container"
    volumes = [str(volume.get("name")) for volume in entries(spec.get("volumes"))]
    yield from _distinct("volume", volumes)
    yield from _distinct("container", [str(each.get("name")) for each in containers])
    for container in containers:
        name = container.get("name")
        if not is_name(name):
            yield f"`{name}` cannot be the name of a container"
        for said in _container(container, volumes, component):
            yield f"container `{name}`: {said}"


def _distinct(what: str, names: Sequence[str]) -> Iterator[str]:
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"{what} `{name}` is there twice"


def _container(fields: Fields, volumes: Sequence[str], component: str) -> Iterator[str]:
    if not fields.get("image"):
        yield "it has no image"
    yield from _mounts(fields, volumes)
    yield from _environment(fields)
    yield from _resources(mapping(fields.get("resources")))
    yield from _ports(fields)
    for probe in _PROBES:
        if probe in fields:
            yield from _probe(probe, mapping(fields[probe]))
    context = mapping(fields.get("securityContext"))
    for key, wanted in _ABOVE_ROOT:
        if context.get(key) is not wanted:
            yield f"`{key}` must be `{str(wanted).lower()}`"
    if mapping(context.get("capabilities")).get("drop") != ["ALL"]:
        yield "`capabilities` must drop `ALL`"
    if component in _PROCESSES:
        yield from _process(fields)


def _process(fields: Fields) -> Iterator[str]:
    command = fields.get("command")
    if not isinstance(command, list) or not command or not all(isinstance(word, str) for word in command):
        yield "`command` must be a list of words"
    elif str(command[0]).rpartition("/")[2] in _SHELLS:
        yield "a shell gets the signals of a stop, and the worker does not; write the command as words"
    if mapping(fields.get("lifecycle")).get("preStop"):
        yield "`preStop` takes time from the runs that a stop waits for"
    if not any(mapping(each.get("secretRef")).get("name") for each in entries(fields.get("envFrom"))):
        yield "it gets no Secret, so it has no URL of a broker"


def _mounts(fields: Fields, volumes: Sequence[str]) -> Iterator[str]:
    mounts = entries(fields.get("volumeMounts"))
    yield from _distinct("mount", [str(mount.get("mountPath")) for mount in mounts])
    for mount in mounts:
        if mount.get("name") not in volumes:
            yield f"it mounts volume `{mount.get('name')}`, which its pods do not have"
        if not str(mount.get("mountPath")).startswith("/"):
            yield f"`{mount.get('mountPath')}` is no absolute path"


def _environment(fields: Fields) -> Iterator[str]:
    variables = entries(fields.get("env"))
    yield from _distinct("variable", [str(each.get("name")) for each in variables])
    for each in variables:
        name, value = each.get("name"), each.get("value")
        if "value" in each and "valueFrom" in each:
            yield f"variable `{name}` has both `value` and `valueFrom`"
        if "value" in each and not isinstance(value, str):
            yield f"variable `{name}` must be text"
        if re.search(r"://[^/\s]*:[^/\s]*@", str(value)):
            yield f"variable `{name}` has a password, and everybody who reads manifests sees it"


def _resources(fields: Fields) -> Iterator[str]:
    requests, limits = mapping(fields.get("requests")), mapping(fields.get("limits"))
    for key, value in (*requests.items(), *limits.items()):
        if quantity(value) is None:
            yield f"`{value}` is no amount of {key}"
    for key, value in requests.items():
        request, limit = quantity(value), quantity(limits.get(key))
        if request is not None and limit is not None and request > limit:
            yield f"it requests {value} of {key}, more than its limit of {limits[key]}"


def _ports(fields: Fields) -> Iterator[str]:
    for port in entries(fields.get("ports")):
        number = whole(port.get("containerPort"))
        if number is None or not 1 <= number <= _MOST_PORT:
            yield f"port `{port.get('containerPort')}` is not between 1 and {_MOST_PORT}"
        if str(port.get("protocol", "TCP")) not in _PROTOCOLS:
            yield f"protocol `{port['protocol']}` is not known"
        if len(str(port.get("name", ""))) > _LONGEST_PORT_NAME:
            yield f"the name of port `{port['name']}` is longer than {_LONGEST_PORT_NAME} characters"


def _probe(name: str, fields: Fields) -> Iterator[str]:
    handlers = [handler for handler in _HANDLERS if handler in fields]
    if len(handlers) != 1:
        yield f"`{name}` needs exactly one of {', '.join(_HANDLERS)}"
    failures, period = (
        whole(fields.get(key, at)) for key, at in (("failureThreshold", 3), ("periodSeconds", 10))
    )
    if failures is None or period is None or min(failures, period) < 1:
        yield f"`{name}`: `failureThreshold` and `periodSeconds` must be 1 or more"
    elif name == "livenessProbe" and failures * period < _LEAST_PATIENCE_SECONDS:
        yield f"`{name}` replaces the pod after {failures * period} s, which a busy node may take to answer"
    if name != "readinessProbe" and fields.get("successThreshold", 1) != 1:
        yield f"`{name}`: `successThreshold` must be 1"
    command = mapping(fields.get("exec")).get("command")
    if (
        name == "livenessProbe"
        and isinstance(command, list)
        and {"inspect", "status"}.intersection(map(str, command))
    ):
        yield f"`{name}` asks the worker over the broker, so a broker that is away ends busy workers"
