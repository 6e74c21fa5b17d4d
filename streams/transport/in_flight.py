"""What was read and is not yet acked, by partition: the bound on the memory between Kafka and the agent."""

from __future__ import annotations

import threading
from collections.abc import Collection

from streams.transport.client import Partition


class InFlight:
    """Counts records and bytes. The poll thread adds, whoever acks releases.

    Counted back when a batch is acked, not when it is handed over: otherwise Faust's buffers grow without
    bound behind a slow agent.
    """

    def __init__(self, max_records: int, max_bytes: int) -> None:
        self._max = (max_records, max_bytes)
        self._lock = threading.Lock()
        self._held: dict[Partition, list[int]] = {}  # epoch, records, bytes
        self._records = self._bytes = 0
        self.released = threading.Event()

    @property
    def records(self) -> int:
        return self._records

    @property
    def bytes(self) -> int:
        return self._bytes

    @property
    def full(self) -> bool:
        return self._records >= self._max[0] or self._bytes >= self._max[1]

    def start(self, partition: Partition, epoch: int) -> None:
        """Forget what was held of `partition`: it will not be acked any more. A new epoch begins."""
        with self._lock:
            self._drop(partition)
            self._held[partition] = [epoch, 0, 0]

    def stop(self, partition: Partition) -> None:
        """The partition is no longer ours."""
        with self._lock:
            self._drop(partition)

    def _drop(self, partition: Partition) -> None:
        _, records, size = self._held.pop(partition, (0, 0, 0))
        self._records -= records
        self._bytes -= size
        self.released.set()

    def add(self, partition: Partition, epoch: int, records: int, size: int) -> None:
        """Something was read (releases carry negative numbers). Of another epoch: nothing happens."""
        with self._lock:
            held = self._held.get(partition)
            if held is None or held[0] != epoch:
                return
            held[1] += records
            held[2] += size
            self._records += records
            self._bytes += size

    def release(self, partition: Partition, epoch: int, records: int, size: int) -> None:
        """Something of `epoch` was acked."""
        self.add(partition, epoch, -records, -size)
        self.released.set()

    def over(self, fraction: float = 1.0) -> set[Partition]:
        """Partitions that hold more than `fraction` of their even share of the limits."""
        with self._lock:
            count = max(len(self._held), 1)
            most_records, most_bytes = (fraction * limit / count for limit in self._max)
            return {
                partition
                for partition, (_, records, size) in self._held.items()
                if records >= most_records or size >= most_bytes
            }

    def partitions(self) -> Collection[Partition]:
        with self._lock:
            return list(self._held)
