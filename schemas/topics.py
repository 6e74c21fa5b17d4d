"""Every topic once: what it carries, how it is kept, who writes it and who reads it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal

DEFAULT_PARTITIONS = 8
MAX_NAME = 249  # Kafka's own limit, because a folder is named after topic and partition
DAY_MS = 86_400_000
FOR_EVER = -1


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic.

    `key` says in words what the record's key is, `schema` names the .avsc of its values. Where
    `same_partitions_as` names a topic, both must have as many partitions, because a group's records
    lie in the same number of each.
    """

    name: str
    key: str
    schema: str
    partitions: int
    cleanup: Literal["delete", "compact"]
    retention_ms: int
    timestamp_type: Literal["CreateTime", "LogAppendTime"]
    same_partitions_as: str | None
    writers: str
    readers: str


# Recordings of years ago are played to book.*; with CreateTime they would be deleted as they arrive.
BOOK_L1 = Topic(
    name="book.l1",
    key="group",
    schema="BookUpdate",
    partitions=DEFAULT_PARTITIONS,
    cleanup="delete",
    retention_ms=7 * DAY_MS,
    timestamp_type="LogAppendTime",
    same_partitions_as=None,
    writers="feeds, `interlayer play`, `interlayer simulate`",
    readers="workers",
)
BOOK_L2 = replace(BOOK_L1, name="book.l2", same_partitions_as="book.l1")
SIGNAL = Topic(
    name="signal",
    key="group",
    schema="Signal",
    partitions=DEFAULT_PARTITIONS,
    cleanup="delete",
    retention_ms=30 * DAY_MS,
    timestamp_type="CreateTime",
    same_partitions_as=None,
    writers="workers",
    readers="executors",
)
RISK_EVENT = Topic(
    name="risk.event",
    key="group, empty where it concerns all",
    schema="RiskEvent",
    partitions=DEFAULT_PARTITIONS,
    cleanup="delete",
    retention_ms=30 * DAY_MS,
    timestamp_type="CreateTime",
    same_partitions_as=None,
    writers="workers",
    readers="people, alerting",
)
# One partition, so that every worker reads all commands in one order.
RISK_COMMAND = Topic(
    name="risk.command",
    key="id of the kill",
    schema="RiskCommand",
    partitions=1,
    cleanup="compact",
    retention_ms=FOR_EVER,
    timestamp_type="CreateTime",
    same_partitions_as=None,
    writers="`interlayer risk`",
    readers="workers",
)
EXECUTION = Topic(
    name="execution",
    key="group",
    schema="Execution",
    partitions=DEFAULT_PARTITIONS,
    cleanup="delete",
    retention_ms=30 * DAY_MS,
    timestamp_type="CreateTime",
    same_partitions_as="book.l1",
    writers="executors",
    readers="workers",
)
# Kept longer than the books, so that what a worker did with a record can be told while it is there.
JOURNAL = Topic(
    name="journal",
    key="empty",
    schema="Journal",
    partitions=DEFAULT_PARTITIONS,
    cleanup="delete",
    retention_ms=30 * DAY_MS,
    timestamp_type="CreateTime",
    same_partitions_as="book.l1",
    writers="workers",
    readers="workers, replay",
)
BOOK_REJECT = Topic(
    name="book.reject",
    key="as of the record",
    schema="Reject",
    partitions=DEFAULT_PARTITIONS,
    cleanup="delete",
    retention_ms=7 * DAY_MS,
    timestamp_type="CreateTime",
    same_partitions_as=None,
    writers="workers",
    readers="people, alerting",
)
TOPICS = (BOOK_L1, BOOK_L2, SIGNAL, RISK_EVENT, RISK_COMMAND, EXECUTION, JOURNAL, BOOK_REJECT)


def full_name(prefix: str, topic: str) -> str:
    """The name of `topic` on the broker: the prefix is set before it as it stands.

    Raises ValueError where Kafka would not take the name.
    """
    name = prefix + topic
    if not re.fullmatch(r"[A-Za-z0-9._-]+", name) or len(name) > MAX_NAME or name in (".", ".."):
        raise ValueError(
            f"{name!r} is no name for a topic: letters, digits, '.', '_' and '-', at most {MAX_NAME} of them"
        )
    return name


def topics(prefix: str = "", partitions: int = DEFAULT_PARTITIONS) -> tuple[Topic, ...]:
    """All topics under their full names; `partitions` is the count of each but `risk.command`.

    Raises ValueError where the prefix or the count is not allowed.
    """
    if partitions < 1:
        raise ValueError(f"a topic has at least one partition, not {partitions}")
    return tuple(
        replace(
            topic,
            name=full_name(prefix, topic.name),
            partitions=1 if topic is RISK_COMMAND else partitions,
            same_partitions_as=topic.same_partitions_as and full_name(prefix, topic.same_partitions_as),
        )
        for topic in TOPICS
    )


def markdown_table() -> str:
    """The table of the README."""
    head = ("topic", "key", "value", "partitions", "kept", "timestamps", "written by", "read by")
    rows = [
        (
            f"`{topic.name}`",
            topic.key,
            f"`{topic.schema}`",
            f"{topic.partitions}"
            + (f" (as `{topic.same_partitions_as}`)" if topic.same_partitions_as else ""),
            _kept(topic),
            topic.timestamp_type,
            topic.writers,
            topic.readers,
        )
        for topic in TOPICS
    ]
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _kept(topic: Topic) -> str:
    if topic.cleanup == "compact":
        return "the last of each key"
    return f"{topic.retention_ms // DAY_MS} days"


def partition_of(key: bytes, partitions: int) -> int:
    """The partition that Kafka's default partitioner gives to `key` (murmur2)."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions


def murmur2(data: bytes) -> int:
    """MurmurHash2, 32 bits, with the seed of Kafka's clients; unsigned.

    Source: Austin Appleby's MurmurHash2 (public domain), seed as in org.apache.kafka.common.utils.Utils.
    """
    factor, mask = 0x5BD1E995, 0xFFFFFFFF
    value = 0x9747B28C ^ len(data)
    whole = len(data) & ~3
    for i in range(0, whole, 4):
        word = int.from_bytes(data[i : i + 4], "little") * factor & mask
        word = (word ^ word >> 24) * factor & mask
        value = (value * factor & mask) ^ word
    if whole < len(data):
        value = (value ^ int.from_bytes(data[whole:], "little")) * factor & mask
    value = (value ^ value >> 13) * factor & mask
    return value ^ value >> 15
