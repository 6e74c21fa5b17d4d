"""A Faust app on this transport."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import faust
import structlog
from confluent_kafka import libversion
from faust.transport.base import Producer as BaseProducer
from faust.transport.drivers.aiokafka import Producer as AIOKafkaProducer
from faust.transport.drivers.aiokafka import Transport as AIOKafkaTransport
from faust.types import RecordMetadata, TopicT

from streams.transport.client import Client, Jump
from streams.transport.confluent import ConfluentClient
from streams.transport.consumer import BatchConsumer
from streams.transport.counters import Counters
from streams.transport.settings import TransportSettings

log = structlog.get_logger("streams.transport")

LogStartJumped = Callable[[str, int, int, int], None]
"""Called with topic, partition, the offset we stood at and the log's start, from which it goes on."""


class LazyProducer(AIOKafkaProducer):
    """Faust's own producer, for Faust's own needs: it connects when first used.

    A worker that publishes through librdkafka needs no second client, nor its TLS and SASL settings.
    """

    async def on_start(self) -> None:
        self._connecting = asyncio.Lock()
        await BaseProducer.on_start(self)

    async def _connect(self) -> None:
        async with self._connecting:
            if self._producer is None:
                await super().on_start()

    async def send(self, *args: Any, **kwargs: Any) -> Awaitable[RecordMetadata]:
        await self._connect()
        return await super().send(*args, **kwargs)

    async def create_topic(self, *args: Any, **kwargs: Any) -> None:
        await self._connect()
        await super().create_topic(*args, **kwargs)

    def supports_headers(self) -> bool:
        """Every Kafka since 0.11 does, and no older one knows librdkafka's fetches."""
        return True


class Transport(AIOKafkaTransport):
    """Consumes through librdkafka."""

    Consumer = BatchConsumer
    Producer = LazyProducer
    driver_version = f"librdkafka={libversion()[0]}"
    app: BatchedApp

    @property
    def settings(self) -> TransportSettings:
        return self.app.transport_settings

    def batched(self, topic: str) -> bool:
        """Whether `topic` reaches its agents in batches."""
        return topic in self.app.batched_topics

    def new_client(self, settings: TransportSettings, counters: Counters) -> Client:
        """The member of the group; called in the thread that will own it."""
        return ConfluentClient(settings, self.batched, counters)

    def log_start_jumped(self, jump: Jump) -> None:
        log.warning(
            "log start jumped", topic=jump.topic, partition=jump.partition,
            from_offset=jump.from_offset, to_offset=jump.to_offset,
        )  # fmt: skip
        for hook in self.app.log_start_hooks:
            hook(jump.topic, jump.partition, jump.from_offset, jump.to_offset)


class _Schema(faust.Schema[Any, Any]):
    """Keys and values as they are: a batch, or bytes."""

    def loads_key(self, app: Any, message: Any, **_: Any) -> Any:
        return message.key

    def loads_value(self, app: Any, message: Any, **_: Any) -> Any:
        return message.value


class BatchedApp(faust.App):
    """A Faust app some of whose topics are read in batches.

    The group is `transport.group_id`, whatever the app's id. One stream a topic, please: of two, the slower
    one's skipped events would count as processed.
    """

    consumer: BatchConsumer

    def __init__(self, id: str, *, transport: TransportSettings, **options: Any) -> None:  # noqa: A002  Faust's
        self.transport_settings = transport
        self.batched_topics: set[str] = set()
        self.log_start_hooks: list[LogStartJumped] = []
        servers = transport.servers.split(",")
        super().__init__(id, broker=[f"kafka://{server}" for server in servers], **options)

    def batch_topic(self, name: str, **options: Any) -> TopicT:
        """A topic whose events hold a `schemas.batch.Batch` as their value, and no key."""
        self.batched_topics.add(name)
        return self.topic(name, schema=_Schema(), **options)

    def on_log_start_jumped(self, hook: LogStartJumped) -> LogStartJumped:
        """Have `hook` called where records were deleted before we read them.

        On the event loop, after all that was read before was handed over; batches from `to_offset` on follow.
        """
        self.log_start_hooks.append(hook)
        return hook

    def _new_transport(self) -> Transport:
        return Transport(self.conf.broker_consumer, self)

    def _create_directories(self) -> None:
        """None: nothing of ours is in Faust's tables, and a folder nobody uses would lie about."""
