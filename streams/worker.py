"""A worker: its partitions, the publisher, the commands and the clock that all of them go by."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Iterable
from typing import Any

from schemas import kernel_cache
from schemas.topics import partition_of
from strategies.controls import Gate, LogStartJumped, Order
from strategies.engine import Engine, EngineLimits
from strategies.markets import Markets
from strategies.warm import warm
from streams.broker import Broker
from streams.commands import Commands, CommandSeen, GateClosed, GateOpened
from streams.config import Settings
from streams.ends import Ends
from streams.health import Health, Step
from streams.logs import logger
from streams.partition import PartitionWorker
from streams.publisher import JOURNAL, Publisher
from streams.transport import BatchedApp
from streams.wire import Wire

log = logger(__name__)

TOPICS = ("book.l1", "book.l2")
TICK_S = 0.01  # how often acks are settled and waits looked at; a step itself never waits for it
CHECK_EVERY = 50  # ticks between two looks at our own health


class Worker:
    """Everything one process does. Faust calls `take` for each batch; the rest hangs on the app's signals."""

    def __init__(self, app: BatchedApp, settings: Settings, markets: Markets, broker: Broker) -> None:
        self.app = app
        self.settings = settings
        self.markets = markets
        self.broker = broker
        self.wire = Wire(settings)
        self.health = Health(settings.stuck_limit_ms)
        self.partitions: dict[int, PartitionWorker] = {}
        self.topics = (settings.named(TOPICS[0]), settings.named(TOPICS[1]))
        self.started_ns = time.monotonic_ns()
        self.taken = 0  # records of partitions that are no longer ours
        self._name = secrets.token_hex(8)
        self._claims: dict[int, asyncio.Lock] = {}
        self._inbox: dict[int, list[Any]] = {}  # batches of a partition that is being claimed
        self._unsure: set[int] = set()  # kept over a rebalance, claim not yet looked at
        self._jumps: dict[int, list[LogStartJumped]] = {}  # of partitions that are not claimed yet
        self._begun_ns = 0  # when commands began to be read
        self._ready = asyncio.Event()
        self._compiled = False
        self._draining = False
        self._asking: asyncio.Task[None] | None = None
        self._ends = Ends(broker)
        self._publisher: Publisher | None = None
        self._commands: Commands | None = None
        app.on_worker_init.connect(self._warm)
        app.on_partitions_revoked.connect(self._on_revoked)
        app.on_partitions_assigned.connect(self._on_assigned)
        app.on_before_shutdown.connect(self._drain)
        app.on_log_start_jumped(self._on_log_start_jumped)
        app.task(self.run)

    @property
    def records(self) -> int:
        """Records taken since the start."""
        return self.taken + sum(p.counts.records for p in self.partitions.values())

    @property
    def waiting(self) -> int:
        """Records that came and were not taken, those of partitions that are being claimed included."""
        queued = sum(p.waiting for p in self.partitions.values())
        return queued + sum(len(e.value) for events in self._inbox.values() for e in events)

    async def take(self, event: Any) -> None:
        """A batch from Faust: into its partition, and on as far as it goes.

        While the worker drains, a batch is left unacked: whoever takes the partition over gets it again.
        What is awaited here must not let the other topic's batches pass: the transport counts this one as
        taken, so whoever comes through first offers all that has come for the partition.
        """
        batch = event.value
        self._inbox.setdefault(batch.partition, []).append(event)
        await self._ready.wait()
        if self._draining or not any(e is event for e in self._inbox.get(batch.partition, ())):
            return  # offered already by who came first, or revoked meanwhile
        assert self._commands is not None
        self._commands.check()  # after a pause of the whole process the gate must close before a step
        partition = await self._partition(batch.partition)
        for come in self._inbox.pop(batch.partition, []):
            partition.offer(come.value, come)
        await partition.advance()

    async def run(self) -> None:
        """Start what needs the event loop, then keep time until the app ends."""
        try:
            self._start()
            ticks = 0
            while not self.app.should_stop and not self._draining:
                await asyncio.sleep(TICK_S)
                await self._tick(ticks)
                if self._asking is None or self._asking.done():
                    self._asking = asyncio.create_task(self._pass_time())
                ticks += 1
        except Exception as fault:
            log.error("the worker ends", reason=str(fault))
            await self.app.crash(fault)
            raise

    def _warm(self, *_: Any, **__: Any) -> None:
        """Compile all kernels, before the group is joined; Faust's own command sends the signal twice."""
        if self._compiled:
            return
        self._compiled = True
        started = time.monotonic()
        warm()
        self.health.reach(Step.COMPILED)
        log.info(
            "kernels are ready",
            seconds=round(time.monotonic() - started, 2),
            fingerprint=kernel_cache.fingerprint(),
        )

    def _start(self) -> None:
        self._publisher = Publisher(self.broker, self.settings, self.wire.encode)
        self._commands = Commands(self.broker, self.settings, self.wire.decode, self._on_command)
        self._commands.start()
        self._begun_ns = time.monotonic_ns()

    def _may_begin(self) -> bool:
        """Whether the first batch may be taken: it waits for the gate, or its episodes would be passed over.

        A gate that stays closed for command_confirm_ms holds back what would open, not the books.
        """
        assert self._commands is not None
        waited_ms = (time.monotonic_ns() - self._begun_ns) // 1_000_000
        return self._commands.standing.closed is None or waited_ms >= self.settings.command_confirm_ms

    async def _partition(self, number: int) -> PartitionWorker:
        """The engine of a partition; a new one claims it first, so that its epoch is above all before.

        After a rebalance an engine is kept only while its claim is the last one: a process that was stopped
        for a while cannot know that another worker had the partition meanwhile.
        """
        async with self._claims.setdefault(number, asyncio.Lock()):
            if number in self._unsure and number in self.partitions:
                last = await self._last_claim(number)
                if number in self.partitions and self.partitions[number].engine.epoch != last:
                    self._drop(number)
            self._unsure.discard(number)
            if number not in self.partitions:
                self.partitions[number] = await self._claim(number)
            for jump in self._jumps.pop(number, ()):
                self.partitions[number].control(jump)
            return self.partitions[number]

    async def _last_claim(self, number: int) -> int:
        """Offset of the partition's last claim. A broker that does not answer is asked again: no answer must
        not cost the books; stuck_limit_ms ends a worker that waits here in vain."""
        place = (self.settings.named(JOURNAL), number)
        while (end := (await self._ends.ask([place])).get(place)) is None:  # noqa: ASYNC110  # there is no event
            await asyncio.sleep(TICK_S)
        return end - 1

    def _drop(self, number: int) -> None:
        """Forget a partition: its state misses what another worker took."""
        self.taken += self.partitions.pop(number).counts.records

    async def _claim(self, number: int) -> PartitionWorker:
        assert self._publisher is not None
        assert self._commands is not None
        entry = {
            "entry": "claim",
            "partition": number,
            "writer": self._name,
            "configuration": self.markets.fingerprint(),
            "kernels": kernel_cache.fingerprint(),
        }
        epoch = await self._publisher.journal(entry)
        count = self.app.consumer.topic_partitions(self.topics[0]) or self.settings.partitions
        groups = [g for g in self.markets.group_names() if partition_of(g.encode(), count) == number]
        limits = EngineLimits(self.settings.receive_ahead_limit_ms, self.settings.time_jump_limit_ms)
        decoder = self.wire.decoder(TOPICS[0])
        engine = Engine(self.markets, groups, number, epoch, self.topics, limits, decoder)
        partition = PartitionWorker(
            engine,
            self._publisher,
            lambda topic, p: self.app.consumer.progress(topic, p),
            self.settings.merge_wait_ms,
            self.settings.silence_tick_ms,
        )
        partition.stand(self._commands.standing)
        log.info("partition taken over", partition=number, epoch=epoch, groups=groups)
        return partition

    async def _tick(self, ticks: int) -> None:
        assert self._commands is not None
        self._commands.check()
        if not self._ready.is_set() and self._may_begin():
            self._ready.set()
        for number in list(self._jumps):
            await self._partition(number)
        for partition in list(self.partitions.values()):
            await partition.advance()
            partition.settle()
        self.health.report(waiting=self.waiting, done=self.records)
        if ticks % CHECK_EVERY == 0:
            self.health.check()

    async def _pass_time(self) -> None:
        """Let time go by in partitions where the log itself says that nothing has come."""
        asked_ns = time.monotonic_ns()
        silent = [number for number, p in self.partitions.items() if p.is_silent(asked_ns)]
        if silent:
            ends = await self._ends.ask([(topic, number) for topic in self.topics for number in silent])
            for number in silent:
                if partition := self.partitions.get(number):
                    partition.pass_time(asked_ns, {t: ends.get((t, number), -1) for t in self.topics})
        await asyncio.sleep(self.settings.silence_tick_ms / 1_000)

    def _on_command(self, event: CommandSeen | GateOpened | GateClosed) -> None:
        """A kill takes effect in every engine at once; what it closes is published with the next tick."""
        match event:
            case CommandSeen(offset, command):
                control: Order | Gate = Order(command, offset)
            case GateOpened():
                self.health.reach(Step.COMMANDS)
                control = Gate(None)
            case GateClosed(reason):
                self.health.leave(Step.COMMANDS)
                control = Gate(reason)
        for partition in self.partitions.values():
            partition.control(control)

    def _on_log_start_jumped(self, topic: str, number: int, from_offset: int, to_offset: int) -> None:
        """Into its engine at once, before the batches that follow; a claim to come takes it first."""
        if topic not in self.topics:
            return
        jump = LogStartJumped(self.topics.index(topic), from_offset, to_offset)
        if number in self.partitions:
            self.partitions[number].control(jump)
        else:
            self._jumps.setdefault(number, []).append(jump)

    async def _on_revoked(self, *_: Any, **__: Any) -> None:
        """What is queued comes again, to us or to another."""
        self.health.leave(Step.ASSIGNED)
        self._jumps.clear()
        self._inbox.clear()
        for partition in self.partitions.values():
            partition.forget()

    async def _on_assigned(self, *sent: Any, **_: Any) -> None:
        """Keep what came back, drop what was lost: another worker's records are missing in it."""
        assigned: Iterable[Any] = sent[-1]
        numbers = {tp.partition for tp in assigned if tp.topic in self.topics}
        for number in [n for n in self.partitions if n not in numbers]:
            self._drop(number)
        self._unsure |= self.partitions.keys()
        self.health.reach(Step.ASSIGNED)

    async def _drain(self, *_: Any, **__: Any) -> None:
        """Publish and ack what was taken, within the named limit; Faust commits after it."""
        if self._draining or self._publisher is None or self._commands is None:
            return
        self._draining = True
        self._ready.set()  # what still waits for the gate is left to whoever comes next
        await self._commands.stop()
        # A quarter of the limit is ours; the transport needs the rest to commit and to leave the group.
        limit_ms = self.settings.drain_limit_ms // 4
        deadline = time.monotonic() + limit_ms / 1_000
        while sum(p.settle() for p in self.partitions.values()) and time.monotonic() < deadline:  # noqa: ASYNC110  # deliveries have no common event
            await asyncio.sleep(TICK_S)
        await self._publisher.close(limit_ms)
        log.info("drained", records=self.records)
