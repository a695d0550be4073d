"""One text: the same data as other readers, the right places, and what is refused."""

from __future__ import annotations

import random
import re

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from yaml_texts import ReferenceLoader, mutated, token_texts, yaml_1_2_value, yaml_texts

from policycompiler.diagnostics import Place
from policycompiler.load import parse, place_in
from policycompiler.load.files import LARGEST_FILE_BYTES

WORKLOAD = """\
version: 1
service: shop  # a comment
defaults: &d {work: io, runtime: {p50: 1s, p99: "3s"}}
tasks:
  shop.mail.send: *d
  "shop.pay":
    retry: {on: [ConnectionError, 'x''y'], max: 5, max_delay: 5m}
    description: |
      Two lines,
      kept.
    memory: 1.5
    idempotent: false
  shop.null:
waivers:
- finding: x
  reason: >-
    folded
    text
- {at: tasks.*, expires: 2027-03-31}
"""

AMBIGUOUS = (
    "010", "08", "0o17", "0O17", "0x1F", "-0x1f", "0b11", "1_000", "1__0", "-_1", "12:30", "00:30",
    "12:30:45", "1:30.5", "1e3", "1E+3", "1.5e3", ".5", "-.5", "+.5", ".5e+1", "1_0.5",
    "685_230.15", "+.inf", "-.INF", ".inf", ".nan", ".NaN", "=", "<<", "1234567890123456789",
    "1.0e+999",
)  # fmt: skip
ONLY_TEXT = (
    "yes", "no", "on", "off", "Yes", "NO", "y", "n", "2027-03-31", "2001-12-14T21:59:43.10-05:00",
    "5.7.0", "100ms", "10/m", "99.9%", "0abc", "0xZZ", "1.2.3.4", "12:99", "3306:3306", "-x", "+x",
    ".x", "._", "1e", "0x", "0b2", ".", "+.", "nULL", "tRUE", ".iNf", "==",
)  # fmt: skip


def read(text):
    findings = []
    data, mark = parse(text, "w.yaml", findings)
    return data, mark, findings


def accepted(text):
    data, mark, findings = read(text)
    assert findings == []
    return data, mark


def same(one, other):
    """Equality that tells 1, 1.0 and True apart."""
    return repr(one) == repr(other)


def assert_marks_are_those_of_compose(text, data, mark):
    root = yaml.compose(text, yaml.CSafeLoader)
    seen = set()

    def walk(node, value, path):
        alias = id(node) in seen
        seen.add(id(node))
        if not alias:
            assert place_in(mark, path) == place_of(node), path
        if isinstance(node, yaml.MappingNode):
            for key, child in node.value:
                inner = (*path, key.value)
                assert place_in(mark, inner, key=True) == place_of(key), inner
                walk(child, value[key.value], inner)
        elif isinstance(node, yaml.SequenceNode):
            for index, child in enumerate(node.value):
                walk(child, value[index], (*path, index))

    lines = re.split("\r\n|[\r\n]", text)

    def place_of(node):
        if node.start_mark.line == len(lines):
            # libyaml ends a text without a line break on a line of its own.
            return Place("w.yaml", len(lines), len(lines[-1]) + 1)
        return Place("w.yaml", node.start_mark.line + 1, node.start_mark.column + 1)

    walk(root, data, ())


def assert_is_read_or_refused(text):
    data, mark, findings = read(text)
    lines = re.split("\r\n|[\r\n\x85\u2028\u2029]", text)
    for finding in findings:
        assert 1 <= finding.place.line <= len(lines)
        assert 1 <= finding.place.column <= len(lines[finding.place.line - 1]) + 1
    if not findings:
        assert same(data, yaml.load(text, ReferenceLoader))
        assert_marks_are_those_of_compose(text, data, mark)
    return not findings


