"""Whose engine is kept over a rebalance, and that no topic is overtaken while a partition is claimed."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from streams.worker import Worker


class Ends:
    """Answers in their order; None is none."""

    def __init__(self, *answers: int | None) -> None:
        self.answers = list(answers)

    async def ask(self, places: list[tuple[str, int]]) -> dict[tuple[str, int], int]:
        answer = self.answers.pop(0)
        return {} if answer is None else dict.fromkeys(places, answer)


class Partition:
    """Notes what it is offered."""

    def __init__(self, epoch: int) -> None:
        self.engine = SimpleNamespace(epoch=epoch)
        self.counts = SimpleNamespace(records=5)
        self.offered: list[str] = []
        self.advanced: list[list[str]] = []

    def offer(self, value: Any, event: Any) -> None:
        self.offered.append(value.topic)

    async def advance(self) -> None:
        self.advanced.append(list(self.offered))


def worker(ends: Ends, kept: Partition | None) -> Worker:
    """A worker that has just come through a rebalance; a claim of its own lands at offset 9."""
    made: Any = object.__new__(Worker)
    made.settings = SimpleNamespace(named=lambda name: f"x.{name}")
    made.partitions = {0: kept} if kept else {}
    made.taken = 0
    made._claims, made._jumps, made._inbox = {}, {}, {}
    made._unsure = set(made.partitions)
    made._ends = ends
    made._draining = False
    made._ready = asyncio.Event()
    made._commands = SimpleNamespace(check=lambda: None)

    async def claim(number: int) -> Partition:
        await asyncio.sleep(0)
        return Partition(epoch=9)

    made._claim = claim
    found: Worker = made
    return found


def partition(made: Worker) -> Any:
    return asyncio.run(made._partition(0))


def test_an_engine_whose_claim_is_the_last_is_kept() -> None:
    kept = Partition(epoch=3)
    assert partition(worker(Ends(4), kept)) is kept


def test_an_engine_is_dropped_where_another_worker_claimed_meanwhile() -> None:
    made = worker(Ends(5), Partition(epoch=3))
    assert partition(made).engine.epoch == 9
    assert made.taken == 5


def test_a_broker_that_does_not_answer_costs_no_engine() -> None:
    kept = Partition(epoch=3)
    ends = Ends(None, None, 4)
    assert partition(worker(ends, kept)) is kept
    assert ends.answers == []


def test_batches_that_come_during_a_claim_are_offered_before_the_first_step() -> None:
    async def both() -> Any:
        made = worker(Ends(), None)
        made._ready.set()
        await asyncio.gather(*(made.take(event(topic)) for topic in ("book.l1", "book.l2")))
        return made.partitions[0]

    assert asyncio.run(both()).advanced[0] == ["book.l1", "book.l2"]


def test_what_was_revoked_before_its_turn_is_neither_claimed_nor_offered() -> None:
    async def revoked() -> Worker:
        made = worker(Ends(), None)
        waiting = asyncio.create_task(made.take(event("book.l2")))
        await asyncio.sleep(0)
        made._inbox.clear()
        made._ready.set()
        await waiting
        return made

    assert asyncio.run(revoked()).partitions == {}


def test_what_waits_for_a_claim_counts_as_waiting_so_that_a_stuck_worker_ends() -> None:
    made = worker(Ends(), None)
    made._inbox[0] = [SimpleNamespace(value=range(7))]
    assert made.waiting == 7


def event(topic: str) -> Any:
    return SimpleNamespace(value=SimpleNamespace(topic=topic, partition=0))
