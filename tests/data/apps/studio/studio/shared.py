"""Tasks of every app."""

from celery import shared_task

SECONDS = 60 * 5


@shared_task(soft_time_limit=SECONDS, name="studio.render")
def render(scene):
    """Render a scene."""
    return scene


@shared_task(name="studio.fetch", queue="io")
def fetch(url):
    """Fetch an asset."""
    return url


@shared_task(name="studio.notify", ignore_result=True)
def notify(text):
    """Notify somebody."""
    return text