@settings(derandomize=True, deadline=None, max_examples=500)
@given(yaml_texts())
def test_valid_texts_are_accepted_with_the_data_and_places_of_pyyaml(text):
    data, mark = accepted(text)
    assert same(data, yaml.load(text, ReferenceLoader))
    assert_marks_are_those_of_compose(text, data, mark)


@settings(derandomize=True, deadline=None, max_examples=1500)
@given(token_texts)
def test_texts_of_loose_yaml_tokens_are_read_as_pyyaml_does_or_refused_with_a_place(text):
    assert_is_read_or_refused(text)


@settings(derandomize=True, deadline=None, max_examples=500)
@given(st.text())
def test_any_text_is_read_as_pyyaml_does_or_refused_with_a_place(text):
    assert_is_read_or_refused(text)


def test_ten_thousand_damaged_workloads_are_read_as_pyyaml_does_or_refused_with_a_place():
    choices = random.Random(20270331)
    accepted_count = sum(assert_is_read_or_refused(mutated(WORKLOAD, choices)) for _ in range(10_000))
    assert 500 < accepted_count < 9_500


@settings(derandomize=True, deadline=None, max_examples=1500)
@given(
    st.one_of(
        st.text("0123456789_.:eE+-", max_size=8),
        st.from_regex(r"[-+]?0[xXoObB]?[0-9a-fA-F_]{0,4}", fullmatch=True),
        st.from_regex(r"[-+]?[0-9]{1,2}(:[0-9]{1,2}){1,2}(\.[0-9]?)?", fullmatch=True),
        st.from_regex(r"[-+]?\.(inf|Inf|INF|nan|NaN|NAN|iNf)", fullmatch=True),
        st.sampled_from(
            ("~", "null", "NULL", "nULL", "true", "TRUE", "tRUE", "yes", "No", "y", "=", "<<", "==")
        ),
    ).filter(lambda text: not re.search(r":$|^-$|^---$|^\.\.\.$", text))
)
def test_an_unquoted_text_is_accepted_only_if_yaml_1_1_and_1_2_agree_about_it(text):
    source = f"k: {text}"
    data, _, findings = read(source)
    if findings:
        assert [finding.name for finding in findings] == ["ambiguous-scalar"]
        assert findings[0].place == Place("w.yaml", 1, 4)
    else:
        assert same(data["k"], yaml.load(source, ReferenceLoader)["k"])
        assert same(data["k"], yaml_1_2_value(text))


@pytest.mark.parametrize("text", AMBIGUOUS)
def test_a_text_that_readers_disagree_about_is_refused(text):
    for source, column in ((f"k: {text}", 4), (f"k: [a, {text}]", 8), (f"k: {{a: {text} }}", 8)):
        _, _, findings = read(source)
        assert [(finding.name, finding.place) for finding in findings] == [
            ("ambiguous-scalar", Place("w.yaml", 1, column))
        ]


@pytest.mark.parametrize("text", ONLY_TEXT)
def test_a_text_that_only_looks_special_stays_text(text):
    assert accepted(f"k: [{text}]")[0] == yaml.load(f"k: [{text}]", ReferenceLoader) == {"k": [text]}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("-0", 0),
        ("+5", 5),
        ("999999999999999999", 10**18 - 1),
        ("1.", 1.0),
        ("1.5e+3", 1500.0),
        ("true", True),
        ("FALSE", False),
        ("~", None),
        ("Null", None),
        ("", None),
        ("'1'", "1"),
        ('"yes"', "yes"),
    ],
)
def test_plain_numbers_booleans_and_nulls_are_values_and_quoted_ones_are_text(text, value):
    assert same(accepted(f"k: {text}")[0], {"k": value})


def test_keys_are_text_as_it_is_written():
    data, _ = accepted("1: a\nyes: b\nnull: c\n~: d\n010: e\n1.50: f\n2027-03-31: g\n=: h\n'<<': i\n")
    assert "".join(data) == "1yesnull~0101.502027-03-31=<<"


