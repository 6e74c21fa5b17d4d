"""A worker as a user would write it, whose every batch, ack and assignment is a line of a file.

python -m tests.streams.transport_worker CONFIG.json
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterable
from pathlib import Path
from typing import Any

import faust
import numpy as np

from schemas.batch import Batch
from streams.transport import BatchedApp, TransportSettings


class Journal:
    """One line an event, written at once: what a kill leaves is what happened."""

    def __init__(self, path: str, worker: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._worker = worker

    def write(self, what: str, **fields: Any) -> None:
        line = json.dumps({"what": what, "worker": self._worker, **fields}) + "\n"
        os.write(self._file, line.encode())


def ids_of(batch: Batch) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The tests' values are 8-byte numbers, counted per partition."""
    data = batch.values.data
    index = batch.values.starts[:, None] + np.arange(8)
    return np.ascontiguousarray(data[index]).view(np.int64)[:, 0]


def make_app(config: dict[str, Any]) -> BatchedApp:
    journal = Journal(config["journal"], config["worker"])
    app = BatchedApp(
        config["settings"]["group_id"],
        transport=TransportSettings(**config["settings"]),
        agent_supervisor="mode.CrashingSupervisor",
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        broker_commit_interval=config.get("commit_interval_s", 0.2),
        stream_recovery_delay=0.0,
        datadir=config["datadir"],
    )
    ack_delay_s = config.get("ack_delay_s", 0.0)

    async def books(stream: Any) -> None:
        async for event in stream.noack().events():
            batch = event.value
            assert isinstance(batch, Batch)
            ids = ids_of(batch)
            journal.write(
                "batch",
                topic=batch.topic,
                partition=batch.partition,
                offsets=[batch.first_offset, batch.last_offset],
                ids=[int(ids[0]), int(ids[-1])],
                n=len(batch),
                rising=bool((np.diff(ids) == 1).all() and (np.diff(batch.offsets) > 0).all()),
                epoch=batch.epoch,
                end=batch.end,
                nbytes=int(batch.values.lengths.sum()),
            )
            if ack_delay_s:
                await asyncio.sleep(ack_delay_s)
            if not config.get("never_ack"):
                event.ack()
                journal.write("ack", topic=batch.topic, partition=batch.partition, offset=batch.last_offset)

    for name in config["batched"]:
        app.agent(app.batch_topic(name), name=f"books.{name}", concurrency=1)(books)

    if single := config.get("single"):
        topic = app.topic(
            single, key_type=bytes, value_type=bytes, value_serializer="raw", key_serializer="raw"
        )

        @app.agent(topic)
        async def singles(stream: faust.StreamT[bytes]) -> None:
            events: AsyncIterable[Any] = stream.events()
            async for event in events:
                journal.write(
                    "single",
                    topic=event.message.topic,
                    partition=event.message.partition,
                    offset=event.message.offset,
                    value=event.value.decode(),
                    headers={k: v.decode() for k, v in (event.headers or {}).items()},
                )

    @app.on_log_start_jumped
    def jumped(topic: str, partition: int, from_offset: int, to_offset: int) -> None:
        journal.write("jump", topic=topic, partition=partition, offsets=[from_offset, to_offset])

    @app.on_rebalance_complete.connect
    async def rebalanced(_app: Any, **_: Any) -> None:
        journal.write("assigned", partitions=sorted(map(list, app.consumer.assignment())))

    return app


async def run(config: dict[str, Any]) -> int:
    app = make_app(config)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await app.start()
    stopping = asyncio.ensure_future(stop.wait())
    ends = asyncio.ensure_future(app.wait_until_stopped())
    crashed = asyncio.ensure_future(app._crashed.wait())
    await asyncio.wait((stopping, ends, crashed), return_when=asyncio.FIRST_COMPLETED)
    failed = app.crashed
    await app.stop()
    return 1 if failed else 0


if __name__ == "__main__":
    import logging

    logging.basicConfig(level=logging.INFO)
    sys.exit(asyncio.run(run(json.loads(Path(sys.argv[1]).read_text()))))
