"""Which queues share a worker: held against a search through all pairs after each join."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policycompiler.policies.routing.consumers import sharing
from policycompiler.policies.routing.consumers.sharing import Group, joined

WAITS = (1, 2, 30, 60, 900)
"""Some as far apart as others: 1 and 30, 2 and 60, 30 and 900."""
LIMITS = (2, 10, 300)
WORK = (frozenset({"io"}), frozenset({"cpu"}), frozenset({"io", "cpu"}))


def goes(first: Group, second: Group, apart: float) -> bool:
    """As the page of `consumers` says it, of two groups of which the first is more urgent."""
    limit = min(first.bears, second.bears) if first.wait == second.wait else first.bears
    no_run_too_long = first.longest <= limit and second.longest <= limit
    farthest = max(first.patient, second.patient)
    return first.work == second.work and no_run_too_long and farthest < first.wait * apart


def searched(groups: list[Group], most: int, apart: float) -> list[Group]:
    """The closest pair of all, again and again."""
    left = sorted(groups, key=lambda group: (group.wait, group.queues))
    while len(left) > most:
        pairs = [pair for pair in combinations(left, 2) if goes(*pair, apart)]
        if not pairs:
            break
        first, second = min(pairs, key=lambda pair: (pair[1].wait / pair[0].wait, pair[0][0], pair[1][0]))
        whole = Group(
            first.queues + second.queues,
            first.work,
            first.wait,
            max(first.patient, second.patient),
            min(first.bears, second.bears) if first.wait == second.wait else first.bears,
            max(first.longest, second.longest),
        )
        left = [group for group in left if group not in (first, second)]
        left = sorted([*left, whole], key=lambda group: (group.wait, group.queues))
    return left


def group_of(name: str, work: int, wait: int, more: int, limit: int, longest: int) -> Group:
    return Group((name,), WORK[work], WAITS[wait], max(WAITS[wait], more), LIMITS[limit], longest)


@st.composite
def some_groups(draw: st.DrawFn) -> list[Group]:
    names = draw(st.lists(st.text("abc", min_size=1, max_size=3), unique=True, max_size=9))
    numbers = st.tuples(
        st.integers(0, 2), st.integers(0, 4), st.sampled_from((0, 30, 900)), st.integers(0, 2)
    )
    longest = st.sampled_from((0, 1, 2, 3, 10, 11, 300, 301))
    return [group_of(name, *draw(numbers), draw(longest)) for name in names]


@settings(max_examples=500, deadline=None)
@given(some_groups(), st.integers(-1, 6), st.sampled_from((2, 15, 20, 31, 100, 1000)))
def test_the_same_queues_share_a_worker_as_after_a_search_through_all_pairs(
    groups: list[Group], most: int, apart: float
) -> None:
    assert joined(groups, most, apart) == searched(groups, most, apart)


@pytest.mark.parametrize("longest", [1, 20], ids=["all go together", "none do"])
def test_few_pairs_are_looked_at(longest: int, monkeypatch: pytest.MonkeyPatch) -> None:
    looked = []
    real = sharing._go_together

    def counted(first: Group, second: Group, apart: float) -> bool:
        looked.append(first)
        return real(first, second, apart)

    monkeypatch.setattr(sharing, "_go_together", counted)
    groups = [group_of(f"q{number:03}", number % 3, number % 3, 0, 1, longest) for number in range(480)]
    joined(groups, 4, 100)
    assert len(looked) < len(groups)
