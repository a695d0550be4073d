"""What the apps have in common."""

import os

BROKER = os.environ.get("STUDIO_BROKER", "redis://127.0.0.1:6379/3")


def configure(app):
    """The shared configuration."""
    app.conf.update(
        broker_url=BROKER,
        task_ignore_result=True,
        task_acks_late=True,
        worker_prefetch_multiplier=1,
        task_default_queue="studio",
        task_routes={"studio.render": {"queue": "render"}},
        broker_transport_options={"visibility_timeout": 43200, "queue_order_strategy": "priority"},
        imports=["studio.shared"],
        timezone="UTC",
    )
    return app
