"""A task in a module that no process imports."""

from celery import shared_task


@shared_task
def archive_loans():
    """Move old loans to the archive."""
