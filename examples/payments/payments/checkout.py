"""A checkout that charges some orders, and asks for every third one twice, as impatient customers do.

Usage: python -m payments.checkout [ORDERS]
"""

import sys
from uuid import uuid4

from payments.cards import charge_card, send_receipt
from payments.celery_app import app


def main() -> None:
    """Send the charges, each followed by its receipt, and wait for their results."""
    app.set_current()
    first, sent = uuid4().hex[:8], []
    for number in range(int(sys.argv[1]) if len(sys.argv) > 1 else 30):
        for _ in range(1 + (number % 3 == 0)):
            charge = charge_card.s(f"{first}-{number}", cents=1200)
            sent.append((charge | send_receipt.s()).apply_async().parent)
    for each in sent:
        sys.stdout.write(f"{each.get(timeout=600)}\n")


if __name__ == "__main__":
    main()
