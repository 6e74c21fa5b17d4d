"""The client's log lines, without its floods: a broker that is down is said again every few seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable

import structlog

log = structlog.get_logger("streams.transport")

AGAIN_S = 10.0  # a broker that is away gives some hundred lines in that time


class Rarely:
    """Lets the first of a kind through, then one every `AGAIN_S` with the count of those left out."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: dict[Hashable, float] = {}
        self._left_out: dict[Hashable, int] = {}

    def __call__(self, kind: Hashable) -> int | None:
        """How many of `kind` were left out before this one, or None where this one is left out."""
        now = self._clock()
        last = self._last.get(kind)
        if last is not None and now - last < AGAIN_S:
            self._left_out[kind] = self._left_out.get(kind, 0) + 1
            return None
        self._last[kind] = now
        return self._left_out.pop(kind, 0)


class ClientLog:
    """What confluent-kafka takes for a logger; librdkafka's lines come out of `poll`."""

    def __init__(self) -> None:
        self._rarely = Rarely()

    def log(self, level: int, message: str, *args: object) -> None:
        facility = str(args[0]) if args else message
        left_out = self._rarely(facility)
        if left_out is not None:
            log.log(level, "librdkafka", line=message % args if args else message, left_out=left_out)
