"""What nobody declared is asked for, by whoever wants to know."""

from __future__ import annotations

import pytest
from workloads import Found, after

from policycompiler.policies.written import missing_declarations

NOTHING_SAID = [
    Found(
        "missing-owner",
        "1:9",
        "shop.a declares no owner: its alerts go to no team",
        "add `owner:` to the task, or once for the whole file",
    ),
    Found(
        "missing-idempotency",
        "1:9",
        "shop.a does not declare `idempotent`: a run is lost when its worker dies",
        "add `idempotent: true` or `idempotent: false`",
    ),
    Found(
        "missing-runtime",
        "1:9",
        "shop.a does not declare `runtime`: nothing ends a run that hangs",
        "add `runtime:` with the measured p50 and p99",
    ),
    Found(
        "missing-rate",
        "1:9",
        "shop.a does not declare `rate`: the size of its worker does not account for it",
        "add `rate:` with mean and peak",
    ),
]
ACCEPTS = {
    "all is said": "tasks: {shop.a: {owner: team, idempotent: false, runtime: 1s, rate: 1/m}}",
    "the file's owner": "owner: team\ntasks: {shop.a: {idempotent: true, runtime: 1s, rate: 1/m}}",
    "what another app runs": "owner: team\ntasks: {shop.a: {external: true, queue: theirs}}",
}


def test_it_asks_for_all_that_a_bare_name_leaves_open():
    assert after(missing_declarations, "tasks: {shop.a: }").findings == NOTHING_SAID


@pytest.mark.parametrize("fragment", ACCEPTS.values(), ids=ACCEPTS)
def test_it_accepts(fragment):
    assert after(missing_declarations, fragment).findings == []
