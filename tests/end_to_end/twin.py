"""One partition's engine over the records that lie in Kafka, in memory: what a worker must publish."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from confluent_kafka import Message

from schemas.batch import Batch
from schemas.topics import partition_of
from strategies.controls import Gate
from strategies.engine import Engine, EngineLimits, Outputs
from strategies.kernels.step import interleave
from strategies.markets import Markets
from streams.config import load_settings
from streams.transport.batches import batch_of

DEFAULTS = load_settings()
LIMITS = EngineLimits(DEFAULTS.receive_ahead_limit_ms, DEFAULTS.time_jump_limit_ms)


def batch(messages: Sequence[Message], topic: str, partition: int) -> Batch:
    """All records of one partition as one batch."""
    own = [m for m in messages if m.partition() == partition]
    return batch_of((topic, partition), own, -1, 0)


def outputs(
    markets: Markets,
    topics: tuple[str, str],
    books: tuple[Sequence[Message], Sequence[Message]],
    partition: int,
    partitions: int,
    epoch: int,
) -> Outputs:
    """What the records of both topics' partition give, taken in the order of receive time."""
    groups = [g for g in markets.group_names() if partition_of(g.encode(), partitions) == partition]
    engine = Engine(markets, groups, partition, epoch, topics, LIMITS)
    engine.control(Gate(None))
    readings = [engine.read(batch(m, t, partition)) for t, m in zip(topics, books, strict=True)]
    l1, l2 = (engine.records_of(reading) for reading in readings)
    order = np.empty(len(l1) + len(l2), np.int64)
    n, *_ = interleave(l1, 0, l2, 0, order, 1, 1)
    return engine.step(order[:n], *readings)


def by_record(signals: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Signals that records set off: what silence closed depends on when it was looked at."""
    return [signal for signal in signals if signal["trigger"]["topic"]]
