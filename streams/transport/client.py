"""The seam between Faust's consumer and a Kafka client: what the poll thread asks of one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from schemas.batch import Batch

Partition = tuple[str, int]
"""Topic and partition number."""

Headers = list[tuple[str, bytes | None]]


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a topic that is not batched. `timestamp_type` is librdkafka's (1 create, 2 append)."""

    offset: int
    timestamp_ms: int
    timestamp_type: int
    key: bytes | None
    value: bytes | None
    headers: Headers

    @property
    def nbytes(self) -> int:
        return len(self.key or b"") + len(self.value or b"")


@dataclass(frozen=True, slots=True)
class Records:
    """Consecutive records of one partition of a topic that is not batched."""

    topic: str
    partition: int
    records: tuple[Record, ...]
    end: int = -1
    epoch: int = 0


@dataclass(frozen=True, slots=True)
class Jump:
    """The log's start has passed our position (or the log was reset): on from `to_offset`, its start now.

    What was read before it stays valid, so the epoch stays.
    """

    topic: str
    partition: int
    from_offset: int
    to_offset: int
    epoch: int = 0


Run = Batch | Records | Jump


@dataclass(frozen=True, slots=True)
class Start:
    """Where reading of a partition begins: `committed` is None where the group has no offset yet."""

    offset: int
    committed: int | None
    epoch: int


@dataclass(frozen=True, slots=True)
class Place:
    """`position` is the next offset to read; `low` and `end` are the watermarks as last heard, -1 unknown.

    After a transaction's marker `position` reaches `end` where the last record's offset + 1 does not.
    """

    position: int
    low: int
    end: int


Assigned = Callable[[Mapping[Partition, Start]], None]
"""Called with what was added (under an eager protocol: with all), once it is being fetched."""

Revoked = Callable[[Collection[Partition], bool], None]
"""Called with what is taken, before it is given up; the flag says that it is lost already."""


class Client(Protocol):
    """A group member. All of it is called by the one thread that polls, callbacks included.

    Each seek and each assignment raises the partition's epoch before anything is read from the new place;
    offsets of a partition rise within an epoch, whatever the library returns. Raises RunError where the
    member cannot go on (fatal errors, no access).
    """

    def subscribe(self, topics: Collection[str], assigned: Assigned, revoked: Revoked) -> None:
        """Join the group for `topics`. The callbacks run inside `poll` and `serve`."""

    def poll(self, timeout_s: float) -> list[Run]:
        """What has come, in order; waits `timeout_s` for the first only."""

    def serve(self, timeout_s: float) -> None:
        """Stay in the group without reading; what comes all the same, the next `poll` returns."""

    def pause(self, partitions: Collection[Partition]) -> None:
        """Fetch no more from `partitions`; the position stays."""

    def resume(self, partitions: Collection[Partition]) -> None:
        """Fetch again from `partitions`."""

    def seek(self, partition: Partition, offset: int) -> int | None:
        """Read on from `offset`; the new epoch, or None where the partition is no longer ours."""

    def commit(self, offsets: Mapping[Partition, int]) -> bool:
        """Whether the group has taken the offsets; False where it is rebalancing or did not answer.

        It waits for the answer, for as long as there is no broker: only for rebalances.
        """

    def commit_soon(self, offsets: Mapping[Partition, int], done: Callable[[bool], None]) -> None:
        """The same without waiting: `done` is called out of a later `poll` or `serve`."""

    def committed(self, partitions: Collection[Partition]) -> dict[Partition, int | None]:
        """The group's offsets."""

    def position(self, partition: Partition) -> Place:
        """Where we are, from what is known here: no request."""

    def watermarks(self, partition: Partition) -> tuple[int, int]:
        """Low and high watermark, asked of the broker."""

    def partitions(self, topic: str) -> int | None:
        """How many partitions `topic` has; None where it does not exist."""

    def close(self) -> None:
        """Leave the group."""
