"""Pictures of products."""

from celery import shared_task

from shop.pretend import compute


@shared_task(name="shop.images.make_thumbnails")
def make_thumbnails(product: int = 1, seconds: float = 0) -> list[str]:
    """Scale a product's pictures to the sizes that the pages use."""
    compute(seconds)
    return [f"{product}-{width}.webp" for width in (80, 320, 1280)]
