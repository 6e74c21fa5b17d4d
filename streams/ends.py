"""Where partitions end, asked of the broker by a handle of its own, so that no fetch delays the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]  # not in its __all__

from streams.broker import Broker
from streams.broker.client import client_config
from streams.logs import logger

log = logger(__name__)

ANSWER_LIMIT_S = 2.0


class Ends:
    """One request for all partitions asked about."""

    def __init__(self, broker: Broker) -> None:
        self._client = AdminClient(client_config(broker))

    async def ask(self, partitions: Iterable[tuple[str, int]]) -> dict[tuple[str, int], int]:
        """High watermark of each (topic, partition); one that got no answer in time is left out."""
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # it has no types
        wanted = {TopicPartition(topic, number): latest for topic, number in partitions}
        futures = self._client.list_offsets(wanted, request_timeout=ANSWER_LIMIT_S)
        ends = {}
        for partition, future in futures.items():
            try:
                found = await asyncio.wait_for(asyncio.wrap_future(future), ANSWER_LIMIT_S)
            except (KafkaException, TimeoutError) as error:
                log.info("no end of a partition", partition=str(partition), reason=str(error))
                continue
            ends[partition.topic, partition.partition] = found.offset
        return ends
