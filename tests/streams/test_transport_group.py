"""Workers that join, leave and are killed: nothing lost, order kept, committed only after the ack."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.broker import Broker, start_embedded
from tests.brokers import make_topics
from tests.streams.transport_kit import (
    Feed,
    Workers,
    acked_ids,
    all_acked,
    assert_order,
    assert_together,
    committed,
    covered_to,
    produce_ids,
    producer_for,
    repeats,
    settings_for,
    until,
)

pytestmark = pytest.mark.kafka
PARTITIONS = 4


def life_of_a_group(
    broker: Broker, prefix: str, folder: Path, *, cython: bool, rounds: int, total: int, **changes: object
) -> Workers:
    """Two topics of books; workers join, one is killed, one leaves; every record acked in the end."""
    one, other = prefix + "l1", prefix + "l2"
    make_topics(broker, {one: PARTITIONS, other: PARTITIONS})
    settings = settings_for(broker, prefix + "group", **changes)
    feed = Feed(broker, [one, other], PARTITIONS, total, pause_s=0.02)
    with Workers(folder, settings, cython=cython, batched=[one, other], ack_delay_s=0.005) as workers:
        workers.start("w0")
        until(lambda: workers.assigned("w0") > 0, 30, "first worker has partitions")
        feed.start()
        for number in range(rounds):
            names = [f"w{3 * number + i}" for i in range(4)]
            workers.start(names[1])
            workers.start(names[2])
            until(lambda names=names: all(workers.assigned(n) for n in names[1:3]), 30, "both joined")
            before = workers.assigned(names[2])
            workers.kill(names[0])
            until(lambda names=names, n=before: workers.assigned(names[2]) > n, 30, "its partitions moved")
            workers.start(names[3])
            until(lambda names=names: workers.assigned(names[3]) > 0, 30, "a new one joined")
            before = workers.assigned(names[3])
            workers.leave(names[1])
            workers.leave(names[2])
            until(lambda names=names, n=before: workers.assigned(names[3]) > n, 30, "one is left with all")
        feed.join()
        until(lambda: all_acked(workers.events(), [one, other], PARTITIONS, total), 60, "all acked")
        for name in list(workers.running):
            workers.leave(name)
    events = workers.events()
    assert_order(events)
    if "cooperative-sticky" not in changes.values():
        assert_together(events, one, other)
    for topic in (one, other):
        assert committed(broker, prefix + "group", topic, PARTITIONS) == [total] * PARTITIONS
    assert repeats(events) < total * PARTITIONS * 2  # a kill and a few rebalances, not everything
    return workers


@pytest.mark.parametrize("cython", [True, False], ids=["compiled", "no_cython"])
def test_nothing_is_lost_when_workers_join_leave_and_are_killed(
    broker: Broker, topic_prefix: str, tmp_path: Path, cython: bool
) -> None:
    life_of_a_group(broker, topic_prefix, tmp_path, cython=cython, rounds=1, total=15_000)


def test_nothing_is_lost_under_the_consumer_protocol(
    kafka: Broker, topic_prefix: str, tmp_path: Path
) -> None:
    """Short form of the proof below. A kill is noticed after the broker's own session timeout."""
    changes = {"protocol": "consumer"}
    one, other = topic_prefix + "l1", topic_prefix + "l2"
    make_topics(kafka, {one: PARTITIONS, other: PARTITIONS})
    feed = Feed(kafka, [one, other], PARTITIONS, 8_000, pause_s=0.02)
    settings = settings_for(kafka, topic_prefix + "group", **changes)
    with Workers(tmp_path, settings, batched=[one, other]) as workers:
        workers.start("w0")
        until(lambda: workers.assigned("w0") > 0, 30, "first worker has partitions")
        feed.start()
        workers.start("w1")
        until(lambda: workers.assigned("w1") > 0, 30, "second worker has partitions")
        workers.leave("w0")
        feed.join()
        until(lambda: all_acked(workers.events(), [one, other], PARTITIONS, 8_000), 30, "all acked")
        workers.leave("w1")
    assert_order(workers.events())


