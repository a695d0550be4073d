"""A process from the words of its command, which all targets have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from extracted import Process


def process(
    words: Sequence[str],
    *,
    name: str,
    replicas: int,
    grace_seconds: int | None,
    memory_bytes: int | None,
    environment: Mapping[str, str],
) -> Process:
    """A worker or beat; assignments after a leading `env` belong to its environment."""
    found, variables = [*words], dict(environment)
    if found[0] == "env":
        found.pop(0)
        while "=" in found[0]:
            key, _, value = found.pop(0).partition("=")
            variables[key] = value
    kind = "worker" if "worker" in found else "beat"
    return Process(
        kind=kind,
        worker=name if kind == "worker" else "",
        queues=tuple(after(found, "--queues", "").split(",")) if kind == "worker" else (),
        node_name=after(found, "--hostname", ""),
        pool=after(found, "--pool", ""),
        concurrency=after(found, "--concurrency", None),
        replicas=replicas,
        grace_seconds=grace_seconds,
        memory_bytes=memory_bytes,
        environment=variables,
    )


def after(words: Sequence[str], option: str, otherwise):
    """The word after an option."""
    return words[words.index(option) + 1] if option in words else otherwise
