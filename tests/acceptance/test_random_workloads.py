"""Whatever compiles is read by every target's own reader as it was meant; thousands of them by hand."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from random_workloads import check, compiled, workload

SEEDS = 60
PARTS = 4


@pytest.mark.parametrize("part", range(PARTS))
def test_whatever_compiles_is_read_as_it_was_meant(part: int, tmp_path: Path):
    outcomes: Counter[bool] = Counter()
    for seed in range(part, SEEDS, PARTS):
        folder = tmp_path / str(seed)
        folder.mkdir()
        found = compiled(workload(seed), folder)
        outcomes[found is None] += 1
        if found is not None:
            try:
                check(found, folder)
            except Exception as problem:
                problem.add_note(f"the workload of seed {seed}")
                raise
    # One that is refused tests nothing here.
    assert outcomes[False] > outcomes[True] / 2
