"""A key lies in the same partition number whoever produces it: our producers, aiokafka, and the formula."""

from __future__ import annotations

import asyncio
import random

from aiokafka import AIOKafkaProducer
from confluent_kafka import Message, Producer

from schemas.topics import partition_of
from streams.broker import Broker
from streams.broker.client import producer_config
from tests.brokers import make_topics

PARTITIONS = 7


def keys() -> list[bytes]:
    """Groups as they are named, and random bytes of every length that murmur2 treats in its own way."""
    source = random.Random(5)
    named = [b"BTC", b"ETH", "€-ü".encode(), b"spot.SOL-USDC", b"x" * 300]
    return named + [source.randbytes(length) for length in range(1, 33) for _ in range(4)]


def by_librdkafka(broker: Broker, topic: str) -> dict[bytes, int]:
    found: dict[bytes, int] = {}

    def delivered(error: object, message: Message) -> None:
        assert error is None
        key, partition = message.key(), message.partition()
        assert isinstance(key, bytes)
        assert partition is not None
        found[key] = partition

    producer = Producer(producer_config(broker))
    for key in keys():
        producer.produce(topic, b"", key=key, on_delivery=delivered)
    assert producer.flush(20) == 0
    return found


async def by_aiokafka(broker: Broker, topic: str) -> dict[bytes, int]:
    producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap)
    await producer.start()
    try:
        waiting = {key: await producer.send(topic, b"", key=key) for key in keys()}
        return {key: (await future).partition for key, future in waiting.items()}
    finally:
        await producer.stop()


def test_all_producers_agree_on_the_partition_of_a_key(broker: Broker, topic_prefix: str) -> None:
    topic = f"{topic_prefix}keys"
    make_topics(broker, {topic: PARTITIONS})
    expected = {key: partition_of(key, PARTITIONS) for key in keys()}
    assert set(expected.values()) == set(range(PARTITIONS))
    assert by_librdkafka(broker, topic) == expected
    assert asyncio.run(by_aiokafka(broker, topic)) == expected
