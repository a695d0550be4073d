"""Write `policycompiler/knowledge/celery_versions.json`: what each Celery that we know takes.

Installs the newest patch of each version, with the kombu that pip chooses for it, into an environment of its
own, and asks the packages: lists where they have them, their sources where they have none. No transport is
imported, so no broker's client is needed. The same packages give the same bytes.

    celery_versions.py [FILE]     write it anew
    celery_versions.py --read     print what the Celery of this Python says
"""

# ruff: noqa: S603 - a script; it runs pip and itself

from __future__ import annotations

import ast
import json
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from importlib.metadata import distribution, version
from pathlib import Path
from typing import TypeAlias

Facts: TypeAlias = dict[str, object]
Names: TypeAlias = dict[str, Facts]
Sections: TypeAlias = dict[str, Names]

VERSIONS = ("5.3", "5.4", "5.5", "5.6", "5.7")
"""The one list of the versions that we know; everything else reads what is written here."""
PACKAGES = ("amqp", "celery", "kombu")
TARGET = Path(__file__).parents[1] / "policycompiler" / "knowledge" / "celery_versions.json"

READ_TYPES = {
    "dynamodb_endpoint_url": "string",
    "gcs_threadpool_maxsize": "int",
    "override_backends": "dict",
    "redis_backend_health_check_interval": "int",
    "redis_client_name": "string",
    "result_backend_thread_safe": "bool",
}
"""Of settings that are read without being listed, as their readers use them; any value for the others."""

NOT_SETTINGS = frozenset({"deprecated_settings", "input", "worker_pool_cls"})
"""Read from something that is called `conf` or `app.conf`, and is no setting."""

TRANSPORTS = {
    "redis": ("kombu.transport.redis", "kombu.transport.virtual.base"),
    "rabbitmq": ("kombu.transport.pyamqp",),
    "sqs": ("kombu.transport.SQS", "kombu.transport.SQS.SNS", "kombu.transport.virtual.base"),
    "filesystem": ("kombu.transport.filesystem", "kombu.transport.virtual.base"),
    "memory": ("kombu.transport.memory", "kombu.transport.virtual.base"),
}
"""Where each broker's options are read; those of the connection itself are read for all."""

CONNECTION = ("kombu.connection",)
RESULT_BACKENDS = {"redis": ("celery.backends.redis", "celery.backends.base")}
"""The only backends that read `result_backend_transport_options`."""

OF_THE_CLASS = frozenset(
    {"Request", "Strategy", "abstract", "app", "from_config", "name", "request_stack", "typing"}
)
"""Attributes of `Task` that are how it works, no options."""


def main(arguments: list[str]) -> None:
    """Read this Celery, or write the file."""
    if arguments == ["--read"]:
        sys.stdout.write(json.dumps(read(), sort_keys=True))
        return
    target = Path(arguments[0]) if arguments else TARGET
    found = {name: _read_apart(name) for name in VERSIONS}
    target.write_text(as_text({name: at["packages"] for name, at in found.items()}, merged(found)), "utf-8")


def read() -> Sections:
    """What the installed Celery takes, by section, name and fact."""
    return {
        "packages": {name: {"version": version(name)} for name in PACKAGES},
        "settings": _settings(),
        "task_options": _task_options(),
        **{f"flags:{command}": _flags(command) for command in ("worker", "beat")},
        **{f"transport:{name}": _transport(name, places) for name, places in TRANSPORTS.items()},
        **{f"results:{name}": _read_options(places) for name, places in RESULT_BACKENDS.items()},
        "nested:predefined_queues": _keys_of(("kombu.transport.SQS",), {"q", "queue_config"}),
        "nested:retry_policy": _retry_policy("kombu.connection", "Connection", "ensure"),
        "nested:results_retry_policy": _retry_policy("kombu.utils.functional", "", "retry_over_time"),
    }


def merged(found: Mapping[str, Sections]) -> dict[str, dict[str, list[Facts]]]:
    """Each name once, with its facts for as long as they stay the same: from `since` up to `until`."""
    sections = [section for section in found[VERSIONS[-1]] if section != "packages"]
    return {
        section: {
            name: _spans(name, [found[at][section] for at in VERSIONS]) for name in _all(found, section)
        }
        for section in sections
    }


