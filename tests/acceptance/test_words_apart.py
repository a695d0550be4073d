"""Other words for people are no other data: findings, plan values and steps, held by fingerprints.

A change that is about words alone leaves `data/fingerprints.json` as it is; one that is not shows there what
else it is about.
"""

from __future__ import annotations

import json

import pytest
from data_of import everything, fingerprint
from places import DATA

RECORD = DATA / "fingerprints.json"


def test_the_data_are_those_on_record(request: pytest.FixtureRequest) -> None:
    now = {name: fingerprint(data) for name, data in everything()}
    if request.config.getoption("--update-golden"):
        RECORD.write_text(json.dumps(now, indent=0, sort_keys=True) + "\n", "utf-8")
    recorded = json.loads(RECORD.read_text("utf-8"))
    other = sorted(name for name in {*now, *recorded} if now.get(name) != recorded.get(name))
    assert not other, "if the change is meant to do this, run with --update-golden"
