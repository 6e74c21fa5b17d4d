"""Faust's way in, over librdkafka: an agent gets a partition's records as one batch.

`BatchedApp` is a Faust app on this transport; `BatchedApp.batch_topic` names a topic whose events hold a
`schemas.batch.Batch`. All its other topics get single records, as Faust does it.
"""

from __future__ import annotations

from streams.transport.app import BatchedApp, Transport
from streams.transport.client import Client, Jump, Record, Records
from streams.transport.consumer import BatchConsumer
from streams.transport.settings import TransportSettings

__all__ = [
    "BatchConsumer",
    "BatchedApp",
    "Client",
    "Jump",
    "Record",
    "Records",
    "Transport",
    "TransportSettings",
]
