"""Which keys a topic exchange takes for which bindings."""

from __future__ import annotations

LEAST_OF_HASH = {"rabbitmq": 0}
"""How many words `#` stands for at the least; kombu, which plays the exchange elsewhere, needs its dot."""
WILDCARDS = frozenset("*#")


def is_pattern(key: str) -> bool:
    """Whether a binding key has wildcards."""
    return not WILDCARDS.isdisjoint(key)


def matches(pattern: str, key: str, transport: str) -> bool:
    """Whether a topic exchange takes a key: `*` is one word, `#` any number of them."""
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
