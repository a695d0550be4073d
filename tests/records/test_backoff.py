"""The longest wait is the one that Celery itself comes to."""

from __future__ import annotations

import pytest
from celery.utils.time import get_exponential_backoff_interval

from policycompiler.knowledge.backoff import longest_wait_seconds


@pytest.mark.parametrize("first", [1, 2, 60])
@pytest.mark.parametrize("longest", [1, 30, 600])
@pytest.mark.parametrize("retries", [1, 3, 12])
def test_it_is_that_of_the_last_retry(first, longest, retries):
    waits = [
        get_exponential_backoff_interval(factor=first, retries=retry, maximum=longest, full_jitter=False)
        for retry in range(retries)
    ]
    assert longest_wait_seconds(longest, first, retries) == max(waits)


def test_without_an_end_or_a_first_wait_it_is_the_longest():
    assert longest_wait_seconds(600, 1, None) == 600
    assert longest_wait_seconds(600, None, 3) == 600
    assert longest_wait_seconds(600, 1, 100_000) == 600
