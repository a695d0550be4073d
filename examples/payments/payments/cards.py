"""Charges of cards, by way of a bank that is out of order at times. No line here is about guards but one."""

import json
import os
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from celery import shared_task
from celeryconfig_guards import current_key

_TIMEOUT_SECONDS = 5
_DECLINED = 402


@shared_task(name="payments.charge_card")
def charge_card(order_id: str, cents: int) -> dict[str, object]:
    """Take the money for an order. A bank that does not answer is a `ConnectionError`, which is retried."""
    order = json.dumps({"order": order_id, "cents": cents}).encode()
    # The same key for the same order: a bank that has it already does not charge again.
    headers = {"Content-Type": "application/json", "Idempotency-Key": current_key() or ""}
    url = f"{os.environ.get('BANK_URL', 'http://127.0.0.1:8099')}/charges"
    try:
        with urlopen(Request(url, order, headers), timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310 - our bank
            return {"order": order_id, "charge": json.load(answer)["charge"]}
    except HTTPError as refusal:
        if refusal.code == _DECLINED:
            return {"order": order_id, "declined": True}
        raise ConnectionError(str(refusal)) from None
    except (URLError, TimeoutError) as silence:
        raise ConnectionError(str(silence)) from None


@shared_task(name="payments.send_receipt")
def send_receipt(charged: dict[str, object]) -> None:
    """Mail the receipt of an order, after its charge."""