@pytest.mark.prove
@pytest.mark.parametrize("cython", [True, False], ids=["compiled", "no_cython"])
@pytest.mark.parametrize("assignor", ["range", "cooperative-sticky"])
def test_nothing_is_lost_in_many_rounds(
    broker: Broker, topic_prefix: str, tmp_path: Path, cython: bool, assignor: str
) -> None:
    life_of_a_group(
        broker, topic_prefix, tmp_path, cython=cython, rounds=5, total=60_000, assignor=assignor
    )  # fmt: skip


@pytest.mark.parametrize("cython", [True, False], ids=["compiled", "no_cython"])
def test_what_was_not_acked_comes_again(
    broker: Broker, topic_prefix: str, tmp_path: Path, cython: bool
) -> None:
    topic, single = topic_prefix + "l1", topic_prefix + "single"
    make_topics(broker, {topic: 1, single: 1})
    producer = producer_for(broker)
    produce_ids(producer, topic, 0, range(1_000))
    for number in range(20):
        producer.produce(single, str(number).encode(), headers={"kind": b"test"})
    assert producer.flush(10) == 0
    settings = settings_for(broker, topic_prefix + "group")
    with Workers(tmp_path, settings, cython=cython, batched=[topic], single=single) as workers:
        workers.start("w0", never_ack=True)
        until(lambda: sum(e["n"] for e in workers.events("batch")) >= 1_000, 30, "all delivered")
        until(lambda: len(workers.events("single")) >= 20, 10, "single records delivered")
        until(lambda: committed(broker, topic_prefix + "group", single, 1) == [20], 10, "singles committed")
        assert committed(broker, topic_prefix + "group", topic, 1) == [-1001]
        workers.kill("w0")
        workers.start("w1")
        until(lambda: covered_to(acked_ids(workers.events())[topic, 0]) == 1_000, 30, "delivered again")
        until(lambda: committed(broker, topic_prefix + "group", topic, 1) == [1_000], 10, "committed")
        workers.leave("w1")
    singles = workers.events("single")
    assert [e["value"] for e in singles] == [str(n) for n in range(20)]
    assert [e["offset"] for e in singles] == list(range(20))
    assert all(e["headers"] == {"kind": "test"} for e in singles)
    assert repeats(workers.events()) == 1_000


def test_a_static_member_keeps_its_partitions(kafka: Broker, topic_prefix: str, tmp_path: Path) -> None:
    """Back within the session timeout under the same name: the other member sees no rebalance."""
    topic = topic_prefix + "l1"
    make_topics(kafka, {topic: 2})
    settings = settings_for(kafka, topic_prefix + "group", session_timeout_ms=20_000)
    with Workers(tmp_path, settings, batched=[topic]) as workers:
        for name in ("w0", "w1"):
            workers.start(name, settings={**settings, "instance_id": name})
            until(lambda name=name: workers.assigned(name) > 0, 30, f"{name} has partitions")
        until(lambda: len(workers.events("assigned")[-1]["partitions"]) == 1, 10, "one each")
        before = workers.assigned("w1")
        workers.leave("w0")
        workers.start("w0", settings={**settings, "instance_id": "w0"})
        until(lambda: workers.assigned("w0") > 1, 30, "it is back")
        assert workers.assigned("w1") == before


def test_a_worker_ends_within_its_limits_when_the_broker_is_away(topic_prefix: str, tmp_path: Path) -> None:
    topic = topic_prefix + "l1"
    with start_embedded({topic: 1}) as broker:
        limits = {"answer_limit_ms": 1_000, "close_limit_ms": 2_000, "drain_limit_ms": 1_000}
        settings = settings_for(broker, topic_prefix + "group", **limits)
        with Workers(tmp_path, settings, batched=[topic], commit_interval_s=60.0) as workers:
            process = workers.start("w0")
            producer = producer_for(broker)
            produce_ids(producer, topic, 0, range(100))
            assert producer.flush(10) == 0
            until(lambda: bool(workers.events("ack")), 30, "something to commit")
            broker.stop()
            process.terminate()
            assert process.wait(15) == 0, workers.log_of("w0")


def test_a_missing_topic_ends_the_worker_with_its_name(
    kafka: Broker, topic_prefix: str, tmp_path: Path
) -> None:
    topic = topic_prefix + "l1"
    with Workers(tmp_path, settings_for(kafka, topic_prefix + "group"), batched=[topic]) as workers:
        assert workers.start("w0").wait(30) == 1
        assert f"topic {topic} does not exist" in workers.log_of("w0")
