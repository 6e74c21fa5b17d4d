"""The client alone, on both brokers: places, epochs, limits, gaps and a log whose start has jumped."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from schemas.batch import Batch
from streams.broker import Broker
from streams.errors import RunError
from streams.transport.client import Jump, Partition, Records, Run, Start
from streams.transport.confluent import ConfluentClient
from streams.transport.counters import Counters
from tests.brokers import make_topics
from tests.streams.transport_kit import produce_ids, producer_for, transport_settings
from tests.streams.transport_worker import ids_of

pytestmark = pytest.mark.kafka


class Member:
    """A client and what it was told."""

    def __init__(self, broker: Broker, group: str, topic: str, **changes: Any) -> None:
        self.counters = Counters()
        self.settings = transport_settings(broker, group, **changes)
        self.client = ConfluentClient(self.settings, lambda name: not name.endswith("single"), self.counters)
        self.starts: dict[Partition, Start] = {}
        self.runs: list[Run] = []
        self.client.subscribe([topic], self._assigned, self._revoked)

    def _assigned(self, starts: Mapping[Partition, Start]) -> None:
        self.starts.update(starts)

    def _revoked(self, partitions: Collection[Partition], lost: bool) -> None:
        pass

    def poll_until(self, condition: Callable[[], bool], limit_s: float = 20) -> None:
        deadline = time.monotonic() + limit_s
        while not condition():
            assert time.monotonic() < deadline, f"{self.counters} {self.starts} {self.runs[-3:]}"
            self.runs += self.client.poll(0.1)

    def batches(self) -> list[Batch]:
        return [run for run in self.runs if isinstance(run, Batch)]

    def jumps(self) -> list[Jump]:
        return [run for run in self.runs if isinstance(run, Jump)]

    def ids(self) -> list[int]:
        return [int(number) for batch in self.batches() for number in ids_of(batch)]


@contextmanager
def member(broker: Broker, group: str, topic: str, **changes: Any) -> Iterator[Member]:
    found = Member(broker, group, topic, **changes)
    try:
        yield found
    finally:
        found.client.close()


def test_batches_keep_to_their_limits(broker: Broker, topic_prefix: str) -> None:
    topic = topic_prefix + "l1"
    make_topics(broker, {topic: 1})
    producer = producer_for(broker)
    produce_ids(producer, topic, 0, range(1_000), pad=92)
    produce_ids(producer, topic, 0, [1_000], pad=5_000)
    assert producer.flush(10) == 0
    limits = {"batch_max_records": 64, "batch_max_bytes": 3_000}
    with member(broker, topic_prefix + "g", topic, **limits) as reader:
        reader.poll_until(lambda: len(reader.ids()) >= 1_001)
        assert reader.ids() == list(range(1_001))
        sizes = [int(b.values.lengths.sum() + b.keys.lengths.sum()) for b in reader.batches()]
        assert all(size <= 3_000 for size in sizes[:-1])
        assert sizes[-1] == 5_009  # a record larger than the limit comes alone
        assert len(reader.batches()[-1]) == 1
        assert max(len(b) for b in reader.batches()) == 29  # 3,000 bytes hold 29 records of 101
        assert np.concatenate([b.offsets for b in reader.batches()]).tolist() == list(range(1_001))
        assert all(b.keys[0] == b"k" and b.timestamps_ms[0] > 1.6e12 for b in reader.batches())
        place = reader.client.position((topic, 0))
        assert (place.position, place.end) == (1_001, 1_001)
        assert reader.client.partitions(topic) == 1
        assert reader.client.partitions(topic + ".none") is None


def test_a_seek_raises_the_epoch_and_nothing_older_follows(broker: Broker, topic_prefix: str) -> None:
    topic = topic_prefix + "l1"
    make_topics(broker, {topic: 2})
    producer = producer_for(broker)
    for partition in (0, 1):
        produce_ids(producer, topic, partition, range(3_000))
    assert producer.flush(10) == 0
    with member(broker, topic_prefix + "g", topic) as reader:
        reader.poll_until(lambda: len(reader.starts) == 2)
        # At once, before the fetch has started: what comes of the other partition meanwhile is kept.
        epoch = reader.client.seek((topic, 0), 2_000)
        assert epoch is not None
        assert epoch > max(start.epoch for start in reader.starts.values())
        reader.poll_until(lambda: len(reader.ids()) >= 4_000)
        assert {b.epoch for b in reader.batches() if b.partition == 0} == {epoch}
        again = reader.client.seek((topic, 0), 500)
        assert again is not None
        assert again > epoch
        reader.poll_until(lambda: len(reader.ids()) >= 6_500)
        of = {
            e: [i for b in reader.batches() if b.epoch == e for i in ids_of(b).tolist()]
            for e in (epoch, again)
        }
        assert of == {epoch: list(range(2_000, 3_000)), again: list(range(500, 3_000))}
        other = [i for b in reader.batches() if b.partition == 1 for i in ids_of(b).tolist()]
        assert other == list(range(3_000))
        assert reader.counters.dropped_records == reader.counters.gap_offsets == 0
        assert reader.client.seek((topic, 7), 0) is None


def test_a_paused_partition_stands_still_and_goes_on_where_it_was(broker: Broker, topic_prefix: str) -> None:
    topic = topic_prefix + "l1"
    make_topics(broker, {topic: 2})
    producer = producer_for(broker)
    for partition in (0, 1):
        produce_ids(producer, topic, partition, range(100))
    assert producer.flush(10) == 0
    with member(broker, topic_prefix + "g", topic) as reader:
        reader.poll_until(lambda: len(reader.ids()) == 200)
        reader.client.pause([(topic, 0)])
        for partition in (0, 1):
            produce_ids(producer, topic, partition, range(100, 200))
        assert producer.flush(10) == 0
        reader.poll_until(lambda: len(reader.ids()) == 300)
        assert reader.batches()[-1].partition == 1
        reader.client.pause([(topic, 1)])
        reader.client.serve(0.1)
        reader.client.resume([(topic, 0), (topic, 1)])
        reader.poll_until(lambda: len(reader.ids()) == 400)
        first = [i for b in reader.batches() if b.partition == 0 for i in ids_of(b).tolist()]
        assert first == list(range(200))


@pytest.mark.parametrize(("start", "expected"), [("earliest", 0), ("latest", 50)])
def test_a_group_without_offsets_begins_where_it_is_told(
    broker: Broker, topic_prefix: str, start: str, expected: int
) -> None:
    topic = topic_prefix + "l1"
    make_topics(broker, {topic: 1})
    producer = producer_for(broker)
    produce_ids(producer, topic, 0, range(50))
    assert producer.flush(10) == 0
    with member(broker, topic_prefix + "g", topic, start=start) as reader:
        reader.poll_until(lambda: bool(reader.starts))
        found = reader.starts[topic, 0]
        assert (found.offset, found.committed) == (expected, None)
        produce_ids(producer, topic, 0, range(50, 60))
        assert producer.flush(10) == 0
        reader.poll_until(lambda: bool(reader.ids()) and reader.ids()[-1] == 59)
        assert reader.ids()[0] == expected
        assert not reader.jumps()
        assert reader.counters.errors == 0
        assert reader.client.commit({(topic, 0): 60})
        assert reader.client.committed([(topic, 0)]) == {(topic, 0): 60}
    with member(broker, topic_prefix + "g", topic, start=start) as reader:
        reader.poll_until(lambda: bool(reader.starts))
        assert reader.starts[topic, 0].committed == 60


def test_a_log_that_starts_behind_us_is_told_and_read_from_its_start(
    kafka: Broker, topic_prefix: str
) -> None:
    """Records deleted before they were read, in one partition; the other goes on undisturbed."""
    topic = topic_prefix + "l1"
    make_topics(kafka, {topic: 2})
    producer = producer_for(kafka)
    for partition in (0, 1):
        produce_ids(producer, topic, partition, range(300))
    assert producer.flush(10) == 0
    with member(kafka, topic_prefix + "g", topic) as reader:
        reader.poll_until(lambda: len(reader.ids()) == 600)
        assert reader.client.commit({(topic, 0): 100, (topic, 1): 300})
    admin = AdminClient(dict(kafka.config))
    for future in admin.delete_records([TopicPartition(topic, 0, 250)]).values():
        future.result(10)
    with member(kafka, topic_prefix + "g", topic) as reader:
        produce_ids(producer, topic, 1, range(300, 310))
        assert producer.flush(10) == 0
        reader.poll_until(lambda: len(reader.ids()) >= 60)
        epoch = reader.starts[topic, 0].epoch
        assert reader.jumps() == [Jump(topic, 0, 100, 250, epoch)]
        assert sorted(reader.ids()) == list(range(250, 310))
        assert reader.counters.log_start_jumps == 1
        assert reader.counters.gap_offsets == 0


@pytest.mark.parametrize("assignor", ["range", "cooperative-sticky"])
def test_a_seek_out_of_the_log_can_be_taken_back(broker: Broker, topic_prefix: str, assignor: str) -> None:
    """librdkafka refuses seeks of a partition whose fetching has stopped. What is paused stays so."""
    topic = topic_prefix + "l1"
    make_topics(broker, {topic: 3})
    producer = producer_for(broker)
    for partition in range(3):
        produce_ids(producer, topic, partition, range(100))
    assert producer.flush(10) == 0
    with member(broker, topic_prefix + "g", topic, assignor=assignor) as reader:
        reader.poll_until(lambda: len(reader.ids()) == 300)
        reader.client.pause([(topic, 1)])
        reader.client.seek((topic, 0), 7_000)
        reader.poll_until(lambda: bool(reader.jumps()))
        assert (reader.jumps()[0].from_offset, reader.jumps()[0].to_offset) == (7_000, 0)
        reader.poll_until(lambda: len(reader.ids()) == 400)
        reader.client.seek((topic, 0), 7_000)
        time.sleep(0.5)  # until the broker has refused the fetch
        epoch = reader.client.seek((topic, 0), 60)
        produce_ids(producer, topic, 1, range(100, 110))
        produce_ids(producer, topic, 2, range(100, 110))
        assert producer.flush(10) == 0
        reader.poll_until(lambda: len(reader.ids()) == 450)
        assert [i for b in reader.batches() if b.epoch == epoch for i in ids_of(b).tolist()] == list(
            range(60, 100)
        )
        other = [i for b in reader.batches() if b.partition == 2 for i in ids_of(b).tolist()]
        assert other == list(range(110))
        reader.client.serve(0.2)
        reader.client.resume([(topic, 1)])
        reader.poll_until(lambda: len(reader.ids()) == 460)
        paused = [i for b in reader.batches() if b.partition == 1 for i in ids_of(b).tolist()]
        assert paused == list(range(110))


def test_a_log_that_was_reset_is_read_from_its_start(broker: Broker, topic_prefix: str) -> None:
    """The group stands behind the end: the topic was made anew, or the embedded broker was."""
    topic = topic_prefix + "l1"
    make_topics(broker, {topic: 1})
    producer = producer_for(broker)
    produce_ids(producer, topic, 0, range(10))
    assert producer.flush(10) == 0
    with member(broker, topic_prefix + "g", topic) as reader:
        reader.poll_until(lambda: len(reader.ids()) == 10)
        assert reader.client.commit({(topic, 0): 5_000})
    with member(broker, topic_prefix + "g", topic) as reader:
        reader.poll_until(lambda: len(reader.ids()) >= 10)
        assert reader.jumps() == [Jump(topic, 0, 5_000, 0, reader.starts[topic, 0].epoch)]
        assert reader.ids() == list(range(10))


def test_the_embedded_brokers_forgetting_is_told(embedded: Broker, topic_prefix: str) -> None:
    """It keeps 5 MiB a partition and drops what is older without a word."""
    topic = topic_prefix + "l1"
    make_topics(embedded, {topic: 1})
    producer = producer_for(embedded)
    with member(embedded, topic_prefix + "g", topic) as reader:
        produce_ids(producer, topic, 0, range(10), pad=1_000)
        assert producer.flush(10) == 0
        reader.poll_until(lambda: len(reader.ids()) == 10)
        reader.client.commit({(topic, 0): 10})
    produce_ids(producer, topic, 0, range(10, 12_000), pad=1_000)
    assert producer.flush(20) == 0
    with member(embedded, topic_prefix + "g", topic) as reader:
        reader.poll_until(lambda: bool(reader.ids()) and reader.ids()[-1] == 11_999)
        [jump] = reader.jumps()
        assert jump.from_offset == 10
        assert jump.to_offset == reader.ids()[0] > 10
        assert reader.ids() == list(range(jump.to_offset, 12_000))


@pytest.mark.needs_transactions
def test_markers_and_aborted_records_are_gaps_and_the_position_reaches_the_end(
    kafka: Broker, topic_prefix: str
) -> None:
    topic = topic_prefix + "l1"
    make_topics(kafka, {topic: 1})
    producer = producer_for(kafka, **{"transactional.id": topic_prefix + "tx"})
    producer.init_transactions(10)
    number = 0
    for turn in range(10):
        producer.begin_transaction()
        aborted = turn in (3, 9)
        produce_ids(producer, topic, 0, range(90_000, 90_010) if aborted else range(number, number + 10))
        producer.flush(10)
        if aborted:
            producer.abort_transaction(10)
        else:
            producer.commit_transaction(10)
            number += 10
    with member(kafka, topic_prefix + "g", topic) as reader:
        reader.poll_until(lambda: len(reader.ids()) >= 80)
        assert reader.ids() == list(range(80))
        reader.poll_until(lambda: reader.client.position((topic, 0)).position == 110)
        assert reader.client.position((topic, 0)).end == 110
        assert reader.batches()[-1].last_offset == 97  # the tail is an aborted transaction and its marker
        # Of 98 offsets up to there 80 came: 8 markers in between, and 10 aborted.
        assert reader.counters.gap_offsets == 18


def test_single_records_keep_their_headers(broker: Broker, topic_prefix: str) -> None:
    topic = topic_prefix + "single"
    make_topics(broker, {topic: 1})
    producer = producer_for(broker)
    producer.produce(topic, b"a", key=b"x", headers=[("h", b"1"), ("h", None)])
    producer.produce(topic, None, key=None)
    assert producer.flush(10) == 0
    with member(broker, topic_prefix + "g", topic) as reader:
        reader.poll_until(lambda: sum(len(r.records) for r in reader.runs if isinstance(r, Records)) == 2)
        first, second = [x for run in reader.runs if isinstance(run, Records) for x in run.records]
        assert (first.offset, first.key, first.value, first.headers) == (
            0,
            b"x",
            b"a",
            [("h", b"1"), ("h", None)],
        )
        assert (second.offset, second.key, second.value, second.headers) == (1, None, None, [])


def test_settings_that_librdkafka_refuses_are_named() -> None:
    broker = Broker("kafka", "127.0.0.1:1", {"bootstrap.servers": "127.0.0.1:1"}, frozenset())
    with pytest.raises(RunError, match=r"no\.such\.setting"):
        Member(broker, "g", "t", extra={"no.such.setting": "1"})


def test_a_broker_that_does_not_answer_is_said_within_the_limit() -> None:
    broker = Broker("kafka", "127.0.0.1:1", {"bootstrap.servers": "127.0.0.1:1"}, frozenset())
    with member(broker, "g", "t", answer_limit_ms=200) as reader:
        with pytest.raises(RunError, match="broker did not tell the partitions of t"):
            reader.client.partitions("t")
        assert not reader.client.commit({("t", 0): 1})
