"""Imported by a worker, stops it at the moment that `test_workers` asks about.

The moment is that a job has been written to a child and the child has not said yet that it has it. What a
child then waits for in vain is made short.
"""

import os
import signal

from billiard import pool
from celery.concurrency.asynpool import AsynPool

pool.GUARANTEE_MESSAGE_CONSUMPTION_RETRY_LIMIT = 5

_create_write_handlers = AsynPool._create_write_handlers


def create_write_handlers(self, hub, *arguments, **options):
    """Also look, after each round of writing, whether it is the moment."""
    made = _create_write_handlers(self, hub, *arguments, **options)
    consolidate = hub.consolidate_callback

    def then_stop(fds):
        consolidate(fds)
        if any(job._write_to is not None and not job._accepted for job in self._cache.values()):
            os.kill(os.getpid(), signal.SIGTERM)

    hub.consolidate_callback = then_stop
    return made


AsynPool._create_write_handlers = create_write_handlers
