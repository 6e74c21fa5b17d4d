"""Reading a topic outside any group, for commands that look: from here, up to there, within a limit."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from streams.broker import Broker
from streams.broker.client import consumer_config
from streams.errors import RunError, UserError

POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Ends:
    """A partition's first offset, and the one that its next record will get."""

    start: int
    end: int


class Reader:
    """Reads one topic of `broker`; `topic` is its full name. A context manager.

    Raises UserError where there is no such topic, RunError where the broker is silent for `limit_s`.
    """

    def __init__(self, broker: Broker, topic: str, limit_s: float) -> None:
        self.topic = topic
        self._bootstrap = broker.bootstrap
        self._limit_s = limit_s
        config = consumer_config(
            broker,
            f"{topic}.look",  # required by the client; it neither joins nor commits
            enable_partition_eof=True,
            fetch_wait_max_ms=20,  # the queries for the ends wait behind a fetch
            allow_auto_create_topics=False,
        )
        self._consumer = Consumer({**config, "log_level": 0})  # what goes wrong is said in our own words

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()

    def ends(self) -> dict[int, Ends]:
        """Both ends of every partition, as they are now."""
        try:
            found = self._consumer.list_topics(self.topic, self._limit_s).topics[self.topic]
            if found.error is not None or not found.partitions:
                raise UserError(
                    f"no topic {self.topic} at {self._bootstrap}; `interlayer topics create` makes it"
                )
            return {number: self._ends_of(number) for number in sorted(found.partitions)}
        except KafkaException as error:
            raise self._silent(error.args[0].str()) from None

    def _ends_of(self, number: int) -> Ends:
        return Ends(
            *self._consumer.get_watermark_offsets(TopicPartition(self.topic, number), timeout=self._limit_s)
        )

    def until(self, starts: Mapping[int, int], ends: Mapping[int, int]) -> Iterator[Message]:
        """Records from `starts` up to and without `ends`, by partition; partitions interleave."""
        open_ones = {number: end for number, end in ends.items() if starts[number] < end}
        self._assign({number: starts[number] for number in open_ones})
        quiet_since = time.monotonic()
        while open_ones:
            message = self._consumer.poll(POLL_S)
            if message is None:
                if time.monotonic() - quiet_since > self._limit_s:
                    raise self._silent("no record comes")
                continue
            quiet_since = time.monotonic()
            number, offset = message.partition() or 0, message.offset() or 0
            error = message.error()
            if error is not None and error.code() != KafkaError._PARTITION_EOF:
                raise self._failed(error)
            if number not in open_ones:
                continue
            if error is None and offset < open_ones[number]:
                yield message
            # The end of the partition counts too: the last offsets may hold no record (compaction, markers).
            if offset + (error is None) >= open_ones[number]:
                del open_ones[number]

    def follow(self, starts: Mapping[int, int]) -> Iterator[Message | None]:
        """Records from `starts` on, without end; None now and then, while nothing comes."""
        self._assign(starts)
        while True:
            message = self._consumer.poll(POLL_S)
            error = message.error() if message is not None else None
            if error is None:
                yield message
            elif error.code() != KafkaError._PARTITION_EOF and not error.retriable():
                raise self._failed(error)

    def _assign(self, starts: Mapping[int, int]) -> None:
        self._consumer.assign([TopicPartition(self.topic, number, at) for number, at in starts.items()])

    def _silent(self, reason: str) -> RunError:
        return RunError(
            f"{self.topic}: {self._bootstrap} does not answer within {self._limit_s:g} s: {reason}"
        )

    def _failed(self, error: KafkaError) -> RunError:
        return RunError(f"{self.topic} at {self._bootstrap} cannot be read: {error.str()}")
