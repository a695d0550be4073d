from __future__ import annotations

import pytest
from pages import read, text

from policycompiler.report.page.html import anchor, document, joined, prose, tag


def test_text_and_attributes_are_escaped_and_empty_attributes_left_out():
    body = tag("body", "a<b", tag("i", "x"), "&c", title='"<>', lang="")
    html = document("t", "", body)
    assert '<body title="&quot;<&gt;">a&lt;b<i>x</i>&amp;c</body>' in html
    assert text(read(html).find("body")) == "a<bx&c"


@pytest.mark.parametrize(
    ("sentence", "parts"),
    [
        ("write `x: 1` or `y`", ["write ", ["x: 1"], " or ", ["y"]]),
        ("plain", ["plain"]),
        ("`all`", ["", ["all"], ""]),
        ("one ` alone", ["one ` alone"]),
        ("a `b` and ` alone", ["a ", ["b"], " and ` alone"]),
    ],
)
def test_names_between_backticks_are_code(sentence, parts):
    found = [part if isinstance(part, str) else list(part.itertext()) for part in prose(sentence)]
    assert [part for part in found if part] == [part for part in parts if part]


def test_parts_are_joined():
    assert joined(["a", "b", "c"]) == ["a", ", ", "b", ", ", "c"]
    assert joined([]) == []


def test_an_anchor_holds_no_space_and_no_secret():
    assert anchor("queue", "high priority") == "queue:high%20priority"
    assert "s3cret" not in anchor("queue", "redis://u:s3cret@host")
