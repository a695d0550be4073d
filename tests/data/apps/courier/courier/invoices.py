"""Tasks of invoices."""

from enum import Enum

from courier.app import app


class Queues(str, Enum):  # noqa: UP042 - as older code has it
    """The queues that calls name."""

    AUDIT = "audit"


@app.task(name="invoices.send", priority=4, acks_late=False)
def send(number):
    """Send an invoice."""
    app.send_task("ledger.book", (number,))
    note.apply_async((number,), queue=Queues.AUDIT.value)


@app.task(expires=600, ignore_result=True)
def note(number):
    """Note an invoice."""
    return number