def as_text(packages: Mapping[str, Names], sections: Mapping[str, Mapping[str, list[Facts]]]) -> str:
    """Canonical JSON, a name on a line."""
    heads = [f'"versions": {_json(VERSIONS)}']
    read_from = {
        at: {name: facts["version"] for name, facts in them.items()} for at, them in packages.items()
    }
    heads.append(f'"packages": {_json(read_from)}')
    for section, names in sections.items():
        lines = ",\n".join(f"{_json(name)}: {_json(spans)}" for name, spans in names.items())
        heads.append(f'"{section}": {{\n{lines}\n}}')
    return "{\n" + ",\n".join(heads) + "\n}\n"


def _read_apart(name: str) -> Sections:
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder, "bin", "python")
        install = ("-m", "pip", "install", "--quiet", f"celery=={name}.*")
        subprocess.run([python, *install], check=True)
        words = [python, __file__, "--read"]
        text = subprocess.run(words, check=True, capture_output=True, text=True, cwd=folder).stdout
    sections: Sections = json.loads(text)
    return sections


def _all(found: Mapping[str, Sections], section: str) -> list[str]:
    return sorted({name for sections in found.values() for name in sections[section]})


def _spans(name: str, by_version: list[Names]) -> list[Facts]:
    spans: list[Facts] = []
    last: Facts | None = None
    for at, names in zip(VERSIONS, by_version, strict=True):
        facts = names.get(name)
        if facts != last:
            if last is not None:
                spans[-1]["until"] = VERSIONS[VERSIONS.index(at) - 1]
            if facts is not None:
                spans.append(dict(facts) if at == VERSIONS[0] else {"since": at, **facts})
            last = facts
    return spans


def _settings() -> Names:
    from celery.app.defaults import NAMESPACES, flatten  # noqa: PLC0415

    found: Names = {}
    for name, option in flatten(NAMESPACES):
        declared = option.type.__name__ if isinstance(option.type, type) else str(option.type or "any")
        facts: Facts = {
            "type": "string" if declared == "str" else declared,
            "default": _plain(option.default),
        }
        if old := sorted(word.lower() for word in option.old or ()):
            facts["old"] = [word.format(name.lower()) for word in old]
        for word in ("deprecate_by", "remove_by", "alt"):
            if getattr(option, word, None):
                facts[word] = getattr(option, word)
        found[name] = facts
    for name in _settings_read():
        if name not in found and name not in NOT_SETTINGS and name == name.lower():
            found[name] = {"type": READ_TYPES.get(name, "any"), "listed": False}
    return dict(sorted(found.items()))


