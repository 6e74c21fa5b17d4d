"""The way to `book.l1` and `book.l2`: an idempotent producer that stops at the first failed delivery."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from schemas.batch import Ints, Messages
from schemas.topics import BOOK_L1, BOOK_L2
from streams.broker.base import Broker
from streams.broker.client import producer_config
from streams.errors import RunError

BOOK_TOPICS = (BOOK_L1.name, BOOK_L2.name)  # by level
METADATA_LIMIT_S = 5.0
FULL_POLL_S = 0.01
LINGER_MS = 5  # at 0 each record is a request, and broker and client fill two cores at some 2,000/s


class _Reports:
    """The first failure of a producer. Apart from `Sink`: a callback that holds it would keep it for ever."""

    def __init__(self) -> None:
        self.failure: RunError | None = None

    def delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None and self.failure is None:
            self.failure = RunError(f"{message.topic()}: not delivered: {error.str()}")

    def failed(self, error: KafkaError) -> None:
        if error.fatal() and self.failure is None:
            self.failure = RunError(f"the producer cannot go on: {error.str()}")


class Sink:
    """Sends book updates to the topics of `prefix`. Use it from one thread.

    Raises RunError where the broker does not answer or the topics are not there.
    """

    def __init__(self, broker: Broker, prefix: str = "", *, delivery_limit_ms: int = 30_000) -> None:
        self.sent = 0
        self.topics = tuple(prefix + name for name in BOOK_TOPICS)
        self._limit_ms = delivery_limit_ms
        self._reports = _Reports()
        config: dict[str, Any] = {
            **producer_config(broker, linger_ms=LINGER_MS, delivery_timeout_ms=delivery_limit_ms),
            "delivery.report.only.error": True,  # a call into Python for each of 100,000/s is too dear
            "on_delivery": self._reports.delivered,
            "error_cb": self._reports.failed,
            "log_level": 0,  # what ends us is raised; librdkafka would repeat the rest 20 times a second
        }
        self._producer = Producer(config)
        self._check_topics(broker)

    def send(self, topic: str, key: bytes, value: bytes) -> None:
        """Hand one record over; waits while the queue is full. Raises RunError once a delivery has failed."""
        deadline = 0.0
        while True:
            if self._reports.failure is not None:
                raise self._reports.failure
            try:
                self._producer.produce(topic, value, key)
            except BufferError:
                deadline = deadline or time.monotonic() + self._limit_ms / 1_000
                if time.monotonic() > deadline:
                    raise RunError(f"{topic}: nothing was delivered for {self._limit_ms} ms") from None
                self._producer.poll(FULL_POLL_S)
            except KafkaException as fault:
                raise RunError(f"{topic}: not sent: {fault.args[0].str()}") from None
            else:
                self.sent += 1
                return

    def send_batch(
        self, messages: Messages, levels: Ints, books: Ints, keys: list[tuple[bytes, ...]]
    ) -> None:
        """Send message i to the topic of `levels[i]`, once under each key of `keys[books[i]]`."""
        data = messages.data.tobytes()
        ends = (messages.starts + messages.lengths).tolist()
        for start, end, level, book in zip(
            messages.starts.tolist(), ends, levels.tolist(), books.tolist(), strict=True
        ):
            for key in keys[book]:
                self.send(self.topics[level], key, data[start:end])
        self._producer.poll(0)

    def waiting(self) -> int:
        """How many records are not delivered yet."""
        return len(self._producer)

    def close(self) -> None:
        """Deliver what is left. Raises RunError where that fails."""
        deadline = time.monotonic() + self._limit_ms / 1_000
        while len(self._producer) and self._reports.failure is None and time.monotonic() < deadline:
            self._producer.flush(0.1)
        if self._reports.failure is not None:
            raise self._reports.failure
        if left := len(self._producer):
            raise RunError(f"{left} records were not delivered within {self._limit_ms} ms")

    def _check_topics(self, broker: Broker) -> None:
        try:
            there = self._producer.list_topics(timeout=METADATA_LIMIT_S).topics
        except KafkaException as fault:
            raise RunError(f"{broker.bootstrap}: no answer: {fault.args[0].str()}; is it running?") from None
        for name in self.topics:
            if name not in there or there[name].error is not None:
                raise RunError(f"topic {name} does not exist; make it with `interlayer topics create`")
        counts = {name: len(there[name].partitions) for name in self.topics}
        if len(set(counts.values())) > 1:
            told = ", ".join(f"{name} has {count}" for name, count in counts.items())
            raise RunError(f"the book topics must have equally many partitions: {told}")


def group_keys(groups: Iterable[str]) -> tuple[bytes, ...]:
    """Keys of a book: its groups' names."""
    return tuple(group.encode() for group in groups)
