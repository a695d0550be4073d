"""Files of process managers with unusual forms, wrong types and names, and files that are no files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from policycompiler.reality import commands, measured
from policycompiler.reality.commands.today import workers_of

POD = "kind: Deployment\nmetadata: {name: w}\nspec:\n  replicas: %s\n  template: %s\n"


def read(folder: Path, name: str, text: str) -> tuple[dict[str, object], str]:
    """The settings of workers by their last words, and all lines about what is left out."""
    (folder / name).write_text(text, encoding="utf-8")
    found = commands.read([folder / name], root=folder)
    workers = workers_of(found.commands, ["all"])
    left = [*found.unread, *workers.unsayable]
    values = {each.address.partition("/")[2]: each.value for each in workers.settings}
    return values, "\n".join(" ".join(each) for each in left)


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("k.yaml", "[" * 50_000, "nested too deeply"),
        ("k.yaml", "".join(f"{' ' * depth}a:\n" for depth in range(3_000)), "nested too deeply"),
        ("k.yaml", "kind: Deployment\nspec: {template: 5}\n", "Deployment/deployment it has no list of containers"),
        ("k.yaml", POD % (1, "{spec: {containers: [3]}}"), ""),
        ("k.yaml", POD % (1, "{spec: {containers: [{command: {celery: 1}}]}}"), "not a list of texts"),
        ("k.yaml", POD % (".inf", "{spec: {containers: [{command: [celery, worker]}]}}"), "`replicas`"),
        ("k.yaml", "kind: [Deployment]\nitems: 5\n", ""),
        ("k.yaml", "services: {a: {command: [celery, [worker]], environment: 5, deploy: 3}}\n", "not a list of texts"),
        ("k.yaml", "services: {a: {command: celery worker, stop_grace_period: xx}}\n", "`stop_grace_period`"),
        ("k.yaml", "services: {a: {command: celery worker, deploy: {replicas: [1]}}}\n", "`replicas`"),
        ("k.yaml", "when: 2024-99-99\ncommand: celery worker\n", "not YAML"),
        ("k.yaml", "command: celery worker\nreplicas: !!int\n", "not YAML"),
        ("Dockerfile", 'CMD ["celery", \n', "not a list of texts"),
        ("s.conf", "[program:w]\ncommand=celery worker\nnumprocs=abc\n", "`numprocs`"),
        ("s.conf", "[program:w]\ncommand=celery worker -n %(ENV_FOO)s\n", "`--hostname`"),
        ("s.conf", "[program:w]\nkey\n  continued\ncommand=celery worker\n", "not a supervisor configuration"),
        ("w.service", "[Service]\nExecStart=celery worker\nTimeoutStopSec=infinity\n", "`TimeoutStopSec`"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_a_line_in_the_report(tmp_path, name, text, told):
    assert told in read(tmp_path, name, text)[1]


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("ExecStart=celery worker \\\n# a comment\n  -Q a\n", {"queues": ["a"]}),
        ("ExecStart=celery worker -Q a\nExecStart=\nExecStart=celery worker -Q b\n", {"queues": ["b"]}),
        ("ExecStart=@/v/celery shown worker -Q a\n", {"queues": ["a"]}),
        ("ExecStart=celery worker -Q a\nTimeoutSec=70\n", {"queues": ["a"], "stop_timeout_seconds": 70}),
        ("ExecStart=celery worker -Q a\nTimeoutStopSec=infinity\n", {"queues": ["a"]}),
        ("Environment=O='-c 2 -Q aq'\nExecStart=celery worker $O\n", {"queues": ["aq"], "concurrency": 2}),
        ("Environment=O=-Q\\ a\nEnvironment=\nExecStart=celery worker -c $O\n", {"queues": ["all"], "concurrency": "${O}"}),
    ],
)  # fmt: skip
def test_systemd_reads_units_so(tmp_path, unit, expected):
    assert read(tmp_path, "w.service", f"[Service]\n{unit}")[0] == expected


def test_a_procfile_is_known_by_what_it_says(tmp_path):
    found, told = read(tmp_path, "P2", "# processes\none: celery -A w worker\n\nweb: gunicorn w\n")
    assert found == {"queues": ["all"], "app": "w"}
    assert not told
    (worker,) = commands.read([tmp_path / "P2"], root=tmp_path).commands
    assert worker.name == "one"


def test_a_file_that_is_not_regular_is_not_read(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, tmp_path):
        (unread,) = commands.read([path], root=tmp_path).unread
        assert unread.why == "not a regular file"
        with pytest.raises(measured.MeasuredError, match="not a regular file"):
            list(measured.settings([path]))


@pytest.mark.parametrize(
    "series",
    [
        '{"metric": {"name": "a", "le": "x"}, "value": [0, "1"]}',
        '{"metric": {"name": "a", "le": "nan"}, "value": [0, "1"]}',
        '{"metric": {"name": ["a"]}, "value": [0, "1"]}',
        '{"metric": "name", "value": [0, "1"]}',
        '{"metric": {"name": "a"}, "value": [0, Infinity]}',
        '{"metric": {"name": "a"}, "value": [0, 1%s]}' % ("0" * 400),
    ],
)
def test_a_wrong_series_of_prometheus_says_nothing(tmp_path, series):
    good = '{"metric": {"name": "b"}, "value": [0, "2"]}'
    path = tmp_path / "rates.json"
    result = f"[{series}, {good}]"
    path.write_text(f'{{"data": {{"resultType": "vector", "result": {result}}}}}', encoding="utf-8")
    (setting,) = measured.settings([path])
    assert (setting.address, setting.value) == ("task:b/rate_mean_per_second", 2)


PARTS = st.lists(
    st.sampled_from(
        ["celery", "worker", "beat", "multi", "start", "-Q", "-c", "-A", "sh -c", "-c", "'", '"', "$(", ")", "`", "${", "}", ":-", "<<E", "E", "\\\n", "\n", ";", "&", "=", "A=", "env", "[", "]", "{", "}", ": ", "- ", "services:", "kind: Pod", "spec:", "containers:", "command:", "ExecStart=", "Environment=", "[program:a]", "command=", "%(", "CMD [", "a", "²", "\x00", "#", " "]
    ),
    max_size=25,
)  # fmt: skip
NAMES = st.sampled_from(["a.sh", "a.yaml", "a.service", "a.conf", "Procfile", "Dockerfile", "P2"])


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(NAMES, PARTS, st.sampled_from(["", " "]))
def test_no_text_is_a_traceback(tmp_path, name, parts, between):
    read(tmp_path, name, between.join(parts))
