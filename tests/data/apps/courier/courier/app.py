"""The app that workers load."""

from courier.factory import make_app

app = make_app()


@app.on_after_finalize.connect
def schedule(sender, **kwargs):
    """The periodic tasks."""
    del kwargs
    sender.add_periodic_task(
        60.0, sender.tasks["courier.parcels.track"].s("all").set(queue="parcels"), name="track-all"
    )
