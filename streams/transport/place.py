"""What the event loop knows of one partition, and the message by which its records reach the agent."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from faust.types import TP, ConsumerMessage
from faust.types.transports import ConsumerT

from schemas.batch import Batch
from streams.transport.batches import gather, nbytes
from streams.transport.client import Jump, Place, Record

Held = Batch | Record | Jump
STALE = -1  # a generation that never is: Faust's streams skip such a message


class PartitionPlace:
    """One partition of ours, from what was read to what may be committed.

    Records wait in `waiting`, are handed over (`delivered`, in order), taken by a stream, and acked. What may
    be committed is the end of the acked head of `delivered`: acks may come in any order, offsets may have
    holes, and what was skipped instead of processed holds everything behind it back until a seek.
    """

    def __init__(self, tp: TP, offset: int, committed: int | None, epoch: int) -> None:
        self.tp = tp
        self.begin(offset, epoch)
        self.start = offset  # where to go back to as long as nothing is committed
        self.committed = committed

    def begin(self, offset: int, epoch: int) -> None:
        """Nothing read before counts any more: it goes on from `offset`, under `epoch`."""
        self.epoch = epoch
        self.waiting: deque[Held] = deque()
        self.delivered: deque[Delivered] = deque()
        self.arrived_to = self.delivered_to = self.taken_to = offset
        self.done: int | None = None
        self.place = Place(offset, -1, -1)

    @property
    def untouched_at(self) -> int | None:
        """The next offset to hand over, where all that was handed over is acked; else None."""
        return None if self.delivered else self.delivered_to

    @property
    def next_offset(self) -> int:
        """The first offset that no stream has taken yet; the position where all that came was taken."""
        if self.taken_to != self.arrived_to:
            return self.taken_to
        return max(self.place.position, self.arrived_to)

    def arrive(self, held: Held) -> None:
        self.waiting.append(held)
        if isinstance(held, Batch):
            self.arrived_to = held.last_offset + 1
        elif isinstance(held, Record):
            self.arrived_to = held.offset + 1
        else:
            self.arrived_to = held.to_offset

    def jumped(self, jump: Jump) -> None:
        """Everything before the jump was handed over."""
        if self.taken_to == self.delivered_to:
            self.taken_to = jump.to_offset
        self.delivered_to = jump.to_offset

    def taken(self, message: Delivered) -> None:
        """A stream has it; of the last one, so is a jump that followed it."""
        last = self.delivered and self.delivered[-1] is message
        self.taken_to = self.delivered_to if last else message.last_offset + 1

    def settle(self) -> None:
        """Move `done` over what is processed, in order."""
        while self.delivered and self.delivered[0].processed:
            self.done = self.delivered.popleft().last_offset + 1

    def take(self, max_records: int, max_bytes: int) -> Batch | Record | Jump:
        """What waits at the head: as many batches as the limits allow, as one; a record; or a jump."""
        head = self.waiting[0]
        if isinstance(head, Batch):
            return gather(self.waiting, max_records, max_bytes)
        return self.waiting.popleft()


class Delivered(ConsumerMessage):
    """A batch or a record on its way through Faust.

    Faust's compiled streams set `acked` and `tracked` directly instead of calling anything, so both are
    properties. A message of an epoch that is over shows a generation that never is: streams skip it.
    """

    _acked = False
    _tracked = False
    _generation_id: int | None = None
    processed = False

    def __init__(
        self,
        at: PartitionPlace,
        held: Batch | Record,
        generation_id: int | None,
        is_current: Callable[[Delivered], bool],
        on_settled: Callable[[Delivered], None],
    ) -> None:
        self.at = at
        self.held = held
        self.epoch = at.epoch
        self._is_current = is_current
        self._on_settled = on_settled
        value: Any = held
        headers: Any = None
        key: bytes | None
        if isinstance(held, Batch):
            self.first_offset, self.last_offset = held.first_offset, held.last_offset
            self.records, self.nbytes = len(held), nbytes(held)
            timestamp_ms, kind, key = int(held.timestamps_ms[-1]), 0, None
        else:
            self.first_offset = self.last_offset = held.offset
            self.records, self.nbytes = 1, held.nbytes
            timestamp_ms, kind, key = held.timestamp_ms, held.timestamp_type, held.key
            value, headers = held.value, held.headers
        super().__init__(
            at.tp.topic, at.tp.partition, self.last_offset, timestamp_ms / 1000, kind, headers, key, value,
            None, 0, self.nbytes, at.tp, generation_id=generation_id,
        )  # fmt: skip

    @property
    def stale(self) -> bool:
        """Whether a seek or a rebalance came since."""
        return self.epoch != self.at.epoch

    @property
    def generation_id(self) -> int | None:
        return STALE if self.stale else self._generation_id

    @generation_id.setter
    def generation_id(self, value: int | None) -> None:
        self._generation_id = value

    @property
    def tracked(self) -> bool:
        return self._tracked

    @tracked.setter
    def tracked(self, value: bool) -> None:
        """True once a stream has taken it."""
        self._tracked = value
        if value and not self.stale:
            self.at.taken(self)

    @property
    def acked(self) -> bool:
        return self._acked

    @acked.setter
    def acked(self, value: bool) -> None:
        """Pure-Python streams ack what they skip while flow is suspended: that is not processed."""
        if value and not self._acked:
            self._acked = True
            self.processed = self._tracked or self._is_current(self)
            self._on_settled(self)

    def on_final_ack(self, consumer: ConsumerT) -> bool:
        return bool(consumer.ack(self))
