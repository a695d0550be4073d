"""What is tried again no more, or less often, is lost."""

from __future__ import annotations

import pytest
from review_of import at, reviewed

from policycompiler.review import Class


def task(pinned: str) -> str:
    return f"tasks: {{shop.a: {{queue: q, idempotent: true, options: {{{pinned}}}}}}}\n"


def on(*names: str) -> str:
    return f"autoretry_for: [{', '.join(names)}], max_retries: 3"


EXCEPTIONS = {
    "one less": (on("ConnectionError", "TimeoutError"), on("ConnectionError"), Class.LOSSY),
    "none": (on("ConnectionError"), "max_retries: 3", Class.LOSSY),
    "one more": (on("ConnectionError"), on("ConnectionError", "TimeoutError"), Class.SAFE),
    "a wider one": (on("ConnectionError", "TimeoutError"), on("OSError"), Class.SAFE),
    "a narrower one": (on("OSError"), on("ConnectionError", "TimeoutError"), Class.LOSSY),
    "the same by another name": (on("IOError"), on("OSError"), Class.SAFE),
    "one of its own, by all": (on("shop.errors.Busy"), on("Exception"), Class.SAFE),
    "one of its own, by another": (on("shop.errors.Busy"), on("OSError"), Class.LOSSY),
    "another order": (on("KeyError", "OSError"), on("OSError", "KeyError"), Class.SAFE),
}


@pytest.mark.parametrize("case", EXCEPTIONS)
def test_an_exception_that_is_not_tried_again_any_more(case):
    old, new, risk = EXCEPTIONS[case]
    change = at(reviewed(task(old), task(new)), "task:shop.a/options.autoretry_for")
    assert change.risk is risk


def test_the_exceptions_that_are_lost_are_named_and_no_others():
    found = reviewed(task(on("ConnectionError", "KeyError", "TimeoutError")), task(on("ConnectionError")))
    because = at(found, "task:shop.a/options.autoretry_for").because
    assert "KeyError, TimeoutError" in because
    assert "ConnectionError" not in because


@pytest.mark.parametrize(("old", "new", "risk"), [("", "KeyError", "lossy"), ("KeyError", "", "safe")])
def test_what_is_excepted_from_retries(old, new, risk):
    texts = [
        task(on("Exception") + (f", dont_autoretry_for: [{each}]" if each else "")) for each in (old, new)
    ]
    assert at(reviewed(*texts), "task:shop.a/options.dont_autoretry_for").risk == risk


@pytest.mark.parametrize(("most", "risk"), [(0, "lossy"), (1, "lossy"), (3, "safe"), (5, "safe")])
def test_a_task_that_says_nothing_is_tried_again_as_often_as_celery_does(most, risk):
    change = at(reviewed(task(""), task(f"max_retries: {most}")), "task:shop.a/options.max_retries")
    assert change.risk == risk


def test_what_the_code_itself_retries_is_said_so():
    change = at(reviewed(task(""), task("max_retries: 1")), "task:shop.a/options.max_retries")
    assert "3 times by Celery's default" in change.because
    assert change.because.endswith("at most 1 retry")


COUNTS = [(5, 3, "lossy"), (5, 0, "lossy"), (3, 5, "safe"), (0, 5, "safe")]


@pytest.mark.parametrize(("old", "new", "risk"), COUNTS)
def test_how_often_it_is_tried_again(old, new, risk):
    texts = [task(f"autoretry_for: [OSError], max_retries: {each}") for each in (old, new)]
    assert at(reviewed(*texts), "task:shop.a/options.max_retries").risk == risk


def test_the_first_retries_that_a_workload_asks_for_are_no_loss():
    head = "tasks: {shop.a: {queue: q, idempotent: true"
    old, new = (f"{head}{more}}}}}\n" for more in ("", FIRST))
    change = at(reviewed(old, new), "task:shop.a/options.max_retries")
    assert change.risk is Class.SAFE
    assert change.because.endswith("retries by the task's own code happen at most once")


FIRST = ", retry: {on: [OSError], max: 1}"