def _settings_read() -> set[str]:
    """What some module of Celery asks its settings for by `conf.get`, also under a short name of that."""
    found = set()
    for path in sorted(Path(str(distribution("celery").locate_file("celery"))).rglob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        getters = {
            target.id
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign) and ast.unparse(node.value).endswith("conf.get")
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in ast.walk(tree):
            match node:
                case ast.Call(func=called, args=[ast.Constant(value=str(key)), *_]):
                    name = ast.unparse(called)
                    if name in getters or name.endswith("conf.get"):
                        found.add(key)
    return found


def _task_options() -> Names:
    from celery.app.task import Task  # noqa: PLC0415

    found: Names = {}
    for name, value in vars(Task).items():
        machinery = callable(value) or isinstance(value, classmethod | staticmethod | property)
        if not name.startswith("_") and not machinery and name not in OF_THE_CLASS:
            found[name] = {"default": _plain(value)}
    for name, _ in Task.from_config:
        found.setdefault(name, {"default": None})
    for tree in _trees(("celery.app.task",)):
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "extract_exec_options":
                for name in _texts(node.value):
                    found.setdefault(name, {"default": None})
    for name, facts in _keys_of(("celery.app.autoretry",), {"options"}).items():
        found.setdefault(name, facts)
    return dict(sorted(found.items()))


def _flags(command: str) -> Names:
    from celery.bin.celery import celery  # noqa: PLC0415

    found: Names = {}
    for option in celery.commands[command].params:
        for flag in (*option.opts, *option.secondary_opts):
            facts: Facts = {"type": option.type.name}
            # A host's name is not the command's.
            if isinstance(option.default, bool | int | str) and option.name != "hostname":
                facts["default"] = str(option.default) if isinstance(option.default, str) else option.default
            found[flag] = facts
    return dict(sorted(found.items()))


def _transport(name: str, places: tuple[str, ...]) -> Names:
    found = _read_options((*places, *CONNECTION))
    if name == "rabbitmq":
        # All options go to the connection of py-amqp as they are.
        found |= _parameters("amqp.connection", "Connection")
    return dict(sorted(found.items()))


def _read_options(modules: tuple[str, ...]) -> Names:
    """Options that a module reads from a mapping of transport options, or lists to be read from there."""
    found = _keys_of(modules, {"transport_options", "_transport_options", "transport_opts", "topts"})
    found |= _keys_of(modules, {"conf.get('result_backend_transport_options', {})"})
    for tree in _trees(modules):
        defaults = {
            ast.unparse(node.targets[0]): node.value
            for each in ast.walk(tree)
            if isinstance(each, ast.ClassDef)
            for node in each.body
            if isinstance(node, ast.Assign)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "from_transport_options":
                for name in _texts(node.value):
                    found.setdefault(name, _default(defaults.get(name)))
    return dict(sorted(found.items()))


def _keys_of(modules: tuple[str, ...], mappings: Iterable[str]) -> Names:
    """What the modules look up in mappings of these names: by `get`, `in` or a subscript."""
    found: Names = {}

    def is_one(node: ast.expr) -> bool:
        text = ast.unparse(node)
        return any(text == name or text.endswith(f".{name}") for name in mappings)

    for node in (node for tree in _trees(modules) for node in ast.walk(tree)):
        key: object = None
        default: ast.expr | None = None
        match node:
            case ast.Call(
                func=ast.Attribute(value=mapping, attr="get"), args=[ast.Constant(value=key), *rest]
            ):
                default = rest[0] if rest else None
            case ast.Compare(left=ast.Constant(value=key), ops=[ast.In()], comparators=[mapping]):
                pass
            case ast.Subscript(value=mapping, slice=ast.Constant(value=key)):
                pass
            case _:
                continue
        if isinstance(key, str) and is_one(mapping) and not found.get(key):
            found[key] = _default(default)
    return dict(sorted(found.items()))


def _retry_policy(module: str, owner: str, function: str) -> Names:
    """What may be said of publishing, or of asking the backend, once more: what does it takes."""
    taken = _parameters(module, owner, function)
    return {
        name: facts for name, facts in taken.items() if name not in {"fun", "obj", "catch", "args", "kwargs"}
    }


def _parameters(module: str, owner: str, function: str = "__init__") -> Names:
    """The parameters of a class's method, or of a module's function where no class is named."""
    for tree in _trees((module,)):
        owners = [each for each in tree.body if isinstance(each, ast.ClassDef) and each.name == owner]
        for node in (node for place in (owners if owner else [tree]) for node in place.body):
            if isinstance(node, ast.FunctionDef) and node.name == function:
                names = [argument.arg for argument in node.args.args]
                padding: list[ast.expr | None] = [None] * (len(names) - len(node.args.defaults))
                pairs = zip(names, [*padding, *node.args.defaults], strict=True)
                return {name: _default(value) for name, value in pairs if name != "self"}
    message = f"{module} has no {owner}.{function}"
    raise LookupError(message)


def _trees(modules: Iterable[str]) -> Iterator[ast.Module]:
    """The sources of modules, none of which is imported; one that a version does not have yet has none."""
    for module in modules:
        package, *rest = module.split(".")
        path = Path(str(distribution(package).locate_file(Path(package, *rest))))
        source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if source.exists():
            yield ast.parse(source.read_text("utf-8"))


def _texts(node: ast.expr) -> list[str]:
    constants = [each.value for each in ast.walk(node) if isinstance(each, ast.Constant)]
    return [value for value in constants if isinstance(value, str)]


def _default(node: ast.expr | None) -> Facts:
    """A default that is written out; nothing of one that is computed."""
    try:
        value = None if node is None else ast.literal_eval(node)
    except ValueError:
        return {}
    return {} if value is None else {"default": _plain(value)}


def _plain(value: object) -> object:
    """As JSON has it: seconds, lists; text for what it has no word for."""
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in sorted(value.items())}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, bool | int | str):
        return value
    return value if isinstance(value, float) and abs(value) != float("inf") else str(value)


def _json(value: object) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=True)


if __name__ == "__main__":
    main(sys.argv[1:])
