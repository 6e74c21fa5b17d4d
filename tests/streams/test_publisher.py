"""The publisher: only what was approved, delivered or known not to be, bounded where it cannot."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import time
from collections.abc import Awaitable, Callable
from signal import SIGCONT, SIGSTOP

import pytest
from confluent_kafka import Consumer, KafkaError, TopicPartition

from strategies.markets import Limits
from strategies.risk import Approved, Reason, Standing, guard
from strategies.signals import Action, Cause, Origin, RiskEvent, Signal
from streams.broker import Broker, start_embedded
from streams.broker.base import CAPABILITIES
from streams.broker.client import consumer_config
from streams.config import Settings, load_settings
from streams.errors import RunError
from streams.publisher import Publisher, Receipt, Reject
from streams.wire import Wire
from tests.brokers import make_topics

TOPICS = {"signal": 4, "risk.event": 4, "book.reject": 4, "journal": 4}
READ_LIMIT_S = 20.0
WIRE = Wire(load_settings(schema_registry_url=None))


def signal(group: str, sequence: int) -> Signal:
    return Signal(
        signal_id=f"{sequence:032x}",
        episode_id="e" * 32,
        strategy="cross_venue",
        action=Action.CLOSE,
        cause=Cause.EDGE_GONE,
        group=group,
        product="BTC/USDT spot",
        quote="USDT",
        epoch=1,
        sequence=sequence,
        recorded=True,
        time_ns=1,
        valid_until_ns=2,
        gross_edge_bps=0.0,
        net_edge_bps=0.0,
        gross_edge_quote=0.0,
        net_edge_quote=0.0,
        notional_quote=0.0,
        legs=(),
        trigger=Origin("book.l1", 0, sequence),
        inputs=(),
        configuration="0" * 16,
    )


def approved(group: str, sequence: int) -> Approved:
    found = guard(signal(group, sequence), Standing(), Limits())
    assert isinstance(found, Approved)
    return found


def nowhere() -> Broker:
    """A broker that does not answer: a port on which nobody listens."""
    config = {"bootstrap.servers": "127.0.0.1:1", "log_level": "0"}
    return Broker("kafka", "127.0.0.1:1", config, CAPABILITIES["kafka"])


def run(
    broker: Broker,
    settings: Settings,
    scenario: Callable[[Publisher], Awaitable[None]],
) -> None:
    async def whole() -> None:
        publisher = Publisher(broker, settings, WIRE.encode)
        try:
            await asyncio.wait_for(scenario(publisher), 60)
        finally:
            try:
                await publisher.close(10)
            except RunError:
                assert publisher.failure is not None

    asyncio.run(whole())


def read(broker: Broker, topic: str, count: int) -> list[tuple[int, bytes | None, bytes]]:
    """The first `count` records of a topic of four partitions: partition, key, value; by partition."""
    consumer = Consumer(consumer_config(broker, "reader"))
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(4)])
    found: list[tuple[int, bytes | None, bytes]] = []
    deadline = time.monotonic() + READ_LIMIT_S
    while len(found) < count and time.monotonic() < deadline:
        message = consumer.poll(0.1)
        if message is not None:
            assert message.error() is None
            found.append((message.partition() or 0, message.key(), message.value() or b""))
    consumer.close()
    assert len(found) == count
    return sorted(found, key=lambda record: record[0])


def test_everything_arrives_decoded_as_it_was(broker: Broker, topic_prefix: str) -> None:
    make_topics(broker, {topic_prefix + name: count for name, count in TOPICS.items()})
    groups = [f"G{number}" for number in range(20)]
    event = RiskEvent("a" * 32, Reason.GAP, 5, group="G3", value=2.0)
    reject = Reject(b"G5", "book.l2", 3, 7, "truncated", "cut short", 1, 3, b"\x00\x01\x02")

    async def scenario(publisher: Publisher) -> None:
        receipts = []
        for sequence in range(5):
            receipts.append(await publisher.publish([approved(group, sequence) for group in groups]))
        receipts.append(await publisher.publish(events=[event], rejects=[reject]))
        for receipt in receipts:
            await receipt.delivered()
        assert publisher.delivered == 102
        entry = {
            "entry": "claim",
            "partition": 2,
            "writer": "w",
            "configuration": "c",
            "kernels": "k",
        }
        assert [await publisher.journal(entry) for _ in range(3)] == [0, 1, 2]
        assert await publisher.journal({**entry, "partition": 3}) == 0

    run(broker, load_settings(prefix=topic_prefix), scenario)
    signals = read(broker, topic_prefix + "signal", 100)
    course: dict[str, list[int]] = {}
    for partition, key, value in signals:
        record = WIRE.decode("signal", value)
        assert key == record["group"].encode()
        course.setdefault(record["group"], []).append(record["sequence"])
        assert {p for p, k, _ in signals if k == key} == {partition}
    assert course == {group: [0, 1, 2, 3, 4] for group in groups}
    assert [WIRE.decode("risk.event", v) for _, _, v in read(broker, topic_prefix + "risk.event", 1)] == [
        event.record()
    ]
    ((_, key, value),) = read(broker, topic_prefix + "book.reject", 1)
    assert (key, WIRE.decode("book.reject", value)) == (b"G5", reject.record())
    assert [partition for partition, _, _ in read(broker, topic_prefix + "journal", 4)] == [2, 2, 2, 3]


def test_a_step_without_outputs_waits_for_nothing() -> None:
    async def scenario(publisher: Publisher) -> None:
        receipt = await publisher.publish()
        assert receipt.done
        await receipt.delivered()

    run(nowhere(), load_settings(), scenario)


def test_what_the_guard_has_not_approved_is_not_published(embedded: Broker, topic_prefix: str) -> None:
    make_topics(embedded, {topic_prefix + "signal": 4})

    class Forged(Approved):
        def __post_init__(self, seal: object) -> None:
            pass

    async def scenario(publisher: Publisher) -> None:
        plain = signal("BTC", 1)
        looks_alike = dataclasses.make_dataclass("Approved", ["signal"])(plain)
        for wrong in (plain, looks_alike, Forged(plain, None), plain.record()):
            with pytest.raises(TypeError, match="approved"):
                await publisher.publish([approved("BTC", 0), wrong])
        await (await publisher.publish([approved("BTC", 9)])).delivered()

    run(embedded, load_settings(prefix=topic_prefix), scenario)
    ((_, _, value),) = read(embedded, topic_prefix + "signal", 1)
    assert WIRE.decode("signal", value)["sequence"] == 9


def test_what_cannot_be_encoded_sends_nothing_of_its_step(embedded: Broker, topic_prefix: str) -> None:
    make_topics(embedded, {topic_prefix + name: 4 for name in ("signal", "risk.event")})

    async def scenario(publisher: Publisher) -> None:
        bad = RiskEvent("a", Reason.GAP, "no time")
        with pytest.raises(ValueError, match="time_ns"):
            await publisher.publish([approved("BTC", 0)], [bad])
        await (await publisher.publish([approved("BTC", 1)])).delivered()

    run(embedded, load_settings(prefix=topic_prefix), scenario)
    ((_, _, value),) = read(embedded, topic_prefix + "signal", 1)
    assert WIRE.decode("signal", value)["sequence"] == 1


def test_a_broker_that_is_away_ends_in_an_error_and_nothing_later_is_taken() -> None:
    async def scenario(publisher: Publisher) -> None:
        receipt = await publisher.publish([approved("BTC", 0)])
        assert not receipt.done
        with pytest.raises(RunError, match=r"signal.*not delivered"):
            await receipt.delivered()
        with pytest.raises(RunError, match="not delivered"):
            await publisher.publish([approved("BTC", 1)])

    run(nowhere(), load_settings(delivery_limit_ms=1_000), scenario)


def test_a_full_queue_is_waited_for_and_then_an_error() -> None:
    async def scenario(publisher: Publisher) -> None:
        async def eleven() -> None:
            receipt = await publisher.publish([approved("BTC", sequence) for sequence in range(11)])
            await receipt.delivered()  # room may have come when the first ones were given up

        with pytest.raises(RunError, match=r"stayed full for delivery_limit_ms = 1000|not delivered"):
            await eleven()
        assert publisher.delivered == 0

    run(nowhere(), load_settings(delivery_limit_ms=1_000, outgoing_max_records=10), scenario)


def test_a_full_queue_empties(embedded: Broker, topic_prefix: str) -> None:
    make_topics(embedded, {topic_prefix + "signal": 4})

    async def scenario(publisher: Publisher) -> None:
        receipt = await publisher.publish([approved("BTC", sequence) for sequence in range(500)])
        await receipt.delivered()
        assert publisher.delivered == 500

    run(embedded, load_settings(prefix=topic_prefix, outgoing_max_records=10, linger_ms=0), scenario)
    records = read(embedded, topic_prefix + "signal", 500)
    assert [WIRE.decode("signal", value)["sequence"] for _, _, value in records] == list(range(500))


def test_a_broker_that_hangs_loses_and_repeats_nothing(topic_prefix: str) -> None:
    with start_embedded({topic_prefix + "signal": 4}) as broker:
        pid = broker.pid
        assert pid is not None

        async def scenario(publisher: Publisher) -> None:
            receipts = [await publisher.publish([approved("BTC", 0)])]
            await receipts[0].delivered()
            os.kill(pid, SIGSTOP)
            try:
                receipts += [await publisher.publish([approved("BTC", n)]) for n in range(1, 100)]
                await asyncio.sleep(0.5)
                assert not any(receipt.done for receipt in receipts[1:])
            finally:
                os.kill(pid, SIGCONT)
            for receipt in receipts:
                await receipt.delivered()

        run(broker, load_settings(prefix=topic_prefix), scenario)
        records = read(broker, topic_prefix + "signal", 100)
    assert [WIRE.decode("signal", value)["sequence"] for _, _, value in records] == list(range(100))


def test_closing_says_what_was_left() -> None:
    async def scenario() -> None:
        publisher = Publisher(nowhere(), load_settings(), WIRE.encode)
        await publisher.publish([approved("BTC", 0), approved("BTC", 1)])
        with pytest.raises(RunError, match="2 records were not delivered within drain_limit_ms = 50"):
            await publisher.close(50)

    asyncio.run(scenario())


def test_a_refused_record_names_its_topic(kafka: Broker, topic_prefix: str) -> None:
    """max.message.bytes = 1 makes a topic that refuses every write."""
    make_topics(kafka, {topic_prefix + "signal": 4}, {"max.message.bytes": "1"})

    async def scenario(publisher: Publisher) -> None:
        receipt = await publisher.publish([approved("BTC", 0)])
        with pytest.raises(RunError, match=rf"{topic_prefix}signal\[\d\]: not delivered"):
            await receipt.delivered()

    run(kafka, load_settings(prefix=topic_prefix), scenario)


def test_a_receipt_counts_and_keeps_the_first_failure() -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        receipt = Receipt(loop, 3)
        for offset in (4, 5):
            receipt.count_down(None, offset)
            await asyncio.sleep(0)
            assert not receipt.done
        receipt.count_down(None, 6)
        await receipt.delivered()
        assert receipt.offset == 6
        broken = Receipt(loop, 2)
        broken.count_down(RunError("first"))
        broken.count_down(RunError("second"))
        with pytest.raises(RunError, match="first"):
            await broken.delivered()

    asyncio.run(scenario())


def test_a_fatal_fault_of_the_producer_stops_it() -> None:
    async def scenario(publisher: Publisher) -> None:
        publisher._on_error(KafkaError(KafkaError._TRANSPORT, "away", fatal=False))
        await publisher.publish()
        assert publisher.failure is None
        publisher._on_error(KafkaError(KafkaError._FATAL, "fenced", fatal=True))
        with pytest.raises(RunError, match="cannot go on: fenced"):
            await publisher.publish([approved("BTC", 0)])

    run(nowhere(), load_settings(), scenario)
