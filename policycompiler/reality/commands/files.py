"""Finds the commands in the files of process managers: each format with its own real reader."""

from __future__ import annotations

import configparser
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import yaml

from policycompiler.reality.commands.invocation import Environment, Invocation, Unread
from policycompiler.reality.commands.shell import commands_in

__all__ = ["Environment", "Invocation", "environment_of", "invocations"]

_PROCFILE_LINE = re.compile(r"([A-Za-z0-9_-]+):\s*(.+)")
_VARIABLE_LINE = re.compile(r"(?:export\s+)?([A-Za-z_]\w*)=(.*)")
_STARTS_A_COMMAND = re.compile(r"[^\s\"']*\s(?:\S+\s+)*(?:\S*/)?celery\s")
"""What stands behind `NAME=` if a command follows the value."""
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "hr": 3600, "d": 86400}
_WORKLOADS = frozenset(
    {"CronJob", "DaemonSet", "Deployment", "Job", "Pod", "ReplicaSet", "StatefulSet", "DeploymentConfig"}
)


def invocations(name: str, text: str, variables: Environment) -> Iterator[Invocation | Unread]:
    """The commands in a file, by its name and contents."""
    last = name.rpartition("/")[2].lower()
    by_name = next((read for kinds, read in _BY_NAME.items() if re.search(kinds, last)), None)
    if by_name is not None:
        return by_name(name, text, variables)
    if re.search(r"^\[(program|eventlistener|fcgi-program):", text, re.MULTILINE):
        return _supervisor(name, text, variables)
    if environment_of(text):
        return iter(())
    return commands_in(text, variables, name)


def environment_of(text: str) -> dict[str, str]:
    """The variables of a file with nothing but variables, such as an EnvironmentFile; empty for others."""
    found = {}
    for line in text.replace("\\\n", " ").splitlines():
        plain = line.strip()
        if not plain or plain.startswith(("#", ";")):
            continue
        match = _VARIABLE_LINE.fullmatch(plain)
        if match is None or _STARTS_A_COMMAND.match(match[2]):
            return {}
        found[match[1]] = match[2].strip().strip("\"'")
    return found


def _procfile(name: str, text: str, variables: Environment) -> Iterator[Invocation | Unread]:
    for number, line in enumerate(text.splitlines(), 1):
        if found := _PROCFILE_LINE.fullmatch(line.strip()):
            yield from commands_in(found[2], variables, f"{name}:{number}", found[1])


def _dockerfile(name: str, text: str, variables: Environment) -> Iterator[Invocation | Unread]:
    for number, line in enumerate(text.splitlines(), 1):
        found = re.match(r"(?:CMD|ENTRYPOINT)\s+(.*)", line.strip())
        if found is None:
            continue
        words = yaml.safe_load(found[1]) if found[1].startswith("[") else found[1]
        yield from commands_in(_line(words), variables, f"{name}:{number}")


# Supervisor ----------------------------------------------------------------------------------------------


def _supervisor(name: str, text: str, variables: Environment) -> Iterator[Invocation | Unread]:
    parser = configparser.RawConfigParser(
        inline_comment_prefixes=(";", " #"), strict=False, allow_no_value=True
    )
    try:
        parser.read_string(text)
    except configparser.Error as problem:
        yield Unread(name, f"not a supervisor configuration: {problem.message.splitlines()[0]}")
        return
    for section in parser.sections():
        kind, _, program = section.partition(":")
        command = parser.get(section, "command", fallback=None)
        if kind not in ("program", "fcgi-program") or not command:
            continue
        own = {**variables, **_supervisor_environment(parser.get(section, "environment", fallback="") or "")}
        plain = _supervisor_expansions(command, program)
        seconds = _number(parser.get(section, "stopwaitsecs", fallback="10"))
        replicas = _number(parser.get(section, "numprocs", fallback="1"))
        for each in commands_in(plain.replace("\n", " "), own, f"{name} [{section}]", program):
            yield _with(
                each, replicas=int(replicas or 1), stop_seconds=seconds, environment=own, known=variables
            )


def _supervisor_expansions(text: str, program: str) -> str:
    """Supervisor's `%(…)s` as what they stand for, a variable of the environment as a shell has it."""
    text = re.sub(r"%\(ENV_(\w+)\)s", r"${\1}", text)
    text = text.replace("%(program_name)s", program)
    text = re.sub(r"%\((process_num|numprocs|here|host_node_name|group_name)\)\d*[sd]", r"${\1}", text)
    return text.replace("%%", "%")


def _supervisor_environment(text: str) -> dict[str, str]:
    return {key: value.strip("\"'") for key, value in re.findall(r"(\w+)=(\"[^\"]*\"|'[^']*'|[^,]*)", text)}


# systemd -------------------------------------------------------------------------------------------------


def _systemd(name: str, text: str, variables: Environment) -> Iterator[Invocation | Unread]:
    lines = [line.strip() for line in text.replace("\\\n", " ").splitlines()]
    pairs = [
        (key.strip(), value.strip()) for key, _, value in (line.partition("=") for line in lines) if value
    ]
    own = dict(variables)
    for key, value in pairs:
        if key == "Environment":
            for item in re.findall(r"\"([^\"]*)\"|'([^']*)'|(\S+)", value):
                variable, _, found = next(filter(None, item)).partition("=")
                own[variable] = found
    seconds = next((_timespan(value) for key, value in pairs if key == "TimeoutStopSec"), None)
    unit = name.rpartition("/")[2].removesuffix(".in").removesuffix(".service").removesuffix("@")
    for key, value in pairs:
        if key == "ExecStart":
            command = re.sub(r"^[-@:+!]+", "", value)
            plain = re.sub(r"%([ihnNpu])", r"${systemd_\1}", command.replace("%%", "\0")).replace("\0", "%")
            for each in commands_in(plain, own, name, unit):
                yield _with(each, stop_seconds=seconds, environment=own, known=variables)


