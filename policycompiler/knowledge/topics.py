"""Which routing keys match which bindings of a topic exchange."""

from __future__ import annotations

LEAST_OF_HASH = {"rabbitmq": 0}
"""The fewest words that `#` matches. On other brokers kombu emulates the exchange and needs one word."""
WILDCARDS = frozenset("*#")


def is_pattern(key: str) -> bool:
    """Whether a binding key has wildcards."""
    return not WILDCARDS.isdisjoint(key)


def matches(pattern: str, key: str, transport: str) -> bool:
    """Whether a routing key matches a pattern: `*` is one word, `#` any number of words."""
    words = key.split(".")
    ends = {0}
    for part in pattern.split("."):
        if part == "#":
            ends = set(range(min(ends) + LEAST_OF_HASH.get(transport, 1), len(words) + 1))
        else:
            ends = {end + 1 for end in ends if end < len(words) and part in {"*", words[end]}}
        if not ends:
            return False
    return len(words) in ends
