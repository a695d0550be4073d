"""The vocabulary: every key that may be decided, and no other."""

from __future__ import annotations

import pytest

from policycompiler.plan import vocabulary
from policycompiler.plan.vocabulary import ChangeKind, Reader


def test_a_key_is_declared_once():
    keys = [(key.scope, key.name) for scope in vocabulary.SCOPES for key in vocabulary.declared(scope)]
    assert len(keys) == len(set(keys))
    assert {scope for scope, _ in keys} == set(vocabulary.SCOPES)


def test_each_setting_that_celery_has_is_a_key_of_the_app_and_emitted():
    from celery.app.defaults import SETTING_KEYS  # noqa: PLC0415 - only this test needs it

    keys = {name: vocabulary.find("app", name) for name in SETTING_KEYS}
    assert [name for name, key in keys.items() if key is None] == []
    # The kind of broker: its URL says it to Celery.
    assert [name for name, key in keys.items() if key and not key.celerys] == ["broker_transport"]


@pytest.mark.parametrize(
    ("scope", "name"),
    [
        *(("app", "ownr"), ("app", "pod_namespace"), ("app", "options.acks_late"), ("task", "options.")),
        *(("task", "broker_url"), ("queue", "options.expires"), ("host", "disk_bytes"), ("beat", "")),
    ],
)
def test_no_other_is_known(scope, name):
    assert vocabulary.find(scope, name) is None


def test_a_key_below_a_prefix_is_known_by_it():
    key = vocabulary.find("task", "options.resultrepr_maxsize")
    assert key is not None
    assert (key.name, key.celerys, key.readers) == ("options.", True, {Reader.ANNOTATION})


def test_no_declaration_says_that_nothing_is_known_of_it():
    keys = [key for scope in vocabulary.SCOPES for key in vocabulary.declared(scope)]
    assert [key for key in keys if key.change is ChangeKind.UNKNOWN or not key.readers or not key.says] == []
