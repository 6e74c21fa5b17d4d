"""Whether a worker lives and whether it is ready, as a value that anyone may ask."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import faust
from faust.web import Request, Response, View

from streams.errors import RunError


class Step(StrEnum):
    """What must have happened before a worker is ready."""

    COMPILED = "compiled"
    COMMANDS = "commands"
    ASSIGNED = "assigned"


_MISSING = {
    Step.COMPILED: "kernels are being compiled",
    Step.COMMANDS: "risk.command has not been read to its end",
    Step.ASSIGNED: "no partitions have been assigned yet",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """An answer and, where it is no, why."""

    ok: bool
    reason: str = ""


class Health:
    """Fed by the worker, asked by the web port. Time is in ns of `clock`, monotonic.

    Live is judged by the clock when asked, so that a worker which no longer reports is found out too.
    """

    def __init__(self, stuck_limit_ms: int, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self.stuck_limit_ms = stuck_limit_ms
        self._clock = clock
        self._done = 0
        self._waiting = 0
        self._since_ns = clock()
        self._steps: set[Step] = set()

    def reach(self, step: Step) -> None:
        """A step towards ready was made."""
        self._steps.add(step)

    def leave(self, step: Step) -> None:
        """A step was undone: the end of risk.command can no longer be confirmed, partitions were lost."""
        self._steps.discard(step)

    def report(self, *, waiting: int, done: int) -> None:
        """Records that wait for the engine now, and how many were done since the start."""
        if done != self._done or waiting == 0 or self._waiting == 0:
            self._since_ns = self._clock()
        self._done, self._waiting = done, waiting

    def live(self) -> Verdict:
        """No while records wait and none was done for `stuck_limit_ms`."""
        still_ms = (self._clock() - self._since_ns) // 1_000_000
        if self._waiting and still_ms >= self.stuck_limit_ms:
            reason = (
                f"{self._waiting} records wait and none was done for {still_ms} ms "
                f"(stuck_limit_ms = {self.stuck_limit_ms})"
            )
            return Verdict(False, reason)
        return Verdict(True)

    def ready(self) -> Verdict:
        """Yes when compiled, commands read, partitions assigned, and live."""
        missing = [_MISSING[step] for step in Step if step not in self._steps]
        return Verdict(False, "; ".join(missing)) if missing else self.live()

    def check(self) -> None:
        """Raise RunError where the worker is stuck: it must end, so that another takes over."""
        verdict = self.live()
        if not verdict.ok:
            raise RunError(f"the worker is stuck: {verdict.reason}")


def register(app: faust.App, health: Health) -> None:
    """Serve /live and /ready on the app's web port: 200 or 503, with the reason as JSON."""

    async def live(view: View, request: Request) -> Response:
        return _answer(view, health.live())

    async def ready(view: View, request: Request) -> Response:
        return _answer(view, health.ready())

    app.page("/live", name="live")(live)
    app.page("/ready", name="ready")(ready)


def _answer(view: View, verdict: Verdict) -> Response:
    answer: Response = view.json(
        {"ok": verdict.ok, "reason": verdict.reason}, status=200 if verdict.ok else 503
    )
    return answer
