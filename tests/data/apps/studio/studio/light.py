"""The app of the gevent workers."""

from celery import Celery

from studio.base import configure

app = configure(Celery("studio"))
app.conf.worker_prefetch_multiplier = 8
