"""Topics, their names, and Kafka's partitioner."""

from __future__ import annotations

import pytest

from schemas.catalog import names
from schemas.topics import DAY_MS, TOPICS, full_name, markdown_table, murmur2, partition_of, topics

# Of Kafka's own test: UtilsTest.testMurmur2, as signed 32-bit numbers.
VECTORS = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}


@pytest.mark.parametrize(("key", "signed"), VECTORS.items())
def test_murmur2_is_kafkas(key: bytes, signed: int) -> None:
    assert murmur2(key) == signed % 2**32


def test_the_partition_is_taken_of_the_positive_part() -> None:
    for key, signed in VECTORS.items():
        for partitions in (1, 2, 8, 13):
            assert partition_of(key, partitions) == (signed & 0x7FFFFFFF) % partitions


def test_the_topics_are_those_of_the_plan() -> None:
    assert [topic.name for topic in TOPICS] == [
        "book.l1", "book.l2", "signal", "risk.event", "risk.command", "execution", "journal", "book.reject",
    ]  # fmt: skip
    assert {topic.schema for topic in TOPICS} == {*names()}
    by_name = {topic.name: topic for topic in TOPICS}
    assert by_name["risk.command"].partitions == 1
    assert by_name["risk.command"].cleanup == "compact"
    assert by_name["risk.command"].retention_ms == -1
    stamped = {topic.name for topic in TOPICS if topic.timestamp_type == "LogAppendTime"}
    assert stamped == {"book.l1", "book.l2"}
    shared = {topic.name for topic in TOPICS if topic.same_partitions_as == "book.l1"}
    assert shared == {"book.l2", "execution", "journal"}
    assert by_name["journal"].retention_ms > by_name["book.l1"].retention_ms == 7 * DAY_MS


def test_prefix_and_count() -> None:
    made = {topic.name: topic for topic in topics("old.", 3)}
    assert made["old.book.l2"].same_partitions_as == "old.book.l1"
    assert made["old.book.l1"].same_partitions_as is None
    assert {name: topic.partitions for name, topic in made.items()} == {
        full_name("old.", topic.name): 1 if topic.name == "risk.command" else 3 for topic in TOPICS
    }
    assert topics() == TOPICS


@pytest.mark.parametrize("prefix", ["a b", "ä.", "x/", "y" * 245])
def test_a_prefix_that_kafka_would_refuse(prefix: str) -> None:
    with pytest.raises(ValueError, match="is no name for a topic"):
        topics(prefix)


def test_a_count_below_one() -> None:
    with pytest.raises(ValueError, match="at least one partition, not 0"):
        topics("", 0)


def test_the_table_names_every_topic_once() -> None:
    lines = markdown_table().splitlines()
    assert len(lines) == 2 + len(TOPICS)
    assert len({line.count("|") for line in lines}) == 1
    for line, topic in zip(lines[2:], TOPICS, strict=True):
        assert line.startswith(f"| `{topic.name}` | {topic.key} | `{topic.schema}` | {topic.partitions}")
