"""Mail to customers. The decorators hold names only: how a task is delivered and limited is compiled."""

from email.message import EmailMessage

from celery import shared_task

from shop.pretend import wait


@shared_task(name="shop.mail.send_welcome_email")
def send_welcome_email(address: str = "ada@example.org", seconds: float = 0) -> None:
    """Greet a new customer."""
    _deliver(address, "Welcome to the shop", seconds)


@shared_task(name="shop.mail.send_newsletter")
def send_newsletter(address: str = "ada@example.org", seconds: float = 0) -> None:
    """Send this month's newsletter to one subscriber."""
    _deliver(address, "News from the shop", seconds)


def _deliver(address: str, subject: str, seconds: float) -> None:
    message = EmailMessage()
    message["To"] = address
    message["Subject"] = subject
    wait(seconds)
