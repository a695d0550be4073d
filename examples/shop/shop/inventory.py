"""What is in stock, and what is kept for customers who have not paid yet."""

from celery import shared_task

from shop.pretend import wait


@shared_task(name="shop.inventory.sync_stock")
def sync_stock(seconds: float = 0) -> None:
    """Fetch the warehouse's counts."""
    wait(seconds)


@shared_task(name="shop.inventory.release_reservations")
def release_reservations(seconds: float = 0) -> None:
    """Put back what was reserved and never paid."""
    wait(seconds)
