"""The command line for tests: what a command said, and records for it to find."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Producer

from streams.broker import Broker
from streams.broker.client import producer_config
from streams.config import load_settings
from streams.wire import Wire

WIRE = Wire(load_settings(schema_registry_url=None))
LIMIT_S = 30.0


@dataclass
class Said:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Interlayer = Callable[..., Said]


def put(broker: Broker, topic: str, *values: tuple[str | None, bytes | None]) -> None:
    """Write records (key, value) and return when they are delivered."""
    producer = Producer(producer_config(broker))
    for key, value in values:
        producer.produce(topic, value, key)
    assert producer.flush(LIMIT_S) == 0
