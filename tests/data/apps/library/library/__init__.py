"""A Django project: its app must exist before its tasks are imported."""

from library.celery import app as celery_app

__all__ = ["celery_app"]
