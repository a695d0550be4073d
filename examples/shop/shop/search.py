"""The search engine's index of products."""

from celery import shared_task

from shop.pretend import wait


@shared_task(name="shop.search.index_product")
def index_product(product: int = 1, seconds: float = 0) -> dict[str, int]:
    """Write one product's present state into the index."""
    wait(seconds)
    return {"product": product}


@shared_task(name="shop.search.reindex")
def reindex(seconds: float = 0) -> None:
    """Compare the whole index with the catalogue and write what differs."""
    wait(seconds)
