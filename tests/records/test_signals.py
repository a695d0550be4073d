"""Each metric and label that rules read is in a real answer of its source."""

from __future__ import annotations

import pytest
from scraped import jobs, samples

from policycompiler.knowledge.metric_sources import SOURCES
from policycompiler.knowledge.signals import SIGNALS

OF_EXPORTERS = [
    (source, signal) for source, signals in SIGNALS.items() if source != "telemetry" for signal in signals
]
"""Those of the telemetry are held against a live worker, in tests/acceptance/test_monitoring.py."""


@pytest.mark.parametrize(("source", "signal"), OF_EXPORTERS)
def test_a_source_has_the_metric_and_its_labels(source, signal):
    metric = SIGNALS[source][signal]
    scraped = [each.job for each in SOURCES[source].scrapes]
    answers = [
        list(samples(job, variant))
        for job, variants in jobs().items()
        if job in scraped
        for variant in variants
    ]
    wanted = {*metric.labels, *(label for label in (metric.queue, metric.task) if label)}
    name = f"{metric.name}_bucket" if metric.buckets else metric.name
    found = [each for answer in answers for each in answer if each.metric == name]
    assert found, name
    assert all(wanted <= set(each.labels) for each in found)
    for label, values in metric.labels.items():
        assert {each.labels[label] for each in found} & set(values), (label, values)
    if metric.buckets:
        bounds = {each.labels["le"] for each in found}
        assert {f"{float(bound)!r}" for bound in metric.buckets} <= bounds