def _timespan(text: str) -> float | None:
    """A time of systemd in seconds; None for `infinity` and for what is none."""
    if re.fullmatch(r"\d+", text):
        return float(text)
    parts = re.findall(r"(\d+(?:\.\d+)?)\s*([a-z]+)", text)
    known = [float(number) * _SECONDS[unit] for number, unit in parts if unit in _SECONDS]
    return sum(known) if known and len(known) == len(parts) else None


# Compose and Kubernetes ----------------------------------------------------------------------------------


def _yaml(name: str, text: str, variables: Environment) -> Iterator[Invocation | Unread]:
    try:
        documents = [each for each in yaml.safe_load_all(text) if isinstance(each, dict)]
    except yaml.YAMLError as problem:
        if _may_call_celery(text):
            line = getattr(getattr(problem, "problem_mark", None), "line", 0) + 1
            yield Unread(
                f"{name}:{line}", "not YAML; render a template first (`helm template`, `kustomize build`)"
            )
        return
    for document in documents:
        if isinstance(document.get("services"), dict):
            for service, fields in document["services"].items():
                if isinstance(fields, dict):
                    yield from _compose(name, str(service), fields, variables)
        for item in document.get("items") or [document]:
            if isinstance(item, dict) and item.get("kind") in _WORKLOADS:
                yield from _kubernetes(name, item, variables)


def _may_call_celery(text: str) -> bool:
    return re.search(r"\bcelery\b", text) is not None


def _compose(
    name: str, service: str, fields: dict[str, Any], variables: Environment
) -> Iterator[Invocation | Unread]:
    environment = _compose_environment(fields.get("environment"))
    deploy = fields.get("deploy") if isinstance(fields.get("deploy"), dict) else {}
    replicas = deploy.get("replicas", fields.get("scale")) if isinstance(deploy, dict) else None
    period = fields.get("stop_grace_period")
    seconds = _timespan(str(period)) if period else 10.0
    entry, command = fields.get("entrypoint"), fields.get("command")
    line = " ".join(filter(None, (_line(entry), _line(command)))).replace("$$", "$")
    for each in commands_in(line, {**variables, **environment}, f"{name} services.{service}", service):
        yield _with(each, replicas=_whole(replicas), stop_seconds=seconds, environment=environment)


def _compose_environment(given: object) -> dict[str, str]:
    if isinstance(given, dict):
        return {str(key): "" if value is None else str(value) for key, value in given.items()}
    pairs = [str(each).partition("=") for each in given] if isinstance(given, list) else []
    return {key: value for key, sign, value in pairs if sign}


def _kubernetes(name: str, item: dict[str, Any], variables: Environment) -> Iterator[Invocation | Unread]:
    spec = item.get("spec") or {}
    pod = spec if item["kind"] == "Pod" else ((spec.get("template") or {}).get("spec") or {})
    if item["kind"] == "CronJob":
        job = (spec.get("jobTemplate") or {}).get("spec") or {}
        pod = (job.get("template") or {}).get("spec") or {}
    title = str((item.get("metadata") or {}).get("name", item["kind"].lower()))
    period = pod.get("terminationGracePeriodSeconds", 30)
    for container in pod.get("containers") or ():
        given = {
            str(each["name"]): str(each["value"])
            for each in container.get("env") or ()
            if isinstance(each, dict) and each.get("value") is not None
        }
        line = " ".join(filter(None, (_line(container.get("command")), _line(container.get("args")))))
        # `$(NAME)` is how Kubernetes writes a variable.
        line = re.sub(r"\$\((\w+)\)", r"${\1}", line)
        place = f"{name} {item['kind']}/{title}"
        for each in commands_in(line, {**variables, **given}, place, title):
            yield _with(
                each,
                replicas=_whole(spec.get("replicas", 1)),
                stop_seconds=_number(period),
                environment=given,
            )


def _line(command: object) -> str:
    """A command as one line, from a text or from a list of words."""
    if isinstance(command, list):
        # Words with variables stay as they are: quotes would hide the variables.
        return " ".join(_word(str(each)) for each in command)
    return "" if command is None else str(command)


def _word(text: str) -> str:
    return text if re.fullmatch(r"[\w@%+=:,./${}-]+", text) else "'" + text.replace("'", "'\"'\"'") + "'"


def _with(
    found: Invocation | Unread,
    *,
    replicas: int | None = None,
    stop_seconds: float | None = None,
    environment: Mapping[str, str],
    known: Mapping[str, str] = {},
) -> Invocation | Unread:
    if isinstance(found, Unread):
        return found
    own = {key: value for key, value in environment.items() if known.get(key) != value}
    return found._replace(
        replicas=replicas, stop_seconds=stop_seconds, environment={**own, **found.environment}
    )


def _number(text: object) -> float | None:
    try:
        return float(str(text))
    except ValueError:
        return None


def _whole(value: object) -> int | None:
    number = _number(value)
    return int(number) if number is not None else None


_BY_NAME: Mapping[str, Callable[[str, str, Environment], Iterator[Invocation | Unread]]] = {
    r"\.service(\.in)?$": _systemd,
    r"\.(ya?ml|json)$": _yaml,
    r"^procfile": _procfile,
    r"^dockerfile|\.dockerfile$": _dockerfile,
}
"""The readers of files whose names say what they are."""
