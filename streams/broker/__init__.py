"""Where Kafka comes from: a given address, a local JVM, or the embedded default."""

from __future__ import annotations

from streams.broker.base import Broker, Capability, Kind
from streams.broker.choose import find_broker, open_broker
from streams.broker.embedded import start_embedded
from streams.broker.jvm import start_jvm

__all__ = ["Broker", "Capability", "Kind", "open_broker", "find_broker", "start_embedded", "start_jvm"]
