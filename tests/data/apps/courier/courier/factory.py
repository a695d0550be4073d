"""Makes the app."""

import os

from celery import Celery, Task
from kombu import Exchange, Queue


class CourierTask(Task):
    """The base of all tasks of this application."""

    acks_late = True
    reject_on_worker_lost = False


def make_app():
    """The app, with its configuration set in code."""
    app = Celery(
        "courier",
        broker=os.environ.get("COURIER_BROKER", "amqp://guest:guest@127.0.0.1:5672//"),
        task_cls=CourierTask,
        include=["courier.parcels", "courier.invoices"],
    )
    app.conf.update(
        task_queues=[
            Queue("celery"),
            Queue("parcels", Exchange("parcels", type="topic"), routing_key="parcels.#"),
            Queue("invoices", queue_arguments={"x-max-length": 10000}, max_priority=5),
            Queue(
                "audit", Exchange("audit"), routing_key="audit", queue_arguments={"x-queue-type": "quorum"}
            ),
        ],
        task_routes=(
            [
                ("courier.parcels.*", {"queue": "parcels", "routing_key": "parcels.all"}),
                ("courier.invoices.*", {"queue": "invoices"}),
            ],
        ),
        task_annotations={"courier.parcels.track": {"rate_limit": "50/s"}},
        task_serializer="json",
        task_send_sent_event=True,
        worker_send_task_events=True,
        broker_heartbeat=30,
        broker_transport_options={"confirm_publish": True},
        result_backend="rpc://",
    )
    return app
