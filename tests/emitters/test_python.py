"""Values as Python: what they mean, and that formatters leave them as they are."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policycompiler.emitters.base import Raw
from policycompiler.emitters.python import Call, assignment, laid_out, python_literal

RUFF = Path(sys.executable).with_name("ruff")
TEXTS = st.one_of(
    st.text(max_size=120), st.text("abc.", min_size=60, max_size=100), st.text("'\"\\x", max_size=8)
)
PLAIN = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), TEXTS
)
VALUES = st.recursive(
    PLAIN,
    lambda inner: st.one_of(st.lists(inner, max_size=5), st.dictionaries(TEXTS, inner, max_size=5)),
    max_leaves=12,
)


@settings(derandomize=True, deadline=None, max_examples=500)
@given(VALUES)
def test_a_value_is_read_back_as_it_is(value):
    for text in (python_literal(value), laid_out(value)):
        assert text.isascii()
        assert repr(ast.literal_eval(text)) == repr(_sorted(value))


def _sorted(value):
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [*map(_sorted, value)] if isinstance(value, list) else value


@settings(derandomize=True, deadline=None, max_examples=20)
@given(st.lists(st.tuples(st.text("xyz", min_size=1, max_size=60), VALUES), min_size=20, max_size=40))
def test_a_formatter_leaves_it_alone(values):
    assert_formatted("".join(f"{assignment(name, value)}\n" for name, value in values))


def assert_formatted(text):
    found = subprocess.run(
        [RUFF, "format", "--isolated", "--diff", "-"],
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (found.returncode, found.stdout) == (0, "")


@pytest.mark.parametrize("length", range(40, 110, 3))
def test_a_formatter_leaves_calls_alone(length):
    name = "q" * length
    queue = Call("Queue", (name, Call("Exchange", (name,), {"type": "direct"})), {"routing_key": name})
    cron = Call("crontab", (), {"minute": ",".join(map(str, range(length // 3)))})
    entries = {name: {"schedule": cron, "task": name}, "b": Call("crontab"), "c": (Raw("ValueError"),)}
    assert_formatted(f"{assignment('queues', (queue, queue))}\n{assignment('entries', entries)}\n")
