"""The way out: approved signals, risk events, rejects and journal entries, delivered or known not to be."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from strategies.risk import Approved
from strategies.signals import RiskEvent
from streams.broker import Broker
from streams.broker.client import producer_config
from streams.config import Settings
from streams.errors import RunError
from streams.logs import logger

log = logger(__name__)

SIGNAL = "signal"
RISK_EVENT = "risk.event"
REJECT = "book.reject"
JOURNAL = "journal"

POLL_S = 0.1  # how long the poll thread sleeps in librdkafka when nothing is delivered
FULL_PAUSE_S = 0.005  # between two attempts at a full queue; librdkafka empties it at 100,000/s and more
TOLD_AGAIN_S = 10.0  # an error of the connection comes ten times a second while the broker is away

Encode = Callable[[str, dict[str, Any]], bytes]


@dataclass(frozen=True, slots=True)
class Reject:
    """A record that was refused; mirrors Reject.avsc, with the key of the record it was."""

    key: bytes | None
    topic: str
    partition: int
    offset: int
    reason: str
    detail: str
    timestamp_ms: int
    size_bytes: int
    value: bytes

    def record(self) -> dict[str, Any]:
        """As fastavro takes it."""
        return {
            "topic": self.topic,
            "partition": self.partition,
            "offset": self.offset,
            "reason": self.reason,
            "detail": self.detail,
            "timestamp_ms": self.timestamp_ms,
            "size_bytes": self.size_bytes,
            "value": self.value,
        }


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One encoded record. `partition` -1 leaves the choice to the key (murmur2)."""

    topic: str
    key: bytes | None
    value: bytes
    partition: int = -1


