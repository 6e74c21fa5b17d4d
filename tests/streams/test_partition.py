"""A partition on its way through its engine, with a publisher, places and a clock of the test's own."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import pytest

from strategies.controls import Gate, LogStartJumped, Order
from strategies.risk import Command, CommandAction, Standing
from strategies.signals import Action
from streams.errors import RunError
from streams.partition import REJECTED_BYTES
from tests.streams.partition_bench import L1, L2, TICK_MS, WAIT_MS, Bench, run
from tests.wire import MS


def test_topics_are_merged_by_receive_time_over_the_borders_of_batches() -> None:
    """The same signals, with the same sequences, as from one batch of each topic."""

    async def cut(bench: Bench, at: list[int]) -> list[Any]:
        depth = list(bench.snapshots())
        quotes = []
        for size in range(1_100, 1_900, 100):
            quotes.append(bench.quote("a"))
            depth.append(bench.larger(size))
        pieces = {L1: quotes, L2: depth}
        for topic, records in pieces.items():
            borders = [0, *at, len(records)]
            for first, last in pairwise(borders):
                bench.offer(bench.wire.batch(*records[first:last]), topic)
        await bench.worker.advance()
        return [signal.record() for signal in bench.publisher.signals]

    async def both() -> None:
        whole = await cut(Bench(), [])
        assert len(whole) > 2
        for at in ([1], [3], [2, 5], [1, 2, 3, 4, 5, 6, 7]):
            assert await cut(Bench(), at) == whole

    asyncio.run(both())


def test_a_topic_waits_for_the_one_that_is_behind_and_gives_up_once_at_its_limit() -> None:
    async def test(bench: Bench) -> None:
        bench.behind(L1, 7)
        bench.offer(bench.wire.batch(*bench.snapshots()))
        await bench.worker.advance()
        assert bench.worker.waiting == 2
        bench.wait(WAIT_MS - 1)
        await bench.worker.advance()
        assert (bench.worker.waiting, bench.publisher.signals) == (2, [])
        bench.wait(1)
        await bench.worker.advance()
        assert bench.worker.waiting == 0
        assert [signal.action for signal in bench.publisher.signals] == [Action.OPEN]
        for size in (1_100, 1_200):  # given up once, it is not waited for again and again
            bench.offer(bench.wire.batch(bench.larger(size)))
            await bench.worker.advance()
        assert bench.worker.waiting == 0
        assert bench.worker.counts.merge_limits_hit == 1
        (event,) = [e for e in bench.publisher.events if e.reason == "merge_limit_hit"]
        assert (event.value, event.limit) == (7.0, float(WAIT_MS))

    run(test)


def test_what_came_again_is_waited_for_again() -> None:
    async def test(bench: Bench) -> None:
        bench.behind(L1, 7)
        bench.offer(bench.wire.batch(*bench.snapshots()))
        await bench.worker.advance()
        bench.wait(WAIT_MS)
        await bench.worker.advance()
        bench.offer(bench.wire.batch(bench.quote()))
        bench.offer(bench.wire.batch(bench.larger(1_100)))
        await bench.worker.advance()
        assert bench.worker.waiting == 1  # the depth, whose quotes may still come
        bench.wait(WAIT_MS)
        await bench.worker.advance()
        assert bench.worker.waiting == 0
        assert bench.worker.counts.merge_limits_hit == 2

    run(test)


def test_a_topic_at_its_end_is_not_waited_for_one_of_unknown_end_is() -> None:
    async def test(bench: Bench) -> None:
        bench.offer(bench.wire.batch(*bench.snapshots()))
        await bench.worker.advance()
        assert bench.worker.waiting == 0
        bench.unknown(L1)
        bench.offer(bench.wire.batch(bench.larger(1_100)))
        await bench.worker.advance()
        assert bench.worker.waiting == 1
        bench.places[L1] = (0, 0)
        await bench.worker.advance()
        assert bench.worker.waiting == 0
        assert bench.worker.counts.merge_limits_hit == 0

    run(test)


# ---- silence


def test_time_passes_only_where_all_is_silent_and_nothing_lies_beyond_our_place() -> None:
    async def test(bench: Bench) -> None:
        ends = {L1: 0, L2: 2}
        bench.offer(bench.wire.batch(*bench.snapshots()))
        bench.places[L2] = (2, 2)
        await bench.worker.advance()
        before = int(bench.engine.state.clock["time"][0])

        def elapsed() -> int:
            return int(bench.engine.state.clock["time"][0]) - before

        bench.wait(TICK_MS - 1)
        assert not bench.worker.is_silent(bench.now_ns)
        bench.wait(1)
        assert bench.worker.is_silent(bench.now_ns)
        for missing in ({L1: 0, L2: 3}, {L1: 0}, {}):
            bench.worker.pass_time(bench.now_ns, missing)
            assert elapsed() == 0
        bench.worker.pass_time(bench.now_ns, ends)
        assert elapsed() == TICK_MS * MS
        bench.worker.pass_time(bench.now_ns, ends)  # the same silence does not count twice
        assert elapsed() == TICK_MS * MS
        bench.wait(2_000)
        bench.worker.pass_time(bench.now_ns, ends)
        await bench.worker.advance()
        last = bench.publisher.signals[-1]
        assert (last.action, last.cause) == ("close", "stale")

    run(test)


def test_no_time_passes_while_records_wait() -> None:
    async def test(bench: Bench) -> None:
        bench.behind(L1, 1)
        bench.offer(bench.wire.batch(*bench.snapshots()))
        await bench.worker.advance()
        bench.wait(TICK_MS)
        assert not bench.worker.is_silent(bench.now_ns)
        bench.worker.pass_time(bench.now_ns, {L1: 0, L2: 0})
        assert bench.engine.controls == 1  # the gate

    run(test)


# ---- acks


def test_a_batch_is_acked_only_when_what_it_caused_is_delivered_and_in_order() -> None:
    async def test(bench: Bench) -> None:
        first, second = bench.snapshots()
        bench.offer(bench.wire.batch(first), "nothing came of it")
        bench.offer(bench.wire.batch(second), "opened")
        bench.offer(bench.wire.batch(bench.larger(1_000)), "nothing again")
        bench.offer(bench.wire.batch(bench.larger(1_500)), "updated")
        await bench.worker.advance()
        settled = bench.worker.settle()
        receipts = bench.publisher.receipts
        assert settled == len([r for r in receipts if not r.done])
        assert "opened" not in bench.acks
        receipts[-1].done = True  # out of order: nothing may overtake
        bench.worker.settle()
        assert "updated" not in bench.acks
        for receipt in receipts:
            receipt.done = True
        assert bench.worker.settle() == 0
        assert bench.acks == ["nothing came of it", "opened", "nothing again", "updated"]

    run(test, instantly=False)


def test_a_batch_without_outputs_is_acked_at_once_when_nothing_is_under_way() -> None:
    async def test(bench: Bench) -> None:
        await bench.worker.advance()  # the gate's event
        bench.worker.settle()
        bench.offer(bench.wire.batch(bench.quote()), "quiet")
        await bench.worker.advance()
        assert bench.acks == ["quiet"]

    run(test)


def test_a_batch_is_not_acked_while_a_part_of_it_waits() -> None:
    async def test(bench: Bench) -> None:
        first, second = bench.snapshots()
        bench.behind(L2, 1)
        bench.offer(bench.wire.batch(bench.quote(), bench.quote()), "quotes")
        bench.offer(bench.wire.batch(first, second), "depth")
        await bench.worker.advance()
        bench.worker.settle()
        assert bench.acks == ["depth"]
        assert bench.worker.waiting == 2
        bench.places[L2] = (2, 2)
        await bench.worker.advance()
        bench.worker.settle()
        assert bench.acks == ["depth", "quotes"]

    run(test)


def test_a_failed_delivery_is_raised_and_nothing_is_acked() -> None:
    async def test(bench: Bench) -> None:
        bench.offer(bench.wire.batch(*bench.snapshots()), "lost")
        await bench.worker.advance()
        for receipt in bench.publisher.receipts:
            receipt.done, receipt.failure = True, RunError("signal[0]: not delivered")
        with pytest.raises(RunError, match="not delivered"):
            bench.worker.settle()
        assert bench.acks == []

    run(test, instantly=False)


# ---- rejects


def test_a_reject_says_where_why_and_how_it_began() -> None:
    async def test(bench: Bench) -> None:
        bad = b"\xc3\x01" + bytes(6_000)
        first, second = bench.snapshots()
        batch = bench.wire.batch(first, bad, second)
        bench.offer(batch)
        await bench.worker.advance()
        (reject,) = [r for _, _, rejects in bench.publisher.published for r in rejects]
        assert (reject.topic, reject.partition, reject.offset) == (L2, 0, 1)
        assert (reject.reason, reject.key) == ("unknown_schema", b"BTC")
        assert (reject.value, reject.size_bytes) == (bad[:REJECTED_BYTES], len(bad))
        assert len(reject.value) == 4_096
        assert reject.timestamp_ms == int(batch.timestamps_ms[1])
        assert bench.worker.counts.rejects == 1
        assert [signal.action for signal in bench.publisher.signals] == ["open"]

    run(test)


# ---- leaving, and controls


def test_what_is_queued_is_dropped_when_it_will_come_again() -> None:
    async def test(bench: Bench) -> None:
        bench.behind(L1, 1)
        bench.offer(bench.wire.batch(*bench.snapshots()), "dropped")
        await bench.worker.advance()
        bench.worker.forget()
        assert bench.worker.waiting == 0
        bench.wait(WAIT_MS)
        await bench.worker.advance()
        assert bench.acks == []
        assert bench.publisher.signals == []
        assert bench.worker.counts.records == 0

    run(test)


def test_a_kill_counts_at_once_and_is_published_in_its_place() -> None:
    async def test(bench: Bench) -> None:
        bench.offer(bench.wire.batch(*bench.snapshots()))
        await bench.worker.advance()
        kill = Command(command_id="k", action=CommandAction.KILL, reason="test", issued_by="test")
        bench.worker.control(Order(kill, 0))
        assert not bench.engine.state.episodes["open"].any()  # before anything is published
        bench.offer(bench.wire.batch(bench.larger(1_500)))
        await bench.worker.advance()
        assert [(s.action, s.cause) for s in bench.publisher.signals] == [
            ("open", "none"),
            ("close", "halted"),
        ]
        closing = next(
            i for i, (s, *_) in enumerate(bench.publisher.published) if s and s[0].signal.cause != "none"
        )
        assert "killed" in [str(e.reason) for e in bench.publisher.published[closing][1]]
        resume = Command(command_id="k", action=CommandAction.RESUME, reason="over", issued_by="test")
        bench.worker.control(Order(resume, 1))
        bench.offer(bench.wire.batch(bench.larger(1_600)))
        await bench.worker.advance()
        assert bench.publisher.signals[-1].action == "open"
        assert [r for r in bench.publisher.reasons if r in ("killed", "resumed")] == ["killed", "resumed"]

    run(test)


def test_outputs_keep_their_order_while_the_publisher_holds_someone_up() -> None:
    async def test(bench: Bench) -> None:
        bench.publisher.hold = asyncio.Event()
        bench.offer(bench.wire.batch(*bench.snapshots()))
        first = asyncio.create_task(bench.worker.advance())
        await asyncio.sleep(0)
        bench.worker.control(Gate(None))
        bench.worker.control(LogStartJumped(1, 2, 9))
        bench.offer(bench.wire.batch(bench.larger(1_500)))
        second = asyncio.create_task(bench.worker.advance())
        await asyncio.sleep(0)
        assert bench.publisher.published == []
        bench.publisher.hold.set()
        await asyncio.gather(first, second)
        assert [(s.action, s.cause) for s in bench.publisher.signals] == [("open", "none"), ("close", "gap")]
        assert bench.publisher.reasons[:1] == ["gate_opened"]
        assert bench.worker.counts.log_start_jumps == 1

    run(test)


def test_a_new_partition_stands_where_commands_stand() -> None:
    async def test(bench: Bench) -> None:
        kill = Command(command_id="k", action=CommandAction.KILL, reason="test", issued_by="test")
        bench.worker.stand(Standing(Standing().latch.apply(kill), None))
        bench.offer(bench.wire.batch(*bench.snapshots()))
        await bench.worker.advance()
        assert bench.publisher.signals == []
        assert "killed" in bench.publisher.reasons

    run(test)
