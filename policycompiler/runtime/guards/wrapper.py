"""What happens around each run of a guarded task in a worker.

In this order: claim the effect, ask the breakers, keep the rates, run, report to the
breakers, keep the result. A task that must wait is parked.
"""

from __future__ import annotations

import sys
import time
from datetime import datetime, timezone
from functools import partial
from typing import Any, Callable

from celery.exceptions import Ignore, Reject, Retry, SoftTimeLimitExceeded

from . import counts
from .errors import Later, StoreDownError
from .parking import park
from .running import entered, is_running, probes, running
from .told import OfTask, Parking


class Guards:
    """All guards of one task. Modules of what is not declared are not loaded."""

    def __init__(
        self,
        told: OfTask,
        parking: Parking,
        effects: Any,
        breakers: Any,
        rates: Any,
        failures: Any,
    ) -> None:
        self.told, self.parking, self.effects = told, parking, effects
        self.breakers, self.rates, self.failures = breakers, rates, failures

    def around(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """What a worker calls instead of the task."""
        # Celery calls `run` itself where a task has no `__call__` of its own.
        own = not str(original.__module__).startswith("celery.")

        def guarded(task: Any, *args: Any, **kwargs: Any) -> Any:
            request = task.request
            direct = request.called_directly or request.is_eager
            if direct or request.id is None or is_running(request):
                return original(task, *args, **kwargs)
            function = partial(original, task) if own else task.run
            with running(request):
                return self._run(task, request, args, kwargs, function)

        guarded.guards_original = original  # type: ignore[attr-defined]
        return guarded

    def retrying(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """`Task.retry`, in which a probe that fails uses no retry of its task.

        Otherwise, in a long outage, the probes would use up the retries of tasks.
        """

        def retry(task: Any, *args: Any, **kwargs: Any) -> Any:
            request, most = task.request, kwargs.get("max_retries", task.max_retries)
            error = kwargs.get("exc") or (args[2:] or sys.exc_info()[1:])[0]
            failed = any(self._outcome(task, error, x) == "failed" for x in probes())
            # Some tasks may never run twice.
            if not failed or most == 0 or not is_running(request):
                return original(task, *args, **kwargs)
            request.retries -= 1
            try:
                return original(task, *args, **kwargs)
            finally:
                request.retries += 1

        retry.guards_original = original  # type: ignore[attr-defined]
        return retry

    def _run(
        self, task: Any, request: Any, args: Any, kwargs: Any, function: Any
    ) -> Any:
        try:
            claim, stored = self._claim(task, request, args, kwargs)
            if stored is not None:
                return self._again(stored)
            passes = self._enter(task, request, claim)
        except Later as later:
            park(task, request, self.parking, later)
        try:
            tests = tuple(each for each in passes if each.probe)
            with entered(claim and claim.key, tests), self._beating(claim):
                result = function(*args, **kwargs)
        except BaseException as error:
            self._failed(task, error, claim, passes)
            raise
        try:
            self._succeeded(task, request, result, claim, passes)
        except SoftTimeLimitExceeded:
            # The task has done its work; only its record is missing.
            self._succeeded(task, request, result, claim, passes)
        return result

    def _claim(self, task: Any, request: Any, args: Any, kwargs: Any) -> Any:
        if self.effects is None:
            return None, None
        names, given = self.effects.named(task, args, kwargs)
        try:
            found = self.effects.claim(names, given, request)
        except StoreDownError as error:
            seconds = self.parking.store_seconds
            says = "the store of idempotency keys does not answer"
            raise Later(seconds, "store", says) from error
        return (found, None) if hasattr(found, "token") else (None, found)

    def _again(self, stored: Any) -> Any:
        """A duplicate succeeds with the same result, so that what follows goes on."""
        outcome = self.told.duplicate
        counts.add("duplicates_total", task=self.effects.task, outcome=outcome)
        if outcome == "ignore" or stored.is_ignored:
            raise Ignore
        return self.effects.restored(stored)

    def _enter(self, task: Any, request: Any, claim: Any) -> list[Any]:
        """Wait until all dependencies may be called; `Later` if that takes too long."""
        limit = (request.timelimit or (None,))[0] or task.time_limit
        passes: list[Any] = []
        try:
            for breaker in self.breakers:
                passes.append(breaker.admit(request.id, limit))  # noqa: PERF401
            waits = [(rate.reserve(), rate.told.name) for rate in self.rates]
            for wait, dependency in waits:
                if wait:
                    counts.add("rate_waited_seconds_total", wait, dependency=dependency)
            if waits and max(waits)[0] > 0:
                time.sleep(max(waits)[0])
        except BaseException as error:
            for each in passes:
                each.report("none")
            if claim and isinstance(error, Later):
                claim.wait(self.parking.countdown(error.seconds))
            elif claim:
                # Nothing has been done yet.
                claim.delete()
            raise
        return passes

    def _beating(self, claim: Any) -> Any:
        from .effects import beating  # noqa: PLC0415 - not needed without keys

        return beating(claim)

    def _failed(
        self, task: Any, error: BaseException, claim: Any, passes: list[Any]
    ) -> None:
        interrupted = not isinstance(error, Exception)
        for each in passes:
            each.report("none" if interrupted else self._outcome(task, error, each))
        if claim is None:
            return
        if isinstance(error, Retry):
            claim.wait(_seconds(error.when))
        elif isinstance(error, Ignore):
            # Also `Task.replace`: another task goes on with what was begun.
            claim.ignored()
        elif interrupted:
            claim.free()
        else:
            claim.delete()

    def _outcome(self, task: Any, error: BaseException, passed: Any) -> str:
        if isinstance(error, Reject):
            return "none"
        cause: Any = error
        if isinstance(error, Retry):
            cause = error.exc or error.__cause__ or error.__context__
        failures = self.failures[passed.breaker.dependency].classes(task)
        return "failed" if isinstance(cause, failures) else "answered"

    def _succeeded(
        self, task: Any, request: Any, result: Any, claim: Any, passes: list[Any]
    ) -> None:
        for each in passes:
            each.report("answered")
        if claim:
            claim.done(task, request, result)


def _seconds(when: Any) -> float:
    """The seconds until a retry; Celery says when, or in how many seconds."""
    if isinstance(when, datetime):
        aware = when if when.tzinfo else when.replace(tzinfo=timezone.utc)
        return max(0.0, (aware - datetime.now(timezone.utc)).total_seconds())
    return float(when or 0)
