"""The Redis that guards share. A worker goes on without it, as each guard says."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from logging import getLogger
from os import environ
from time import monotonic
from typing import Any

from . import counts
from .errors import StoreDownError

TIMEOUT_SECONDS = 0.5
DOWN_SECONDS = 2.0
"""How long a process does not ask again after the store has not answered."""


class Store:
    """A client that is made when it is needed, so each process has its own."""

    def __init__(self, variable: str | None) -> None:
        self.variable = variable
        self._client: Any = None
        self._scripts: dict[str, Any] = {}
        self._down_until = 0.0
        self._complained = False
        self._ahead = float("-inf")

    def latest(self) -> int:
        """Until when the store may do what it is asked now, in its milliseconds."""
        latest = monotonic() + self._ahead + TIMEOUT_SECONDS
        return int(max(0.0, latest) * 1000)

    def set_clock(self, milliseconds: int) -> None:
        """Note the time of the store."""
        self._ahead = milliseconds / 1000 - monotonic()

    def problem(self) -> str | None:
        """What is wrong with the settings; it asks no server."""
        if not self.variable:
            return "guards need a store, and none is declared"
        if not environ.get(self.variable):
            return f"guards need a store: set {self.variable} to the URL of a Redis"
        try:
            pool = self._connected().connection_pool
            # It connects nowhere; options of the URL are first read here.
            pool.connection_class(**pool.connection_kwargs)
        except ModuleNotFoundError:
            return "guards need the package redis: install it where workers run"
        except (TypeError, ValueError):
            # The text of the error may have the URL with its password.
            return f"{self.variable} is no URL of a Redis: write redis://HOST:PORT/DB"
        return None

    def run(
        self,
        guard: str,
        script: str,
        keys: Sequence[str],
        *arguments: Any,
        insist: bool = False,
    ) -> Any:
        """What a Lua script returns; `StoreDownError` within a bounded time.

        `insist`: ask even if the store has just not answered.
        """
        if not insist and monotonic() < self._down_until:
            raise StoreDownError
        client = self._connected()
        redis_errors = self._errors
        try:
            found = self._scripts.get(script)
            if found is None:
                found = self._scripts[script] = client.register_script(script)
            answer = found(keys=keys, args=arguments)
        except redis_errors as error:
            self._note(guard, error)
            raise StoreDownError from error
        if self._complained:
            self._complained = False
            getLogger(__name__).warning("guards: the store answers again")
        return answer

    def run_in_time(
        self, guard: str, script: str, keys: Sequence[str], *arguments: Any
    ) -> Any:
        """As `run`, for what must not be done later, when nobody waits for it.

        A store that hung does what it was asked before. The last argument of such a
        script is the latest time of the store; after it, the script does nothing, and
        returns `late` and its time.
        """
        for _ in range(3):
            answer = self.run(guard, script, keys, *arguments, self.latest())
            if answer[0] != b"late":
                return answer
            # The first of this process, or a clock that stood still.
            self.set_clock(answer[1])
        raise StoreDownError

    def _connected(self) -> Any:
        if self._client is None:
            import redis  # noqa: PLC0415 - publishers need none
            from redis.backoff import NoBackoff  # noqa: PLC0415
            from redis.retry import Retry  # noqa: PLC0415

            self._errors = (redis.RedisError, OSError)
            self._silent = (redis.ConnectionError, redis.TimeoutError, OSError)
            # With its default retries, a hung server costs 10 s a call.
            self._client = redis.Redis.from_url(
                environ[self.variable or ""],
                socket_timeout=TIMEOUT_SECONDS,
                socket_connect_timeout=TIMEOUT_SECONDS,
                retry=Retry(NoBackoff(), 0),
            )
        return self._client

    def _note(self, guard: str, error: Exception) -> None:
        counts.add("store_errors_total", guard=guard)
        # One that refuses to write answers at once.
        if isinstance(error, self._silent):
            self._down_until = monotonic() + DOWN_SECONDS
        if not self._complained:
            self._complained = True
            message = "guards: the store does not serve (%s); each goes on as declared"
            with suppress(Exception):
                getLogger(__name__).warning(message, type(error).__name__)
