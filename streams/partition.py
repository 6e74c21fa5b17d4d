"""One partition number of both book topics on its way through its engine: merge, step, publish, ack."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from schemas.batch import Batch
from schemas.reasons import Reason
from strategies.controls import Control, Elapsed, Gate, LogStartJumped, MergeLimitHit, Order
from strategies.engine import Engine, Outputs, Reading
from strategies.kernels.layout import L1, L2
from strategies.kernels.step import interleave
from strategies.risk import Standing
from streams.publisher import Receipt, Reject

REJECTED_BYTES = 4_096  # how much of a rejected value is kept, see Reject.avsc
SOURCES = (L1, L2)
NS_PER_MS = 1_000_000


class Publishes(Protocol):
    """Takes what a step puts out."""

    async def publish(self, signals: Any = (), events: Any = (), rejects: Any = ()) -> Receipt: ...


class Event(Protocol):
    """A batch as Faust hands it over."""

    def ack(self) -> bool: ...


@dataclass(slots=True)
class Waiting:
    """A reading of which records are still to be taken."""

    reading: Reading
    event: Event
    taken: int = 0


@dataclass(slots=True)
class Sent:
    """What was handed to the publisher, and the batches that are done once it is delivered."""

    receipt: Receipt
    events: list[Event]


@dataclass(slots=True)
class Counts:
    """What a partition has done since it was taken over."""

    records: int = 0
    rejects: int = 0
    signals: int = 0
    risk_events: int = 0
    merge_limits_hit: int = 0
    log_start_jumps: int = 0


# Next offset and high watermark of (topic, partition), -1 where unknown: see BatchConsumer.progress.
Progress = Callable[[str, int], tuple[int, int]]


class PartitionWorker:
    """Feeds one engine. All its methods run on the event loop; `clock` is monotonic, in ns."""

    def __init__(
        self,
        engine: Engine,
        publisher: Publishes,
        progress: Progress,
        merge_wait_ms: int,
        silence_tick_ms: int,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.engine = engine
        self.counts = Counts()
        self._publisher = publisher
        self._progress = progress
        self._merge_wait_ns = merge_wait_ms * NS_PER_MS
        self._silence_ns = silence_tick_ms * NS_PER_MS
        self._clock = clock
        self._queues: tuple[deque[Waiting], deque[Waiting]] = (deque(), deque())
        self._waits_since: list[int | None] = [None, None]  # since when this source is waited for
        self._given_up = [False, False]
        self._last_ns = clock()
        self._outbox: deque[tuple[Outputs, list[Reject], list[Event]]] = deque()
        self._sent: deque[Sent] = deque()
        self._lock = asyncio.Lock()

    @property
    def waiting(self) -> int:
        """Records that were handed over and not yet taken."""
        return sum(len(w.reading) - w.taken for queue in self._queues for w in queue)

    def stand(self, standing: Standing) -> None:
        """Bring a new engine to what is known of commands."""
        for kill in standing.latch.kills:
            self.control(Order(kill, -1))
        self.control(Gate(standing.closed))

    def control(self, control: Control) -> None:
        """A control input takes effect at once; what it puts out follows with the next `advance`."""
        if isinstance(control, LogStartJumped):
            self.counts.log_start_jumps += 1
        self._put(self.engine.control(control), [], [])

    def offer(self, batch: Batch, event: Event) -> None:
        """Read a batch and queue it."""
        reading = self.engine.read(batch)
        self._last_ns = self._clock()
        if reading.refused:
            self._put(Outputs(), rejects(batch, reading), [])
        self._queues[reading.source].append(Waiting(reading, event))

    def forget(self) -> None:
        """Drop what is queued: it will be delivered again."""
        for queue in self._queues:
            queue.clear()

    async def advance(self) -> None:
        """Take all that may be taken now, and hand on what comes of it."""
        self._take()
        await self._publish()

    def settle(self) -> int:
        """Ack batches whose outputs are delivered, in order; returns how many publications are under way.

        Raises RunError where a delivery failed.
        """
        while self._sent and self._sent[0].receipt.done:
            sent = self._sent.popleft()
            sent.receipt.check()
            for event in sent.events:
                event.ack()
        return len(self._sent)

    def _take(self) -> None:
        l1, l2 = self._queues
        while l1 or l2:
            if l1 and l2:
                self._waits_since[:] = [None, None]
                self._given_up[:] = [False, False]
                self._step(l1[0], l2[0])
            elif self._may_go_alone(L1 if l1 else L2):
                self._step(l1[0] if l1 else None, l2[0] if l2 else None)
            else:
                return

    def _step(self, l1: Waiting | None, l2: Waiting | None) -> None:
        """One step over the first readings, until one of two is used up."""
        heads = (l1, l2)
        readings = [head.reading if head else None for head in heads]
        starts = [head.taken if head else 0 for head in heads]
        records = [self.engine.records_of(reading) for reading in readings]
        order = np.empty(sum(map(len, records)), np.int64)
        alone = (int(l2 is None), int(l1 is None))
        n, *ends = interleave(records[L1], starts[L1], records[L2], starts[L2], order, *alone)
        outputs = self.engine.step(order[:n], *readings)
        self.counts.records += int(n)
        done = []
        for head, taken, queue in zip(heads, ends, self._queues, strict=True):
            if head is None:
                continue
            head.taken = int(taken)
            if head.taken == len(head.reading):
                queue.popleft()
                done.append(head.event)
        self._put(outputs, [], done)

    def _may_go_alone(self, source: int) -> bool:
        """Whether `source` need not wait for the other topic, of which nothing more is queued.

        It waits while the other is known to be behind, up to the named limit, as Kafka Streams does with
        max.task.idle.ms; what was given up is counted and becomes a control input.
        """
        other = 1 - source
        topic = self.engine.topics[other]
        position, end = self._progress(topic, self.engine.partition)
        if 0 <= end <= position:
            self._waits_since[other] = None
            self._given_up[other] = False
            return True
        if self._given_up[other]:
            return True
        now = self._clock()
        since = self._waits_since[other]
        if since is None:
            since = self._waits_since[other] = now
        if now - since < self._merge_wait_ns:
            return False
        self._given_up[other] = True
        self.counts.merge_limits_hit += 1
        waited_ms = self._merge_wait_ns // NS_PER_MS
        self.control(MergeLimitHit(other, max(end - position, 0), waited_ms))
        return True

    def is_silent(self, now_ns: int) -> bool:
        """Whether nothing has come for silence_tick_ms, and nothing waits."""
        return now_ns - self._last_ns >= self._silence_ns and not self.waiting

    def pass_time(self, asked_ns: int, ends: Mapping[str, int]) -> None:
        """The time that went by until `asked_ns` is a control input, so that what is open closes.

        `ends` are the topics' ends as the broker told them when asked then. Only where nothing lay beyond our
        place was it the market that was silent; after a pause of this process, or while the broker was away,
        it was us.
        """
        if self.waiting or asked_ns <= self._last_ns:
            return
        places = {topic: self._progress(topic, self.engine.partition)[0] for topic in self.engine.topics}
        if all(0 <= ends.get(topic, -1) <= place for topic, place in places.items()):
            self.control(Elapsed(asked_ns - self._last_ns))
            self._last_ns = asked_ns

    def _put(self, outputs: Outputs, rejected: list[Reject], done: list[Event]) -> None:
        self.counts.rejects += len(rejected)
        self.counts.signals += len(outputs.signals)
        self.counts.risk_events += len(outputs.risk_events)
        if outputs.signals or outputs.risk_events or rejected or done:
            self._outbox.append((outputs, rejected, done))

    async def _publish(self) -> None:
        """Hand the outbox on in its order, whoever calls."""
        async with self._lock:
            while self._outbox:
                outputs, rejected, done = self._outbox[0]
                if not (outputs.signals or outputs.risk_events or rejected or self._sent):
                    self._outbox.popleft()
                    for event in done:
                        event.ack()
                    continue
                receipt = await self._publisher.publish(outputs.signals, outputs.risk_events, rejected)
                self._outbox.popleft()
                self._sent.append(Sent(receipt, done))


def rejects(batch: Batch, reading: Reading) -> list[Reject]:
    """A reject for each record that was refused; its value is cut to REJECTED_BYTES."""
    found = []
    for at in np.flatnonzero(reading.records["status"]):
        value = batch.values[int(at)] or b""
        reason = Reason(int(reading.records["status"][at]))
        found.append(
            Reject(
                key=batch.keys[int(at)],
                topic=batch.topic,
                partition=batch.partition,
                offset=int(batch.offsets[at]),
                reason=reason.word,
                detail=reason.sentence,
                timestamp_ms=int(batch.timestamps_ms[at]),
                size_bytes=len(value),
                value=value[:REJECTED_BYTES],
            )
        )
    return found
