"""The Celery that runs is one that the policies know."""

from __future__ import annotations

import pytest
from workloads import Found, after

from policycompiler.policies.written import known_celery

REFUSES = {
    "older than the oldest known": (
        "celery: {version: '5.2'}",
        [
            Found(
                "unknown-celery-version",
                "1:19",
                "Celery 5.2 is older than 5.3, the oldest version that the policies know",
                "run Celery 5.3 or newer",
            ),
        ],
    ),
    "much older": (
        "celery: {version: '4.4.7'}",
        [
            Found(
                "unknown-celery-version",
                "1:19",
                "Celery 4.4.7 is older than 5.3, the oldest version that the policies know",
                "run Celery 5.3 or newer",
            ),
        ],
    ),
    "no minor number": (
        "celery: {version: '5'}",
        [
            Found(
                "unknown-celery-version",
                "1:19",
                "`5` does not name a minor version of Celery, and minor versions differ",
                'write the minor version too, such as "5.7"',
            ),
        ],
    ),
    "newer than the newest known": (
        "celery: {version: '6.0'}",
        [
            Found(
                "celery-newer-than-known",
                "1:19",
                ("Celery 6.0 is newer than 5.7, the newest known version: the output is made for Celery 5.7"),
                "read the change log of Celery 6.0, or use a newer policycompiler",
            ),
        ],
    ),
    "the next one": (
        "celery: {version: '5.8'}",
        [
            Found(
                "celery-newer-than-known",
                "1:19",
                ("Celery 5.8 is newer than 5.7, the newest known version: the output is made for Celery 5.7"),
                "read the change log of Celery 5.8, or use a newer policycompiler",
            ),
        ],
    ),
}
ACCEPTS = {
    "none is named": "tasks: {}",
    "the oldest": "celery: {version: '5.3'}",
    "a patch of the newest": "celery: {version: '5.7.12'}",
    "two digits": "celery: {version: '5.4.0'}",
}


@pytest.mark.parametrize(("fragment", "findings"), REFUSES.values(), ids=REFUSES)
def test_it_refuses(fragment, findings):
    assert after(known_celery, fragment).findings == findings


@pytest.mark.parametrize("fragment", ACCEPTS.values(), ids=ACCEPTS)
def test_it_accepts(fragment):
    assert after(known_celery, fragment).findings == []
