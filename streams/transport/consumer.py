"""Faust's consumer, fed by the poll thread: a partition's records reach the agent as one message."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import count
from typing import Any, ClassVar

import structlog
from faust.transport.consumer import Consumer
from faust.types import TP, Message
from faust.types.tuples import ack_lock
from mode.utils.futures import notify

from schemas.batch import Batch
from streams.errors import RunError, UserError
from streams.transport.client import Jump, Partition, Place, Record, Records, Run, Start
from streams.transport.counters import Counters
from streams.transport.place import Delivered, PartitionPlace
from streams.transport.poller import Poller
from streams.transport.settings import TransportSettings

log = structlog.get_logger("streams.transport")


class _NoList(list[int]):
    """Where Faust's streams write acked offsets that nobody reads: its arithmetic is replaced."""

    def append(self, _: int) -> None:
        """Keep nothing."""


class _NoSet(set[int]):
    def add(self, _: int) -> None:
        """Keep nothing."""


class BatchConsumer(Consumer):
    """See the package. What is acked is committed in order, and nothing behind what was not processed."""

    transport: Any  # streams.transport.app.Transport
    settings: TransportSettings
    consumer_stopped_errors: ClassVar[tuple[type[BaseException], ...]] = ()
    _generations: ClassVar[Iterator[int]] = count(1)

    def __init__(self, transport: Any, *args: Any, **kwargs: Any) -> None:
        self.settings = transport.settings
        self.counters = Counters()
        self._places: dict[TP, PartitionPlace] = {}
        self._arrived = asyncio.Event()
        self._suspended: asyncio.Task[Any] | None = None
        self._turn: list[TP] = []
        self._counts: dict[str, int] = {}
        self._poller: Poller | None = None
        self._rebalance_open = False
        super().__init__(transport, *args, **kwargs)
        self._acked = defaultdict(_NoList)
        self._acked_index = defaultdict(_NoSet)

    # Life

    async def on_start(self) -> None:
        if self.app.client_only:
            raise UserError("this transport serves workers; Faust's client-only mode is not for it")
        if self.app.tables:
            raise UserError(
                f"Faust tables ({', '.join(self.app.tables)}) do not recover on this transport and would be "
                "empty after a restart: keep state in a checkpoint"
            )
        settings, counters = self.settings, self.counters
        self._poller = Poller(
            lambda: self.transport.new_client(settings, counters), self, self.loop, settings, counters
        )
        self._poller.start()

    @property
    def poller(self) -> Poller:
        if self._poller is None:
            raise RunError("the Kafka consumer has not started")
        return self._poller

    async def on_stop(self) -> None:
        await super().on_stop()
        if self._poller is not None and not await self._poller.close():
            log.error("did not leave the group in time", limit_ms=self.settings.close_limit_ms)

    def close(self) -> None:
        """Faust calls it in the middle of a rebalance; the group is left in `on_stop`."""

    def note_fault(self, error: BaseException) -> None:
        """The poll thread has ended: so does the worker."""
        log.error("kafka consumer failed", reason=str(error))
        self._crash_task = asyncio.ensure_future(self.crash(error))

    async def subscribe(self, topics: Iterable[str]) -> None:
        names = set(topics)
        for name in sorted(names):
            partitions = await self.poller.ask(lambda c, name=name: c.partitions(name))  # type: ignore[misc]  # bound by default
            if partitions is not None:
                self._counts[name] = partitions
            elif self.transport.batched(name):
                raise RunError(f"topic {name} does not exist; `interlayer topics create` makes it")
        await self.poller.subscribe(names)

    # What the poll thread tells (on the event loop, in the order it happened)

    def note_started(self, starts: Mapping[Partition, Start]) -> None:
        if not self.settings.incremental:
            self.note_stopped([(tp.topic, tp.partition) for tp in self._places])
        for partition, start in starts.items():
            tp = TP(*partition)
            self._places[tp] = PartitionPlace(tp, start.offset, start.committed, start.epoch)

    def note_stopped(self, partitions: Collection[Partition]) -> None:
        for partition in partitions:
            if place := self._places.pop(TP(*partition), None):
                place.begin(-1, -1)  # what is still on its way through Faust is stale now

    def note_sought(self, partition: Partition, offset: int, epoch: int) -> None:
        if place := self._places.get(TP(*partition)):
            place.begin(offset, epoch)
            self._committed_offset.pop(place.tp, None)

    def note_arrived(self, runs: list[Run], places: Mapping[Partition, Place]) -> None:
        for run in runs:
            place = self._places.get(TP(run.topic, run.partition))
            if place is None or run.epoch != place.epoch:
                self.counters.dropped_records += 0 if isinstance(run, Jump) else len(_held(run))
                continue
            for held in _held(run):
                place.arrive(held)
        for partition, at in places.items():
            if place := self._places.get(TP(*partition)):
                place.place = at
                self.app.monitor.track_tp_end_offset(place.tp, at.end)
        if runs:
            self._arrived.set()

    async def on_revoked(self, partitions: Collection[Partition], lost: bool) -> None:
        self._rebalance_starts()
        if not lost:
            await self._commit_now()  # Faust itself commits here only with stream_wait_empty
        await self.on_partitions_revoked({TP(*p) for p in partitions})
        if self.settings.incremental:
            # The consumer protocol may take partitions without a word on what stays.
            await self._hand_assignment(self.assignment() - {TP(*p) for p in partitions})

    async def on_assigned(self) -> None:
        if not self._rebalance_open:
            self._rebalance_starts()
            await self._commit_now()
            await self.on_partitions_revoked(set())
        await self._hand_assignment(self.assignment())

    async def _commit_now(self) -> None:
        await self.maybe_wait_for_commit_to_finish()  # after another's commit Faust does none of its own
        await self.commit()

    def _rebalance_starts(self) -> None:
        self._rebalance_open = True
        self.app.on_rebalance_start()

    async def _hand_assignment(self, assigned: set[TP]) -> None:
        generation = next(self._generations)
        self.app.consumer_generation_id = generation
        self._rebalance_open = False
        await self.on_partitions_assigned(assigned, generation)

    # Handing over

    def _next(self) -> tuple[PartitionPlace, Batch | Record | Jump] | None:
        """The next partition's turn: each gets one message, then the others."""
        active = self._get_active_partitions()
        if not self._turn:
            self._turn = [tp for tp, place in self._places.items() if place.waiting]
        while self._turn:
            tp = self._turn.pop()
            place = self._places.get(tp)
            if place is not None and place.waiting and tp in active:
                return place, place.take(self.settings.batch_max_records, self.settings.batch_max_bytes)
        return None

    async def _drain_messages(self, fetcher: Any) -> None:
        try:
            while not (self.should_stop or fetcher.should_stop):
                if not self.flow_active:
                    await self.can_resume_flow.wait()
                self._arrived.clear()
                while self.flow_active and (found := self._next() or self._next()):
                    await self._hand_over(*found)
                    if self._commit_every is not None and self._n_acked >= self._commit_every:
                        self._n_acked = 0
                        await self.commit()
                if self.flow_active:
                    await self._arrived.wait()
        except asyncio.CancelledError:
            if not self.app.should_stop:
                raise

    async def _hand_over(self, place: PartitionPlace, held: Batch | Record | Jump) -> None:
        if isinstance(held, Jump):
            place.jumped(held)
            self.transport.log_start_jumped(held)
            return
        message = self._to_message(place.tp, held)
        place.delivered.append(message)
        place.delivered_to = message.last_offset + 1
        if self._suspended is None or self._suspended.done():
            self._suspended = asyncio.ensure_future(self.suspend_flow.wait())
        delivery = asyncio.ensure_future(self.callback(message))
        await asyncio.wait((delivery, self._suspended), return_when=asyncio.FIRST_COMPLETED)
        if not delivery.done():
            delivery.cancel()
            await asyncio.wait((delivery,))
        if not delivery.cancelled():
            delivery.result()
        self._after(place, message, delivered=not delivery.cancelled())

    def _after(self, place: PartitionPlace, message: Delivered, *, delivered: bool) -> None:
        if message.refcount == 0 and not message.acked and not message.stale:
            if delivered:
                message.acked = True  # no stream wants this topic
            else:
                place.delivered.remove(message)
                place.delivered_to = message.first_offset
                place.waiting.appendleft(message.held)
        elif not message.acked and not self.app.topics.acks_enabled_for(message.topic):
            self._release(message)

    def _to_message(self, tp: TP, record: Any) -> Delivered:
        generation = self.app.consumer_generation_id
        return Delivered(self._places[tp], record, generation, self._is_current, self._settled)

    # Acks and commits

    def _is_current(self, message: Delivered) -> bool:
        return message.generation_id == self.app.consumer_generation_id and self.app.flow_control.is_active()

    def _release(self, message: Delivered) -> None:
        partition = message.topic, message.partition
        self.poller.in_flight.release(partition, message.epoch, message.records, message.nbytes)

    def _settled(self, message: Delivered) -> None:
        if not message.stale:
            self._release(message)
            message.at.settle()

    def ack(self, message: Message) -> bool:
        with ack_lock:
            if message.acked:
                return False
            message.acked = True
            self._unacked_messages.discard(message)
            self._n_acked += 1
            notify(self._waiting_for_ack)
            return True

    async def wait_empty(self) -> None:
        """Let agents finish what they have begun, within a limit: a join may hold a batch for long."""
        deadline = self.loop.time() + self.settings.drain_limit_ms / 1000
        while any(m.tracked and not m.acked for place in self._places.values() for m in place.delivered):
            left_s = deadline - self.loop.time()
            if left_s <= 0:
                log.warning("agents did not finish in time", limit_ms=self.settings.drain_limit_ms)
                break
            self._waiting_for_ack = self.loop.create_future()
            await asyncio.wait((self._waiting_for_ack,), timeout=left_s)
            self._waiting_for_ack = None
        await self.commit_and_end_transactions()

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[TP]:
        return (tp for tp in list(self._places) if topics is None or tp in topics or tp.topic in topics)

    def _new_offset(self, tp: TP) -> int | None:
        place = self._places.get(tp)
        return place.done if place and self.app.topics.acks_enabled_for(tp.topic) else None

    def _should_commit(self, tp: TP, offset: int) -> bool:
        return offset != self._places[tp].committed

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        asked = {(tp.topic, tp.partition): offset for tp, offset in offsets.items()}
        done = await self.poller.commit(asked)
        if done:
            self.counters.commits += 1
            for tp, offset in offsets.items():
                if place := self._places.get(tp):
                    place.committed = offset
        return done

    # Places

    def progress(self, topic: str, partition: int) -> tuple[int, int]:
        """The first offset that no agent has taken, and the high watermark as last heard (-1: unknown).

        Equal: caught up. No request is made; (-1, -1) for a partition that is not ours.
        """
        place = self._places.get(TP(topic, partition))
        return (place.next_offset, place.place.end) if place else (-1, -1)

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Back to what is committed, wherever something was handed over since and not acked."""
        targets = {
            tp: place.start if place.committed is None else place.committed
            for tp, place in self._places.items()
        }
        await self.seek_wait(
            {tp: offset for tp, offset in targets.items() if self._places[tp].untouched_at != offset}
        )
        return targets

    async def perform_seek(self) -> None:
        await self.seek_to_committed()

    async def seek_wait(self, partitions: Mapping[TP, int]) -> None:
        for tp, offset in partitions.items():
            await self._seek(tp, offset)

    async def _seek(self, partition: TP, offset: int) -> None:
        await self.poller.seek((partition.topic, partition.partition), offset)

    async def position(self, tp: TP) -> int | None:
        place = self._places.get(tp)
        return place.next_offset if place else None

    def assignment(self) -> set[TP]:
        return set(self._places)

    def highwater(self, tp: TP) -> int:
        place = self._places.get(tp)
        return place.place.end if place else -1

    async def earliest_offsets(self, *partitions: TP) -> Mapping[TP, int]:
        return {tp: (await self._watermarks(tp))[0] for tp in partitions}

    async def highwaters(self, *partitions: TP) -> Mapping[TP, int]:
        return {tp: (await self._watermarks(tp))[1] for tp in partitions}

    async def _watermarks(self, tp: TP) -> tuple[int, int]:
        return await self.poller.ask(lambda c: c.watermarks((tp.topic, tp.partition)))

    def topic_partitions(self, topic: str) -> int | None:
        return self._counts.get(topic)

    def key_partition(self, topic: str, key: bytes | None, partition: int | None = None) -> int | None:
        known = self._counts.get(topic)
        if partition is not None or known is None:
            return partition
        numbers = list(range(known))
        partitioner: Any = self.app.producer.partitioner
        return int(partitioner(key, numbers, numbers))

    def _new_topicpartition(self, topic: str, partition: int) -> TP:
        return TP(topic, partition)

    async def create_topic(self, topic: str, partitions: int, replication: int, **options: Any) -> None:
        producer = await self.app.maybe_start_producer()
        await producer.create_topic(topic, partitions, replication, **options)

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Mapping[TP, list[Any]]:  # noqa: ASYNC109  Faust's
        """Faust's way of asking; here what comes is pushed, and `_drain_messages` hands it over."""
        raise RunError("this consumer is not asked for records, it hands them over")

    # What may let a partition go on

    def on_buffer_drop(self, tp: TP) -> None:
        super().on_buffer_drop(tp)
        self._arrived.set()

    def resume_partitions(self, tps: Iterable[TP]) -> None:
        super().resume_partitions(tps)
        self._arrived.set()

    def stop_flow(self) -> None:
        super().stop_flow()
        self._arrived.set()


def _held(run: Run) -> Collection[Batch | Record | Jump]:
    return run.records if isinstance(run, Records) else (run,)
