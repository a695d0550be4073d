"""The app of the workers with threads."""

from celery import Celery

from studio.base import configure

app = configure(Celery("studio"))
