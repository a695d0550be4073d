"""The Celery app. Its settings are compiled: `celeryconfig` is the generated module, found on PYTHONPATH."""

from celery import Celery

app = Celery(
    "shop",
    include=[
        "shop.images",
        "shop.inventory",
        "shop.mail",
        "shop.payments",
        "shop.reports",
        "shop.search",
    ],
)
app.config_from_object("celeryconfig")
