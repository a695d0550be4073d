"""Money, by way of a bank that may be slow."""

from celery import shared_task

from shop.pretend import wait


@shared_task(name="shop.payments.charge_card")
def charge_card(order: int = 1, cents: int = 100, seconds: float = 0) -> dict[str, int]:
    """Take the money for an order."""
    wait(seconds)
    return {"order": order, "charged": cents}


@shared_task(name="shop.payments.refund")
def refund(order: int = 1, cents: int = 100, seconds: float = 0) -> dict[str, int]:
    """Give the money back; the order's number tells the bank that it is the same refund."""
    wait(seconds)
    return {"order": order, "refunded": cents}
