"""What is large is compressed, and not sent at all if it is too large."""

from __future__ import annotations

import pytest
from workloads import Found, after

from policycompiler.policies.delivery import message_size

ELSEWHERE = "store the data elsewhere and send its key, or correct `payload` if it is smaller"
DECIDES = {
    "large": ("tasks: {shop.a: {payload: 100KiB}}", "its messages have up to 100 KiB, more than 64 KiB"),
    "too large": ("tasks: {shop.a: {payload: 2MiB}}", ("its messages have up to 2 MiB, more than 64 KiB")),
}
STAYS_SILENT = {
    "small": "tasks: {shop.a: {payload: 64KiB}}",
    "unknown": "tasks: {shop.a: {}}",
    "pinned": "tasks: {shop.a: {payload: 100KiB, options: {compression: xz}}}",
    "pinned for all": ("tasks: {shop.a: {payload: 100KiB}}\ncelery: {settings: {task_compression: bzip2}}"),
    "read by another app": "tasks: {shop.a: {payload: 100KiB, external: true, queue: theirs}}",
}
REFUSES = {
    "large": (
        "tasks: {shop.a: {payload: 65KiB}}",
        Found(
            "payload-large",
            "1:27",
            ("a message of shop.a may have 65 KiB, more than 64 KiB: the broker keeps every waiting message"),
            ELSEWHERE,
        ),
    ),
    "too large": (
        "tasks: {shop.a: {payload: 1025KiB}}",
        Found(
            "payload-too-large",
            "1:27",
            (
                "a message of shop.a may have 1025 KiB, more than 1 MiB: the broker keeps every waiting "
                "message"
            ),
            ELSEWHERE,
        ),
    ),
}
ACCEPTS = {"just small enough": "tasks: {shop.a: {payload: 64KiB}}"}


@pytest.mark.parametrize(("fragment", "because"), DECIDES.values(), ids=DECIDES)
def test_it_decides(fragment, because):
    outcome = after(message_size, fragment)
    assert outcome.decided["task:shop.a/options.compression"] == ("gzip", because)
    assert outcome.origins["task:shop.a/options.compression"] == [
        "task:shop.a/payload_bytes",
        "parameters.message-size.large",
        "COMPRESSION",
    ]


@pytest.mark.parametrize("fragment", STAYS_SILENT.values(), ids=STAYS_SILENT)
def test_it_stays_silent(fragment):
    assert after(message_size, fragment).decided == {}


@pytest.mark.parametrize(("fragment", "finding"), REFUSES.values(), ids=REFUSES)
def test_it_refuses(fragment, finding):
    assert after(message_size, fragment).findings == [finding]


@pytest.mark.parametrize("fragment", ACCEPTS.values(), ids=ACCEPTS)
def test_it_accepts(fragment):
    assert after(message_size, fragment).findings == []