@pytest.mark.parametrize(
    ("text", "path", "place", "key_place"),
    [
        ("a: 1\nb:\n  c: 2", ("b", "c"), (3, 6), (3, 3)),
        ("b:\n  c: 2", ("b",), (2, 3), (1, 1)),
        ("a:\nb: 1", ("a",), (1, 3), (1, 1)),
        ("a: {b: [x, {c: 1}]}", ("a", "b", 1, "c"), (1, 16), (1, 13)),
        ("a:\n- x\n-   y", ("a", 1), (3, 5), (3, 5)),
        ("a: |\n  text\nb: x", ("a",), (1, 4), (1, 1)),
        ('"a b" :  "x"', ("a b",), (1, 10), (1, 1)),
        ("? a\n: b", ("a",), (2, 3), (1, 3)),
        ("a: 1\r\nb: 2\r\n", ("b",), (2, 4), (2, 1)),
        ("a: 1\rb: 2\r", ("b",), (2, 4), (2, 1)),
        ("a:\t1", ("a",), (1, 4), (1, 1)),
        ("{😀: 😀😀, b: 1}", ("b",), (1, 12), (1, 9)),
        ("a: &x {b: 1}\nc: *x", ("a",), (1, 4), (1, 1)),
        ("a: &x {b: 1}\nc: *x", ("c",), (2, 4), (2, 1)),
        ("a: &x {b: 1}\nc: *x", ("c", "b"), (1, 11), (1, 8)),
        ("a: &x 1\nc: [2, *x]", ("c", 1), (2, 8), (2, 8)),
        ("# c\n---\n\na: 1", ("a",), (4, 4), (4, 1)),
        ("a: 1", ("a", "x", "y"), (1, 4), (1, 4)),
        ("a: {b: 1}", ("a", "x"), (1, 4), (1, 4)),
        ("\n a: 1", (), (2, 2), (2, 2)),
    ],
)
def test_a_value_and_its_key_stand_where_they_were_written(text, path, place, key_place):
    _, mark = accepted(text)
    assert place_in(mark, path) == Place("w.yaml", *place)
    assert place_in(mark, path, key=True) == Place("w.yaml", *key_place)


