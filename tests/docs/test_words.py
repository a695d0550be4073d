"""The sentences for people are on record: the prose check reads them, and a review shows new words."""

from __future__ import annotations

import pytest
from places import DATA
from words_of import WORDS


@pytest.mark.parametrize("name", sorted(WORDS))
def test_the_words_are_those_on_record(name: str, request: pytest.FixtureRequest) -> None:
    told = "".join(f"{line}\n" for line in sorted(WORDS[name]()))
    path = DATA / "words" / f"{name}.txt"
    if request.config.getoption("--update-golden"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(told, "utf-8")
    assert path.read_text("utf-8") == told, "read the difference, then run with --update-golden"
