"""What the client does with errors among records, and with a rebalance in the middle of a read: no broker."""

from __future__ import annotations

from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from schemas.batch import Batch
from streams.errors import RunError
from streams.transport import TransportSettings
from streams.transport.client import Run
from streams.transport.confluent import ConfluentClient
from streams.transport.counters import Counters


class Library:
    """Stands in for confluent-kafka's consumer: returns what it is given, notes what it is told."""

    def __init__(self) -> None:
        self.first: Message | None = None
        self.rest: list[Message] = []
        self.sought: list[tuple[str, int, int]] = []
        self.while_reading: Any = lambda: None
        self.silent_for = 0

    def poll(self, _: float) -> Message | None:
        found, self.first = self.first, None
        return found

    def consume(self, _count: int, _timeout_s: float) -> list[Message]:
        self.while_reading()
        found, self.rest = self.rest, []
        return found

    def seek(self, place: TopicPartition) -> None:
        self.sought.append((place.topic, place.partition, place.offset))

    def assign(self, _: list[TopicPartition]) -> None: ...

    def committed(self, places: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        if self.silent_for:
            self.silent_for -= 1
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "nobody answers"))
        return [TopicPartition(p.topic, p.partition, 5) for p in places]

    def get_watermark_offsets(self, _: TopicPartition, **__: Any) -> tuple[int, int]:
        return 0, 100

    def close(self) -> None: ...


@pytest.fixture
def library() -> Library:
    return Library()


@pytest.fixture
def client(library: Library) -> ConfluentClient:
    """Owns partitions 0 and 1 of t, from offset 5 on."""
    found = ConfluentClient(TransportSettings("127.0.0.1:1", "g"), lambda _: True, Counters())
    found._consumer.close()
    found._consumer = library  # type: ignore[assignment]  # a double
    found._on_assign(library, [TopicPartition("t", 0), TopicPartition("t", 1)])  # type: ignore[arg-type]  # a double
    return found


def record(partition: int, offset: int) -> Message:
    return Message(topic="t", partition=partition, offset=offset, value=b"v", timestamp=(1, 1))


def failed(code: int, *, fatal: bool = False, partition: int = 0) -> Message:
    return Message(topic="t", partition=partition, error=KafkaError(code, "told so", fatal))


def offsets(runs: list[Run]) -> dict[int, list[int]]:
    return {run.partition: run.offsets.tolist() for run in runs if isinstance(run, Batch)}


def test_an_error_among_records_takes_none_of_them_along(client: ConfluentClient, library: Library) -> None:
    library.first = record(0, 5)
    library.rest = [record(1, 5), failed(KafkaError.INVALID_MSG), record(0, 6), record(1, 6)]
    assert offsets(client.poll(0)) == {0: [5, 6], 1: [5, 6]}
    assert client._counters.errors == 1
    library.first = failed(KafkaError._PARTITION_EOF)
    assert client.poll(0) == []
    assert client._counters.errors == 1


@pytest.mark.parametrize(
    "message",
    [failed(KafkaError.FENCED_INSTANCE_ID, fatal=True), failed(KafkaError.TOPIC_AUTHORIZATION_FAILED)],
    ids=["fatal", "no access"],
)
def test_what_cannot_be_mended_ends_it_with_the_reason(
    client: ConfluentClient, library: Library, message: Message
) -> None:
    library.first = message
    with pytest.raises(RunError, match="told so"):
        client.poll(0)


def test_a_fatal_error_of_the_client_ends_it_at_the_next_poll(client: ConfluentClient) -> None:
    client._on_error(KafkaError(KafkaError._TRANSPORT, "away"))
    assert client.poll(0) == []
    client._on_error(KafkaError(KafkaError._FATAL, "fenced", True))
    with pytest.raises(RunError, match="fenced"):
        client.poll(0)


def test_what_is_behind_us_is_dropped_and_what_is_missing_counted(
    client: ConfluentClient, library: Library
) -> None:
    library.first = record(0, 3)
    library.rest = [record(0, 4), record(0, 5), record(0, 9), record(7, 1)]
    assert offsets(client.poll(0)) == {0: [5, 9]}
    counters = client._counters
    assert (counters.dropped_records, counters.gap_offsets) == (3, 3)  # one of a partition that is not ours


def test_records_of_a_read_that_a_rebalance_cut_in_two_are_read_again(
    client: ConfluentClient, library: Library
) -> None:
    """Old and new cannot be told apart in one list: an old one taken for new would hide those before it."""
    library.first = record(0, 5)
    assert offsets(client.poll(0)) == {0: [5]}
    library.first = record(0, 6)
    library.rest = [record(0, 7)]
    library.while_reading = lambda: client._on_assign(library, [TopicPartition("t", 0)])  # type: ignore[arg-type]  # a double
    assert client.poll(0) == []
    assert library.sought == [("t", 0, 5)]
    library.while_reading = lambda: None
    library.first = record(0, 5)
    [run] = client.poll(0)
    assert isinstance(run, Batch)
    assert (run.first_offset, run.epoch) == (5, 3)


def test_an_assignment_waits_for_a_broker_that_is_away_for_a_moment(
    client: ConfluentClient, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr("streams.transport.confluent.time.sleep", waited.append)
    library.silent_for = 2
    client._on_assign(library, [TopicPartition("t", 0)])  # type: ignore[arg-type]  # a double
    assert client._expected == {("t", 0): 5}
    assert len(waited) == 2