@pytest.mark.parametrize(
    ("text", "name", "line", "column"),
    [
        ("a: 1\nb: 2\na: 3", "duplicate-key", 3, 1),
        ("a: {b: {c: 1, c: 1}}", "duplicate-key", 1, 15),
        ("a:\n- {b: 1, 'b': 2}", "duplicate-key", 2, 10),
        ("1: a\n'1': b", "duplicate-key", 2, 1),
        ("a: &x {b: 1}\nc:\n  <<: *x", "unsupported-yaml", 3, 3),
        ("a: !!str 1", "unsupported-yaml", 1, 4),
        ("a: !x [1]", "unsupported-yaml", 1, 4),
        ("a: ! x", "unsupported-yaml", 1, 4),
        ("a: &n !!int 1", "unsupported-yaml", 1, 4),
        ("a: !!python/object:os.system {}", "unsupported-yaml", 1, 4),
        ("!!map {a: 1}", "unsupported-yaml", 1, 1),
        ("!!str a: 1", "unsupported-yaml", 1, 1),
        ("&k a: 1", "unsupported-yaml", 1, 1),
        ("a: 1\n---\nb: 1", "unsupported-yaml", 2, 1),
        ("a: 1\n...\n---\nb: 1", "unsupported-yaml", 3, 1),
        ("a: 1\n...\nb: 1", "invalid-yaml", 3, 1),
        ("? [a]\n: 1", "unsupported-yaml", 1, 3),
        ("? {a: b}\n: 1", "unsupported-yaml", 1, 3),
        ("a: &x 1\n*x : 2", "unsupported-yaml", 2, 1),
        ("a: &x 1\nb: &x 2", "unsupported-yaml", 2, 4),
        ("a: &x\n  b: *x", "unsupported-yaml", 2, 6),
        ("a: &x [*x]", "unsupported-yaml", 1, 8),
        ("a: *x", "invalid-yaml", 1, 4),
        ("a: [*x, &x 1]", "invalid-yaml", 1, 5),
        ("a: 'x\nb: 1\n", "invalid-yaml", 3, 1),
        ("a: 1\n b: 1", "invalid-yaml", 2, 3),
        ("a:\n\tb: 1", "invalid-yaml", 2, 1),
        ("a: [1", "invalid-yaml", 1, 6),
        ("a: %x", "invalid-yaml", 1, 4),
        ('a: "\\ud800"', "invalid-yaml", 1, 7),
        ('a: "\\q"', "invalid-yaml", 1, 5),
        ("%YAML 1.1\n---\na: 1", "unsupported-yaml", 1, 1),
        ("# c\r%TAG !a! b", "unsupported-yaml", 2, 1),
        ("a: 1\n...\n" + "%TAG !a! b\n" * 100_000, "unsupported-yaml", 3, 1),
        ('a: "x\\u0000"', "control-character", 1, 4),
        ('a: "\\x1b[31m"', "control-character", 1, 4),
        ('a: {b: "\\r"}', "control-character", 1, 8),
        ('a: "\\uFEFF"', "control-character", 1, 4),
        ('a: "\\N"', "control-character", 1, 4),
        ('"\\a": 1', "control-character", 1, 1),
        ("a: 1 # \x00", "control-character", 1, 8),
        ("a: 1\n😀: x\x1b", "control-character", 2, 5),
        ("a: x\ud800", "control-character", 1, 5),
        ("a: x\x85b: 1", "control-character", 1, 5),
        ("a: x\u2028", "control-character", 1, 5),
        ("a: 1\n\ufeffb: 1", "control-character", 2, 1),
        ("a: \x7f", "control-character", 1, 4),
        ("a: \uffff", "control-character", 1, 4),
        ("", "not-a-mapping", 1, 1),
        ("# only\n# comments\n", "not-a-mapping", 1, 1),
        ("---\n", "not-a-mapping", 2, 1),
        ("\n- a", "not-a-mapping", 2, 1),
        ("just text", "not-a-mapping", 1, 1),
        ("null", "not-a-mapping", 1, 1),
        ("a: " + "[" * 33, "document-too-large", 1, 36),
        ("a: " + "[" * 100_000, "document-too-large", 1, 36),
        ("a: " + "[" * 40 + "@", "document-too-large", 1, 36),
        ("a: " + "[" * 32 + "@", "invalid-yaml", 1, 36),
        ("@", "invalid-yaml", 1, 1),
        ("a: " + "{b: " * 50_000, "document-too-large", 1, 132),
        ("a:\n" + "- " * 50_000 + "x", "document-too-large", 2, 65),
        ("".join(f"{' ' * n}k:\n" for n in range(2000)), "document-too-large", 34, 34),
        ("a: [" + ",".join(f"&n{n} x" for n in range(101)) + "]", "document-too-large", 1, 695),
        ("a: &a [" + "x," * 5000 + "]\nb: [*a, *a]", "document-too-large", 2, 9),
        ("a: [" + "x," * 1_000_000 + "]", "document-too-large", 1, 2_000_001),
    ],
)
def test_what_is_not_read_is_refused_where_it_stands(text, name, line, column):
    _, _, findings = read(text)
    assert [(finding.name, finding.place) for finding in findings] == [(name, Place("w.yaml", line, column))]


