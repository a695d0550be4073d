"""The Celery app. Its settings are compiled: `celeryconfig` is the generated module, found on PYTHONPATH."""

from celery import Celery

app = Celery("payments", include=["payments.cards"])
app.config_from_object("celeryconfig")
