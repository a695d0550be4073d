"""The tasks of the loans."""

from celery import shared_task
from django.db import transaction


class MailServerError(Exception):
    """The mail server refused a message."""


@shared_task(
    autoretry_for=(MailServerError, ConnectionError),
    retry_backoff=5,
    retry_backoff_max=300,
    max_retries=8,
    acks_late=True,
)
def remind_overdue(reader=None):
    """Remind readers of what they have to return."""
    return reader


@shared_task(name="loans.tasks.remind_reservation", ignore_result=True, rate_limit="20/m")
def remind_one(book):
    """Tell a reader that a reserved book is back."""
    return book


@shared_task(soft_time_limit=600, time_limit=660, bind=True, max_retries=2, default_retry_delay=60)
def export_catalog(self):
    """Write the whole catalog to a file."""
    return self.name


@shared_task(priority=3)
def refresh_counts(limit):
    """Count the loans of each book."""
    return limit


def lend(book):
    """Lend a book, and count it too early: a worker may not see the loan yet."""
    with transaction.atomic():
        refresh_counts.delay(book)
