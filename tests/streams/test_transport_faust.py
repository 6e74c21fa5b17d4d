"""One Faust app in this process: back-pressure, seeks while it runs, pauses, what holds a partition up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from faust.types import TP

from schemas.batch import Batch
from streams.broker import Broker
from streams.errors import RunError, UserError
from streams.transport import BatchedApp
from tests.brokers import make_topics
from tests.streams.transport_kit import committed, produce_ids, producer_for, transport_settings
from tests.streams.transport_worker import ids_of

pytestmark = pytest.mark.kafka
TOTAL = 30_000
Handler = Callable[[Any], Coroutine[Any, Any, None]]


def app_for(
    broker: Broker, group: str, folder: Path, topics: list[str], handler: Handler, **changes: Any
) -> Any:
    app = BatchedApp(
        group,
        transport=transport_settings(broker, group, **changes),
        agent_supervisor="mode.CrashingSupervisor",
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        broker_commit_interval=0.2,
        stream_recovery_delay=0.0,
        datadir=str(folder),
    )

    for topic in topics:

        async def books(stream: Any) -> None:
            async for event in stream.noack().events():
                await handler(event)

        app.agent(app.batch_topic(topic), name=topic)(books)
    return app


@asynccontextmanager
async def running(app: BatchedApp) -> AsyncIterator[BatchedApp]:
    await app.start()
    try:
        yield app
    finally:
        await app.stop()


async def until(condition: Callable[[], bool], what: str, limit_s: float = 20) -> None:
    deadline = asyncio.get_running_loop().time() + limit_s
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, f"not within {limit_s} s: {what}"
        await asyncio.sleep(0.01)


def fill(broker: Broker, topics: dict[str, int], count: int) -> None:
    make_topics(broker, topics)
    producer = producer_for(broker)
    for topic, partitions in topics.items():
        for partition in range(partitions):
            produce_ids(producer, topic, partition, range(count))
    assert producer.flush(20) == 0


def test_a_slow_agent_bounds_what_is_held(broker: Broker, topic_prefix: str, tmp_path: Path) -> None:
    topic = topic_prefix + "l1"
    fill(broker, {topic: 2}, 20_000)
    seen: dict[int, list[int]] = {0: [], 1: []}
    most = 0

    async def slow(event: Any) -> None:
        nonlocal most
        most = max(most, app.consumer.poller.in_flight.records)
        seen[event.value.partition] += ids_of(event.value).tolist()
        await asyncio.sleep(0.005)
        event.ack()

    app = app_for(
        broker,
        topic_prefix + "g",
        tmp_path,
        [topic],
        slow,
        in_flight_max_records=4_000,
        batch_max_records=500,
    )

    async def main() -> None:
        async with running(app):
            await until(lambda: all(len(ids) >= 20_000 for ids in seen.values()), "all seen")
            await until(lambda: app.consumer.poller.in_flight.records == 0, "all counted back")
            assert app.consumer.progress(topic, 0) == (20_000, 20_000)

    asyncio.run(main())
    assert seen == {0: list(range(20_000)), 1: list(range(20_000))}
    assert most <= 4_000 + 10_001  # the limit and one poll's worth


def test_a_partition_that_waits_does_not_starve_the_other(
    broker: Broker, topic_prefix: str, tmp_path: Path
) -> None:
    """As in the join of two topics: l1 is held until all of l2 has come, and must not fill the room."""
    one, other = topic_prefix + "l1", topic_prefix + "l2"
    fill(broker, {one: 1, other: 1}, TOTAL)
    held: list[Any] = []
    seen: dict[str, list[int]] = {one: [], other: []}
    ahead = 0

    async def join(event: Any) -> None:
        seen[event.value.topic] += ids_of(event.value).tolist()
        nonlocal ahead
        if event.value.topic == one and len(seen[other]) < TOTAL:
            held.append(event)
            ahead = len(seen[one])
            return
        await asyncio.sleep(0.001)
        event.ack()
        if len(seen[other]) >= TOTAL:
            while held:
                held.pop(0).ack()

    app = app_for(
        broker,
        topic_prefix + "g",
        tmp_path,
        [one, other],
        join,
        in_flight_max_records=1_000,
        stall_ms=50,
        batch_max_records=1_000,
    )

    async def main() -> None:
        async with running(app):
            await until(lambda: all(len(ids) >= TOTAL for ids in seen.values()), "both whole")
            await until(lambda: app.consumer._places[TP(one, 0)].committed == TOTAL, "committed")

    asyncio.run(main())
    assert seen == {one: list(range(TOTAL)), other: list(range(TOTAL))}
    assert ahead <= 1_000 + 2 * 10_001  # the limit, and what two polls bring at once


def test_a_seek_while_batches_are_on_their_way_shows_nothing_old(
    broker: Broker, topic_prefix: str, tmp_path: Path
) -> None:
    topic = topic_prefix + "l1"
    fill(broker, {topic: 1}, 5_000)
    seen: dict[int, list[int]] = {}
    order: list[int] = []

    async def slow(event: Any) -> None:
        batch: Batch = event.value
        order.append(batch.epoch)
        seen.setdefault(batch.epoch, []).extend(ids_of(batch).tolist())
        await asyncio.sleep(0.002)
        event.ack()

    app = app_for(broker, topic_prefix + "g", tmp_path, [topic], slow, batch_max_records=100)

    async def main() -> None:
        async with running(app):
            targets = [4_000, 10, 3_000, 700]
            for target in targets:
                await until(lambda: len(seen.get(max(seen, default=0), [])) >= 200, "some seen")
                known = set(seen)
                await app.consumer.seek(TP(topic, 0), target)
                before = len(order)
                await until(lambda known=known: set(seen) != known, "the new place is read")
                assert order[before] > max(known)  # what waited in the agent's queue was skipped
            await until(lambda: seen[max(seen)][-1] == 4_999, "read to the end")
            assert [seen[epoch][0] for epoch in sorted(seen)][1:] == targets
            await until(lambda: app.consumer._places[TP(topic, 0)].committed == 5_000, "committed")

    asyncio.run(main())
    assert order == sorted(order)
    for ids in seen.values():
        assert ids == list(range(ids[0], ids[0] + len(ids)))


def test_a_paused_partition_waits_and_the_member_stays(
    broker: Broker, topic_prefix: str, tmp_path: Path
) -> None:
    topic = topic_prefix + "l1"
    fill(broker, {topic: 2}, 100)
    seen: dict[int, list[int]] = {0: [], 1: []}

    async def take(event: Any) -> None:
        seen[event.value.partition] += ids_of(event.value).tolist()
        event.ack()

    app = app_for(
        broker,
        topic_prefix + "g",
        tmp_path,
        [topic],
        take,
        extra={
            "max.poll.interval.ms": 2_500,
            **{k: v for k, v in broker.config.items() if "bootstrap" not in k},
        },
    )

    async def main() -> None:
        async with running(app):
            await until(lambda: all(len(ids) == 100 for ids in seen.values()), "all seen")
            app.consumer.pause_partitions({TP(topic, 0)})
            producer = producer_for(broker)
            for partition in (0, 1):
                produce_ids(producer, topic, partition, range(100, 200))
            assert producer.flush(10) == 0
            await until(lambda: len(seen[1]) == 200, "the other goes on")
            await until(lambda: app.consumer.progress(topic, 0) == (100, 200), "it is known to be behind")
            await asyncio.sleep(3)  # longer than max.poll.interval.ms
            assert len(seen[0]) == 100
            app.consumer.resume_partitions({TP(topic, 0)})
            await until(lambda: len(seen[0]) == 200, "it goes on")
            assert app.consumer.counters.rebalances == 1

    asyncio.run(main())
    assert seen == {0: list(range(200)), 1: list(range(200))}


def test_a_batch_that_is_never_done_does_not_hold_up_the_end(
    broker: Broker, topic_prefix: str, tmp_path: Path
) -> None:
    topic = topic_prefix + "l1"
    fill(broker, {topic: 1}, 100)
    taken: list[Any] = []

    async def take(event: Any) -> None:
        taken.append(event)
        if len(taken) == 1:
            event.ack()

    app = app_for(
        broker, topic_prefix + "g", tmp_path, [topic], take, batch_max_records=40, drain_limit_ms=300
    )

    async def main() -> None:
        async with asyncio.timeout(20):
            async with running(app):
                await until(lambda: len(taken) == 3, "all taken")

    asyncio.run(main())
    assert committed(broker, topic_prefix + "g", topic, 1) == [40]
    assert not app.consumer.poller.is_alive()


def test_a_failing_agent_ends_the_worker_and_its_batch_comes_again(
    broker: Broker, topic_prefix: str, tmp_path: Path
) -> None:
    topic = topic_prefix + "l1"
    fill(broker, {topic: 1}, 1_000)
    seen: list[int] = []
    fail = True

    async def fragile(event: Any) -> None:
        if fail and len(seen) >= 500:
            raise RuntimeError("a fault of the agent")
        seen.extend(ids_of(event.value).tolist())
        event.ack()

    async def main(goal: int) -> None:
        limits = {"batch_max_records": 100, "drain_limit_ms": 200}
        app = app_for(broker, topic_prefix + "g", tmp_path, [topic], fragile, **limits)
        async with running(app):
            await until(lambda: app.crashed or len(seen) >= goal, "ended")
            assert app.crashed is fail

    asyncio.run(main(1_000))
    assert seen == list(range(500))
    fail = False
    asyncio.run(main(1_000))
    assert seen == list(range(1_000))


def test_a_fault_of_the_client_ends_the_worker(broker: Broker, topic_prefix: str, tmp_path: Path) -> None:
    async def take(_: Any) -> None: ...

    topic = topic_prefix + "l1"
    make_topics(broker, {topic: 1})
    app = app_for(broker, topic_prefix + "g", tmp_path, [topic], take)

    def broken(_: float) -> list[Any]:
        raise RunError("fenced by another member")

    async def main() -> None:
        async with running(app):
            await until(lambda: bool(app.consumer.assignment()), "assigned")
            app.consumer.poller._client.poll = broken
            await until(lambda: app.crashed, "crashed")
            assert "fenced" in str(app._crash_reason)
            with pytest.raises(RunError, match="closed"):
                await app.consumer.highwaters(TP(topic, 0))

    asyncio.run(main())


def test_fausts_own_producer_connects_when_it_is_used(
    broker: Broker, topic_prefix: str, tmp_path: Path
) -> None:
    topic = topic_prefix + "l1"
    make_topics(broker, {topic: 1})
    seen: list[bytes | None] = []

    async def take(event: Any) -> None:
        seen.extend(event.value.values[i] for i in range(len(event.value)))
        event.ack()

    app = app_for(broker, topic_prefix + "g", tmp_path, [topic], take)

    async def main() -> None:
        async with running(app):
            assert app.producer._producer is None
            await app.topic(topic, value_serializer="raw").send(value=b"one", headers={"h": b"1"})
            await until(lambda: seen == [b"one"], "sent and seen")

    asyncio.run(main())


def test_tables_are_refused(broker: Broker, topic_prefix: str, tmp_path: Path) -> None:
    async def take(_: Any) -> None: ...

    app = app_for(broker, topic_prefix + "g", tmp_path, [topic_prefix + "l1"], take)
    app.Table("state")

    async def main() -> None:
        with pytest.raises(UserError, match=r"tables \(state\) do not recover"):
            await app.consumer.on_start()

    asyncio.run(main())