def test_a_bomb_of_aliases_is_refused_before_it_goes_off():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 30)]
    _, _, findings = read("\n".join(lines))
    assert [(finding.name, finding.place.line) for finding in findings] == [("document-too-large", 4)]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("k: " + "1" * (LARGEST_FILE_BYTES - 10) + "x", None),
        ("k: " + "-" * 500_000, None),
        ("k: |\n" + "\n" * 500_000, None),
        ("k: " + "1_" * 500_000, "ambiguous-scalar"),
        ("k: 1" + ":5" * 500_000, "ambiguous-scalar"),
        ("k: " + "9" * 500_000 + ".0", "ambiguous-scalar"),
        ("k: '" + "\n" * 500_000, "invalid-yaml"),
        ("k: [" + "'a'" * 100_000, "invalid-yaml"),
        ("!" * 500_000, "unsupported-yaml"),
        ("&a" * 500_000, "invalid-yaml"),
        ("#" * 500_000, "not-a-mapping"),
        ("\\" * 500_000, "not-a-mapping"),
        ("? " * 500_000, "unsupported-yaml"),
        ("%" * 500_000, "unsupported-yaml"),
        ("---\n" * 500_000, "unsupported-yaml"),
    ],
    ids=range(15),
)
def test_a_long_run_of_one_thing_ends_with_one_answer(text, name):
    _, _, findings = read(text)
    assert [finding.name for finding in findings] == ([name] if name else [])


def test_thirty_two_levels_and_a_hundred_anchors_are_allowed():
    data, _ = accepted("a: " + "[" * 32 + "]" * 32)
    assert str(data["a"]).count("[") == 32
    assert len(accepted("a: [" + ",".join(f"&n{n} x" for n in range(100)) + "]")[0]["a"]) == 100


def test_everything_that_can_be_stepped_over_is_reported_in_one_run():
    _, _, findings = read('a: 010\nb: {c: 1, c: 2}\nd: "\\0"\ne: 1_0\n')
    assert [(finding.name, finding.place.line) for finding in findings] == [
        ("ambiguous-scalar", 1),
        ("duplicate-key", 2),
        ("control-character", 3),
        ("ambiguous-scalar", 4),
    ]


def test_a_file_full_of_problems_is_not_read_to_the_end():
    _, _, findings = read("a: [" + "010, " * 5000 + "]")
    assert len(findings) == 1000


def test_a_duplicate_key_shows_the_first_one():
    _, _, findings = read("a: 1\nb: 2\na: 3")
    assert [related.place for related in findings[0].related] == [Place("w.yaml", 1, 1)]


def test_an_open_quote_shows_where_it_was_opened():
    _, _, findings = read("a: 1\nb: 'x\nc: 1\n")
    assert [related.place for related in findings[0].related] == [Place("w.yaml", 2, 4)]


@pytest.mark.parametrize(
    "text",
    [
        "u: *hunter2",
        "u: !hunter2 x",
        "u: !hunter2! x",
        "u: @hunter2",
        "u: `hunter2`",
        "u: %hunter2",
        "%hunter2\n---\n",
        "u: &hunter2 x\nv: &hunter2 y",
        "u: 'hunter2",
        "u: hunter2: x",
        "- hunter2",
        "hunter2",
        "u: &hunter2 [*hunter2]",
        'u: "hunter2\\0"',
        "u: hunter2\x00",
        "u: hunter2\nu: hunter2",
        '"u": "hunter2" "',
        "u: [hunter2",
        "u: *hunter2\nv: [<<]",
        "u: {hunter2]",
        "u: |hunter2",
        "u: >-hunter2",
        "u:\n\thunter2: x",
    ],
)
def test_a_finding_never_repeats_a_value_that_may_be_secret(text):
    _, _, findings = read(text)
    assert findings
    assert "hunter2" not in repr(findings)


def test_a_long_number_is_not_repeated_either():
    _, _, findings = read(f"key: 0x{'ab' * 32}\nother: {'12' * 20}")
    assert [finding.message for finding in findings] == [
        "YAML readers disagree about what a number of 66 characters is",
        "an integer of 40 digits is too large for some YAML readers",
    ]
