"""A little web shop: what its background work looks like to Celery."""

from shop.celery_app import app

# Imported here so that a producer that imports nothing but a task still sends it through this app.
__all__ = ["app"]