class Receipt:
    """Delivery of all that one step put out: one future, however many records.

    `count` is fixed before the first record is handed over, and only the poll thread counts it down.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, count: int) -> None:
        self._loop = loop
        self._outstanding = count
        self._failure: RunError | None = None
        self.offset = -1  # of the record delivered last
        self._delivered: asyncio.Future[None] = loop.create_future()
        # A failure nobody awaits is kept by the publisher as well; it need not be logged once more.
        self._delivered.add_done_callback(lambda future: future.cancelled() or future.exception())
        if count == 0:
            self._delivered.set_result(None)

    @property
    def done(self) -> bool:
        """Whether all was delivered, or something failed."""
        return self._delivered.done()

    def check(self) -> None:
        """Raise RunError where a record is known to have failed."""
        if self._failure is not None:
            raise self._failure

    async def delivered(self) -> None:
        """Return when the broker has confirmed every record. Raises RunError where one failed."""
        await asyncio.shield(self._delivered)

    def count_down(self, failure: RunError | None, offset: int = -1) -> None:
        """One record was delivered or failed; called in the poll thread."""
        self._outstanding -= 1
        self.offset = offset
        self._failure = self._failure or failure
        if self._outstanding == 0 or failure is not None:
            self._tell()

    def _tell(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._settle)
        except RuntimeError:
            log.warning("delivered after the end of the event loop", outstanding=self._outstanding)

    def _settle(self) -> None:
        if self._delivered.done():
            return
        if self._failure is not None:
            self._delivered.set_exception(self._failure)
        else:
            self._delivered.set_result(None)


class Publisher:
    """An idempotent producer with a poll thread of its own. Use it within one event loop.

    `encode` turns a topic's name without prefix and a record into bytes (`streams.wire.Wire.encode`).

    A full queue is waited for at most `delivery_limit_ms`. The first failed delivery is kept in `failure`:
    from then on nothing is taken, since what comes later must not overtake what was lost.
    """

    def __init__(self, broker: Broker, settings: Settings, encode: Encode) -> None:
        self.failure: RunError | None = None
        self.delivered = 0
        self._told: dict[str, float] = {}
        self._encode = encode
        self._settings = settings
        config = producer_config(
            broker,
            linger_ms=settings.linger_ms,
            queue_buffering_max_messages=settings.outgoing_max_records,
            delivery_timeout_ms=settings.delivery_limit_ms,
        )
        config["error_cb"] = self._on_error
        self._producer = Producer(config, logger=logging.getLogger("librdkafka"))
        self._end_by: float | None = None
        self._thread = threading.Thread(target=self._poll, name="publisher", daemon=True)
        self._thread.start()

    async def publish(
        self,
        signals: Iterable[Approved] = (),
        events: Iterable[RiskEvent] = (),
        rejects: Iterable[Reject] = (),
    ) -> Receipt:
        """Hand over what one step put out; the receipt tells when it is delivered.

        Raises TypeError for a signal that the guard has not approved, before anything is handed over, and
        RunError where the queue stays full for `delivery_limit_ms` or a delivery has failed before.
        """
        records = [self._signal(signal) for signal in signals]
        records += [self._event(event) for event in events]
        records += [self._outgoing(REJECT, reject.key, reject.record()) for reject in rejects]
        return await self._send(records)

    async def journal(self, entry: dict[str, Any]) -> int:
        """Write a journal entry to its partition and return its offset once it is delivered."""
        value = self._encode(JOURNAL, entry)
        record = Outgoing(self._settings.named(JOURNAL), None, value, entry["partition"])
        receipt = await self._send([record])
        await receipt.delivered()
        return receipt.offset

    async def close(self, limit_ms: int) -> None:
        """Deliver what is on its way and end. Raises RunError where records are left after `limit_ms`."""
        self._end_by = time.monotonic() + limit_ms / 1_000
        await asyncio.to_thread(self._thread.join)
        if self.failure is not None:
            raise self.failure
        if left := len(self._producer):
            raise RunError(f"{left} records were not delivered within drain_limit_ms = {limit_ms}")

    def _signal(self, approved: Approved) -> Outgoing:
        if type(approved) is not Approved:
            raise TypeError(f"only what the guard has approved is published, not {type(approved).__name__}")
        signal = approved.signal
        return self._outgoing(SIGNAL, signal.group.encode(), signal.record())

    def _event(self, event: RiskEvent) -> Outgoing:
        return self._outgoing(RISK_EVENT, event.group.encode(), event.record())

    def _outgoing(self, topic: str, key: bytes | None, record: dict[str, Any]) -> Outgoing:
        return Outgoing(self._settings.named(topic), key, self._encode(topic, record))

    async def _send(self, records: list[Outgoing]) -> Receipt:
        receipt = Receipt(asyncio.get_running_loop(), len(records))
        report = partial(self._on_delivery, receipt)
        for record in records:
            if self.failure is not None:
                raise self.failure
            await self._produce(record, report)
        return receipt

    async def _produce(self, record: Outgoing, report: Callable[[KafkaError | None, Message], None]) -> None:
        limit_ms = self._settings.delivery_limit_ms
        deadline = time.monotonic() + limit_ms / 1_000
        while not self._try(record, report):
            if time.monotonic() >= deadline:
                text = f"{record.topic}: the queue stayed full for delivery_limit_ms = {limit_ms}"
                raise self._fail(RunError(f"{text}; is the broker there?"))
            await asyncio.sleep(FULL_PAUSE_S)

    def _try(self, record: Outgoing, report: Callable[[KafkaError | None, Message], None]) -> bool:
        """Hand one record to librdkafka; False where its queue is full."""
        try:
            self._producer.produce(
                record.topic, record.value, record.key, record.partition, on_delivery=report
            )
        except BufferError:
            return False
        except KafkaException as error:
            raise self._fail(RunError(f"{record.topic}: not published: {error.args[0].str()}")) from None
        return True

    def _fail(self, failure: RunError) -> RunError:
        """Keep the first failure; it is raised to whoever publishes next."""
        if self.failure is None:
            self.failure = failure
            log.error("publishing failed", reason=str(failure))
        return self.failure

    def _on_delivery(self, receipt: Receipt, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            partition = message.partition()  # none where the topic's partitions were never learnt
            where = f"{message.topic()}" + (
                f"[{partition}]" if partition is not None and partition >= 0 else ""
            )
            receipt.count_down(self._fail(RunError(f"{where}: not delivered: {error.str()}")))
            return
        self.delivered += 1
        receipt.count_down(None, message.offset() or 0)

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal():
            self._fail(RunError(f"the producer cannot go on: {error.str()}"))
        elif time.monotonic() >= self._told.get(error.name(), 0.0) + TOLD_AGAIN_S:
            self._told[error.name()] = time.monotonic()
            log.warning("producer", error=error.name(), reason=error.str())

    def _poll(self) -> None:
        """Serve delivery reports, here alone: in two threads a receipt would be counted down wrongly."""
        while self._end_by is None or (len(self._producer) and time.monotonic() < self._end_by):
            self._producer.poll(POLL_S)
