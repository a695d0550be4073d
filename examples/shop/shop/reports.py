"""Reports for the office, and what customers ask for about themselves."""

from celery import shared_task

from shop.pretend import compute, wait


@shared_task(name="shop.reports.daily_sales")
def daily_sales(currency: str = "EUR", seconds: float = 0) -> dict[str, str]:
    """Sum up yesterday's orders."""
    return {"currency": currency, "digest": compute(seconds)}


@shared_task(name="shop.reports.stock_value")
def stock_value(seconds: float = 0) -> dict[str, str]:
    """Value what lies in the warehouse."""
    return {"digest": compute(seconds)}


@shared_task(name="shop.reports.customer_export")
def customer_export(customer: int = 1, seconds: float = 0) -> dict[str, int]:
    """Collect all that the shop knows about a customer."""
    wait(seconds)
    return {"customer": customer, "files": 1}
