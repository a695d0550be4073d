"""Tasks of parcels, some of them as classes."""

from celery import shared_task

from courier.app import app


@shared_task(autoretry_for=(TimeoutError,), retry_backoff=True, retry_jitter=False, time_limit=120)
def track(number):
    """Ask where a parcel is."""
    return number


class Deliver(app.Task):
    """Delivers a parcel."""

    name = "courier.parcels.deliver"
    max_retries = None
    soft_time_limit = 30

    def run(self, number):
        """Deliver."""
        return number


app.register_task(Deliver())
