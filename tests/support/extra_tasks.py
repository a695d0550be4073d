"""Tasks beside the shop's own: what a worker meets that no example has. Loaded with `-I extra_tasks`."""

from __future__ import annotations

from celery import shared_task


@shared_task(name="stray.wander")
def wander():
    """No workload declares it."""


@shared_task(name="shop.search.headstrong", queue="shop.interactive.io")
def headstrong():
    """Its decorator wants another queue than its workload."""


@shared_task(name="shop.reports.headstrong", queue="nowhere")
def headstrong_report():
    """Declared by a pattern alone, and its decorator wants a queue that does not exist."""
