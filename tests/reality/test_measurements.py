"""Answers of Prometheus and Flower as rates and runs of tasks, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import pytest

from policycompiler.reality.measured import MeasuredError
from policycompiler.reality.measurements import Measured, measurements


def vector(*series: tuple[dict[str, str], object]) -> dict[str, Any]:
    result = [{"metric": labels, "value": [1785024000, value]} for labels, value in series]
    return {"status": "success", "data": {"resultType": "vector", "result": result}}


def matrix(*series: tuple[dict[str, str], list[object]]) -> dict[str, Any]:
    result = [{"metric": labels, "values": [[0, value] for value in values]} for labels, values in series]
    return {"status": "success", "data": {"resultType": "matrix", "result": result}}


@pytest.mark.parametrize("label", ["name", "task"])
def test_one_answer_has_rates_and_runs(label: str):
    found = measurements(
        [
            vector(
                ({label: "shop.a", "rate": "mean"}, "2"),
                ({label: "shop.a", "rate": "peak"}, "7.5"),
                ({label: "shop.a", "le": "0.5"}, "30"),
                ({label: "shop.a", "le": "+Inf"}, "40"),
            )
        ]
    )
    assert [*found] == ["shop.a"]
    assert (found["shop.a"].mean, found["shop.a"].peak) == (2, 7.5)
    assert found["shop.a"].runs == ((0.5, math.inf), (30, 40))


def test_rates_without_a_label_are_the_mean_and_the_peak():
    found = measurements([vector(({"name": "a"}, "4")), vector(({"name": "a"}, "0.5"), ({"name": "b"}, "1"))])
    assert found == {"a": Measured(0.5, 4, None), "b": Measured(1, None, None)}


def test_series_of_several_queues_add_up():
    found = measurements(
        [vector(({"name": "a", "queue_name": "x"}, "1"), ({"name": "a", "queue_name": "y"}, "2"))]
    )
    assert found["a"].mean == 3


def test_a_matrix_has_the_mean_and_the_peak():
    found = measurements([matrix(({"name": "a"}, ["1", "NaN", "5"]))])
    assert found == {"a": Measured(3, 5, None)}


def test_numbers_that_are_none_do_not_count():
    odd = [({"name": name}, value) for name, value in (("a", "NaN"), ("b", "+Inf"), ("c", "-1"))]
    assert measurements([vector(*odd, ({"name": "d"}, "1"))]) == {"d": Measured(1, None, None)}
    assert measurements([vector()]) == {}


def test_flower_has_single_runs():
    runs = {str(number): {"name": "a", "runtime": number / 10} for number in range(1, 101)}
    found = measurements(
        [{**runs, "failed": {"name": "a", "runtime": None}, "odd": {"name": "a", "runtime": True}}]
    )
    assert found["a"].runs is not None
    assert found["a"].runs.total == 100
    half = found["a"].runs.quantile(0.5)
    assert half is not None
    assert half.seconds == pytest.approx(5)


@pytest.mark.parametrize(
    ("document", "told"),
    [
        (
            {"status": "error", "errorType": "bad_data", "error": "parse error at 3"},
            "bad_data: parse error at 3",
        ),
        ({"data": {"resultType": "scalar", "result": [0, "1"]}}, "the answer is a scalar, not a vector"),
        ({"data": {"resultType": "string", "result": [0, "x"]}}, "the answer is a string"),
        ({"data": {"resultType": "vector", "result": {}}}, "not a vector or a matrix"),
        ({"data": {"resultType": "vector", "result": [1]}}, "has no labels"),
        (vector(({"job": "x"}, "1")), "has no label name or task"),
        (vector(({"name": "a", "__name__": "celery_task_sent_total"}, "1")), "is a counter"),
        (vector(({"name": "a"}, "many")), "a value of a is not a number"),
        (vector(({"name": "a"}, None)), "a value of a is not a number"),
        (vector(({"name": "a", "le": "x"}, "1")), "le='x'"),
        (vector(({"name": "a", "le": "0"}, "1")), "is not a number of seconds"),
        (vector(({"name": "a", "rate": "max"}, "1")), "neither `mean` nor `peak`"),
        (matrix(({"name": "a", "le": "1"}, ["1", "2"])), "the buckets of a have several values"),
        ([], "neither an answer of Prometheus"),
        (3, "neither an answer of Prometheus"),
        ({}, "neither an answer of Prometheus"),
        (None, "neither an answer of Prometheus"),
        ({"a": 1}, "neither an answer of Prometheus"),
    ],
)
def test_what_is_refused(document: object, told: str):
    with pytest.raises(MeasuredError) as problem:
        measurements([document])
    assert told in str(problem.value)
