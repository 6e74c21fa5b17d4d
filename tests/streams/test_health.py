"""Live and ready, by an own clock; and the pages on Faust's web port."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import faust
import pytest
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import given
from hypothesis import strategies as st

from streams.errors import RunError
from streams.health import Health, Step, register

MS = 1_000_000


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.ns = 0

    def __call__(self) -> int:
        return self.ns


def test_stuck_only_when_records_wait_and_none_is_done() -> None:
    clock = Clock()
    health = Health(1_000, clock)
    clock.ns = 5_000 * MS
    assert health.live().ok  # nothing waits: silence is no fault
    health.report(waiting=10, done=0)
    clock.ns += 999 * MS
    assert health.live().ok
    clock.ns += 1 * MS
    verdict = health.live()
    assert not verdict.ok
    assert "10 records wait and none was done for 1000 ms" in verdict.reason
    with pytest.raises(RunError, match="stuck"):
        health.check()
    health.report(waiting=9, done=1)
    assert health.live().ok
    health.check()


def test_reporting_again_without_progress_does_not_help() -> None:
    clock = Clock()
    health = Health(1_000, clock)
    for _ in range(11):
        health.report(waiting=3, done=7)
        clock.ns += 100 * MS
    assert not health.live().ok


def test_waiting_begins_when_records_come() -> None:
    clock = Clock()
    health = Health(1_000, clock)
    health.report(waiting=0, done=7)
    clock.ns += 10_000 * MS
    health.report(waiting=3, done=7)
    clock.ns += 999 * MS
    assert health.live().ok


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 1), st.integers(0, 700)), max_size=30))
def test_live_equals_its_definition(course: list[tuple[int, int, int]]) -> None:
    clock, done = Clock(), 0
    health = Health(1_000, clock)
    seen: list[tuple[int, int, int]] = []
    for waiting, more, pause in course:
        done += more
        health.report(waiting=waiting, done=done)
        seen.append((clock.ns, waiting, done))
        clock.ns += pause * MS
    # Slow twin: how long the last reports have all shown records waiting at the same count of done.
    stuck_since = None
    for when, waiting, count in reversed(seen):
        if not waiting or count != seen[-1][2]:
            break
        stuck_since = when
    expected = stuck_since is None or clock.ns - stuck_since < 1_000 * MS
    # The first report of a new count is the moment of progress itself, so both start there.
    assert health.live().ok is expected


def test_ready_names_what_is_missing() -> None:
    health = Health(1_000, Clock())
    assert "compiled" in health.ready().reason
    for step in (Step.COMPILED, Step.ASSIGNED):
        health.reach(step)
    assert health.ready().reason == "risk.command has not been read to its end"
    health.reach(Step.COMMANDS)
    assert health.ready().ok
    health.leave(Step.ASSIGNED)
    assert health.ready().reason == "no partitions have been assigned yet"


def test_a_stuck_worker_is_not_ready() -> None:
    clock = Clock()
    health = Health(1_000, clock)
    for step in Step:
        health.reach(step)
    health.report(waiting=1, done=0)
    clock.ns = 2_000 * MS
    assert not health.ready().ok


async def _ask(app: faust.App, paths: list[str]) -> list[tuple[int, Any]]:
    async with TestClient(TestServer(app.web.web_app)) as client:
        found = []
        for path in paths:
            async with client.get(path) as answer:
                found.append((answer.status, json.loads(await answer.text())))
        return found


def test_the_pages_answer() -> None:
    async def scenario() -> None:
        app = faust.App("health-test", broker="kafka://127.0.0.1:1", web_enabled=False)
        health = Health(1_000, Clock())
        register(app, health)
        app.web.init_server()
        live, ready = await _ask(app, ["/live", "/ready"])
        assert live == (200, {"ok": True, "reason": ""})
        assert ready[0] == 503
        assert "kernels are being compiled" in ready[1]["reason"]

    asyncio.run(scenario())
