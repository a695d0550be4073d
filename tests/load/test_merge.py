"""Several files and an environment to one document."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policycompiler.diagnostics import Place, Severity
from policycompiler.load import load, place_in


@pytest.fixture
def merge(tmp_path, monkeypatch):
    """Merge texts as files a.yaml, b.yaml, …; what they hold and what was found."""
    monkeypatch.chdir(tmp_path)

    def merge(*texts, environment=None):
        paths = [Path(f"{name}.yaml") for name in "abcdefgh"[: len(texts)]]
        for path, text in zip(paths, texts, strict=True):
            path.write_text(text)
        return load(paths, environment)

    return merge


def places(findings):
    return [
        (finding.name, finding.place[:3], [tuple(one.place) for one in finding.related])
        for finding in findings
    ]


def test_sections_merge_across_files_and_places_lead_into_each(merge):
    document, findings = merge(
        "version: 1\nbroker: {transport: redis}\ntasks:\n  t.one: {work: io}\n",
        "version: 1\nbroker:\n  options: {x: 1}\ntasks:\n  t.two: {work: cpu}\nwaivers: [{finding: x}]\n",
        "broker: {options: {y: 2}}\nwaivers:\n- finding: y\n",
    )
    assert findings == []
    assert document.data == {
        "version": 1,
        "broker": {"transport": "redis", "options": {"x": 1, "y": 2}},
        "tasks": {"t.one": {"work": "io"}, "t.two": {"work": "cpu"}},
        "waivers": [{"finding": "x"}, {"finding": "y"}],
    }
    assert document.place(("tasks", "t.two", "work")) == Place("b.yaml", 5, 17)
    assert document.place(("tasks", "t.two"), key=True) == Place("b.yaml", 5, 3)
    assert document.place(("broker", "options", "y")) == Place("c.yaml", 1, 23)
    assert document.place(("waivers", 1, "finding")) == Place("c.yaml", 3, 12)
    assert document.place(("tasks", "t.three", "work")) == Place("a.yaml", 4, 3)
    assert document.texts["c.yaml"].startswith("broker")


@pytest.mark.parametrize("section", ["tasks", "queues", "workers", "schedules", "hosts"])
def test_a_name_declared_in_two_files_is_refused_and_both_places_are_shown(merge, section):
    _, findings = merge(f"{section}:\n  x: {{a: 1}}\n", "version: 1\n", f"{section}: {{x: {{a: 1}}}}\n")
    assert places(findings) == [("declared-twice", ("c.yaml", 1, len(section) + 4), [("a.yaml", 2, 3)])]


def test_a_scalar_with_two_values_is_refused_and_both_places_are_shown(merge):
    _, findings = merge(
        "service: shop\nbroker: {version: '7'}", "broker:\n  version: 7\nservice: cart", "service: shop"
    )
    assert places(findings) == [
        ("declared-twice", ("b.yaml", 3, 10), [("a.yaml", 1, 1)]),
        ("declared-twice", ("b.yaml", 2, 12), [("a.yaml", 2, 10)]),
    ]
    assert "cart" not in repr([finding.message for finding in findings])


@pytest.mark.parametrize(
    ("one", "other"),
    [("1", "true"), ("0", "false"), ("1", "1.0"), ("[1]", "[true]"), ("[a]", "{a: 1}"), ("x", "[x]")],
)
def test_values_of_two_kinds_are_different_values(merge, one, other):
    assert [finding.name for finding in merge(f"a: {{b: {one}}}", f"a: {{b: {other}}}")[1]] == [
        "declared-twice"
    ]
    assert [finding.name for finding in merge(f"a: {{b: {other}}}", f"a: {{b: {one}}}")[1]] == [
        "declared-twice"
    ]


def test_a_section_with_nothing_in_it_says_nothing(merge):
    for texts in (("tasks:\nbeat:", "tasks: {t: {}}"), ("tasks: {t: {}}", "tasks:\nbeat:")):
        document, findings = merge(*texts)
        assert findings == []
        assert document.data == {"tasks": {"t": {}}, "beat": None}


def test_a_task_with_nothing_but_a_name_is_an_empty_mapping(merge):
    document, findings = merge("tasks:\n  t.one:\n  t.two: {}\nqueues: {q: }")
    assert findings == []
    assert document.data == {"tasks": {"t.one": {}, "t.two": {}}, "queues": {"q": {}}}
    assert document.place(("tasks", "t.one"), key=True) == Place("a.yaml", 2, 3)


def test_owner_and_defaults_hold_for_their_own_file_only(merge):
    document, findings = merge(
        "owner: one\ndefaults: {work: io, retry: none}\ntasks:\n  a: {work: cpu, retry: }\n  b:\n"
        "schedules: {s: {task: a}}\n",
        "owner: two\ntasks: {c: {owner: own}, d: }\nqueues: {q: {}}\n"
        "schedules: {r: {owner: own}, u: {task: d}}\n",
        "tasks: {e: }\n",
    )
    assert findings == []
    assert document.data == {
        "tasks": {
            "a": {"owner": "one", "work": "cpu", "retry": None},
            "b": {"owner": "one", "work": "io", "retry": "none"},
            "c": {"owner": "own"},
            "d": {"owner": "two"},
            "e": {},
        },
        "schedules": {
            "s": {"task": "a", "owner": "one"},
            "r": {"owner": "own"},
            "u": {"task": "d", "owner": "two"},
        },
        "queues": {"q": {}},
    }
    assert document.place(("tasks", "b", "work")) == Place("a.yaml", 2, 18)
    assert document.place(("tasks", "b", "owner"), key=True) == Place("a.yaml", 1, 1)
    assert document.place(("tasks", "d", "owner")) == Place("b.yaml", 1, 8)


def test_a_default_replaces_nothing_inside_a_field_and_outranks_the_owner_of_the_file(merge):
    document, _ = merge(
        "owner: file\ndefaults: {owner: d, runtime: {p50: 1s}}\ntasks: {a: {runtime: {p99: 2s}}}"
    )
    assert document.data == {"tasks": {"a": {"owner": "d", "runtime": {"p99": "2s"}}}}


def test_defaults_without_a_task_are_mentioned(merge):
    _, findings = merge("defaults: {work: io}", "tasks: {a: }")
    assert places(findings) == [("unused-defaults", ("a.yaml", 1, 1), [])]
    assert findings[0].severity is Severity.INFO


@pytest.mark.parametrize("odd", ["[]", "text", "5", "null", "{}"])
def test_sections_of_the_wrong_form_are_left_for_the_model_to_refuse(merge, odd):
    text = "\n".join(f"{key}: {odd}" for key in ("owner", "defaults", "environments", "schedules"))
    document, _ = merge(f"{text}\ntasks: {{a: {odd}}}", environment=None)
    raw, mark = document.per_file[0]
    assert set(raw) == {"owner", "defaults", "environments", "schedules", "tasks"}
    assert place_in(mark, ("environments",), key=True) == Place("a.yaml", 3, 1)
    assert set(document.data) == {"schedules", "tasks"}


def test_each_file_keeps_what_was_written_in_it(merge):
    document, _ = merge(
        "owner: one\ndefaults: {work: io}\ntasks: {a: }", "owner: two\nenvironments:\n  e: {owner: three}\n"
    )
    assert [data for data, _ in document.per_file] == [
        {"owner": "one", "defaults": {"work": "io"}, "tasks": {"a": None}},
        {"owner": "two", "environments": {"e": {"owner": "three"}}},
    ]
    assert place_in(document.per_file[1][1], ("environments", "e", "owner")) == Place("b.yaml", 3, 14)
    assert set(document.data) == {"tasks"}


@pytest.mark.parametrize("overlay_first", [True, False])
def test_an_overlay_in_another_file_is_told_to_move_and_not_to_go(merge, overlay_first):
    base = "broker: {url: a}\nworkers: {w: {concurrency: 2}}\n"
    overlay = "environments:\n  prod:\n    broker: {url: b}\n    workers: {w: {concurrency: 8}}\n"
    texts = (overlay, base) if overlay_first else (base, overlay)
    _, findings = merge(*texts, environment="prod")
    assert [each.name for each in findings] == ["declared-twice"] * 2
    told = "an overlay of `environments` changes only its own file"
    assert {each.help for each in findings} == {f"move the overlay to the file that declares this: {told}"}
    _, plain = merge("workers: {w: }\nenvironments: {prod: {workers: {v: }}}\n", "workers: {w: , v: }")
    assert [each.help for each in plain] == ["keep one declaration"]


def test_two_tasks_with_one_anchored_mapping_do_not_share_what_is_added(merge):
    document, findings = merge(
        "owner: o\ntasks:\n  a: &t {work: io}\n  b: *t\n  c: &u\n  d: *u\nworkers: {w: *t}\n"
        "environments: {e: {tasks: {a: {memory: 1MB}}}}",
        environment="e",
    )
    assert findings == []
    assert document.data == {
        "tasks": {
            "a": {"work": "io", "memory": "1MB", "owner": "o"},
            "b": {"work": "io", "owner": "o"},
            "c": {"owner": "o"},
            "d": {"owner": "o"},
        },
        "workers": {"w": {"work": "io"}},
    }
    assert document.place(("tasks", "b", "memory")) == Place("a.yaml", 4, 6)


# Target, patch, result: the cases of RFC 7386, appendix A, each below a key since a file is a mapping.
RFC_7386 = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"a": "foo"}, "bar", "bar"),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]


@pytest.mark.parametrize(("target", "patch", "result"), RFC_7386)
def test_an_environment_is_a_json_merge_patch(merge, target, patch, result):
    text = json.dumps({"k": target, "environments": {"e": {"k": patch}}})
    document, findings = merge(text, environment="e")
    assert findings == []
    assert document.data == {"k": result}
    assert merge(text)[0].data == {"k": target}


def test_an_environment_takes_away_what_it_gives_null(merge):
    document, _ = merge("k: {a: 1}\nj: 1\nenvironments: {e: {k: null}}", environment="e")
    assert document.data == {"j": 1}


def test_a_value_from_an_environment_stands_in_the_patch(merge):
    document, findings = merge(
        "tasks:\n  a: {rate: 5/s, work: io}\n"
        "environments:\n  e:\n    tasks:\n      a: {rate: 1/s}\n      b: {work: cpu}\n",
        environment="e",
    )
    assert findings == []
    assert document.data["tasks"] == {"a": {"rate": "1/s", "work": "io"}, "b": {"work": "cpu"}}
    assert document.place(("tasks", "a", "rate")) == Place("a.yaml", 6, 17)
    assert document.place(("tasks", "a", "work")) == Place("a.yaml", 2, 24)
    assert document.place(("tasks", "a"), key=True) == Place("a.yaml", 2, 3)
    assert document.place(("tasks", "b"), key=True) == Place("a.yaml", 7, 7)
    raw, mark = document.per_file[0]
    assert raw["tasks"] == document.data["tasks"]
    assert place_in(mark, ("tasks", "a", "rate")) == Place("a.yaml", 6, 17)


def test_an_environment_changes_its_own_file_before_owner_and_defaults_are_given(merge):
    document, findings = merge(
        "owner: one\ntasks: {a: }\nenvironments: {e: {owner: two, defaults: {work: io}}, f: {}}",
        "owner: three\ntasks: {b: }\nenvironments: {e: }",
        "tasks: {c: }",
        environment="e",
    )
    assert findings == []
    assert document.data == {"tasks": {"a": {"owner": "two", "work": "io"}, "b": {"owner": "three"}, "c": {}}}


def test_an_unknown_environment_lists_those_there_are(merge):
    _, findings = merge(
        "a: 1", "environments: {test: {}, staging: {}}", "environments: {prod: }", environment="stagin"
    )
    assert [finding.message for finding in findings] == [
        "no file has an environment `stagin`; known environments: prod, staging, test"
    ]
    assert places(findings) == [("unknown-environment", ("b.yaml", 1, 1), [])]
    _, findings = merge("a: 1", "environments: [x]", environment="x")
    assert [finding.message for finding in findings] == [
        "no file has an environment `x`; known environments: none"
    ]


def test_an_environment_is_not_called_unknown_while_a_file_cannot_be_read(merge):
    _, findings = merge("a: 1", "environments: {e: [}", environment="e")
    assert [finding.name for finding in findings] == ["invalid-yaml"]
    _, findings = merge("a: 010", environment="e")
    assert [finding.name for finding in findings] == ["ambiguous-scalar", "unknown-environment"]


def test_nothing_merges_to_an_empty_document():
    document, findings = load([])
    assert findings == []
    assert (document.data, document.texts, document.per_file) == ({}, {}, ())
    assert document.place(("tasks",)) == Place("", 1, 1)
    assert [finding.name for finding in load([], "e")[1]] == ["unknown-environment"]


_scalars = st.sampled_from((1, 2, True, "x", None, [1], [True]))
_entries = st.dictionaries(st.sampled_from(("owner", "work", "x")), _scalars, max_size=2) | st.none()
_named = st.dictionaries(st.sampled_from("abcdef"), _entries, max_size=3)
_settings = st.dictionaries(
    st.sampled_from("pq"), _scalars | st.dictionaries(st.sampled_from("rs"), _scalars), max_size=2
)
_files = st.fixed_dictionaries(
    {},
    optional={
        "version": st.sampled_from((1, 2)),
        "owner": st.sampled_from(("one", "two")),
        "defaults": st.dictionaries(st.sampled_from(("work", "y")), _scalars, min_size=1),
        "tasks": _named | st.none(),
        "schedules": _named,
        "broker": _settings,
        "celery": _settings,
    },
)


@settings(derandomize=True, deadline=None, max_examples=500)
@given(files=st.lists(_files, min_size=1, max_size=4), choices=st.randoms(use_true_random=False))
def test_the_order_of_files_and_keys_changes_nothing(tmp_path_factory, files, choices):
    def shuffled(value):
        if not isinstance(value, dict):
            return value
        items = [(key, shuffled(inner)) for key, inner in value.items()]
        choices.shuffle(items)
        return dict(items)

    def merged(contents):
        for path, content in zip(paths, contents, strict=True):
            path.write_text(json.dumps(content))
        document, findings = load(paths)
        assert [data for data, _ in document.per_file] == contents
        errors = sorted({(one.name, one.message) for one in findings})
        return errors, None if any(one.severity is Severity.ERROR for one in findings) else document.data

    folder = tmp_path_factory.getbasetemp()
    paths = [folder / f"order{index}.yaml" for index in range(len(files))]
    other = [shuffled(content) for content in copy.deepcopy(files)]
    choices.shuffle(other)
    first_errors, first = merged(files)
    second_errors, second = merged(other)
    assert first_errors == second_errors
    assert json.dumps(first, sort_keys=True) == json.dumps(second, sort_keys=True)
