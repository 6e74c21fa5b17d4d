"""risk.command, read from its beginning to its end and then followed, outside any consumer group.

Nothing may open before the end is known, nor when it could not be confirmed for `command_confirm_ms`:
a kill might be waiting there. A record that cannot be read counts as a kill of all whose id is the
record's key, so that `interlayer risk resume ID` lifts it as any other.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from strategies.risk import Command, CommandAction, Latch, Reason, Standing
from streams.broker import Broker
from streams.broker.client import consumer_config
from streams.config import Settings
from streams.errors import InterlayerError
from streams.logs import logger

log = logger(__name__)

TOPIC = "risk.command"
POLL_S = 0.05  # a command wakes the poll at once; this is how often the end is looked for
LOOKS = 8  # watermark queries within command_confirm_ms, so that a few may fail
LONGEST_LOOK_S = 1.0

Decode = Callable[[str, bytes], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class CommandSeen:
    """A record of risk.command. `unreadable` says why it counts as a kill of all; empty: it could be read."""

    offset: int
    command: Command
    unreadable: str = ""


@dataclass(frozen=True, slots=True)
class GateOpened:
    """All commands before offset `end` have been handed on; what no kill covers may open."""

    end: int


@dataclass(frozen=True, slots=True)
class GateClosed:
    """Nothing may open. `value` and `limit` are in the reason's unit."""

    reason: Reason
    value: float | None = None
    limit: float | None = None
    detail: str = ""


Event = CommandSeen | GateOpened | GateClosed


@dataclass(frozen=True, slots=True)
class Look:
    """What was last known of the log: read to `position`, its end last confirmed at `confirmed_ns`."""

    position: int = 0
    start: int = 0
    confirmed_ns: int | None = None
    detail: str = ""


class Follower:
    """How far the log was read, and when that was its end. Pure; times are monotonic ns."""

    def __init__(self) -> None:
        self.position = 0
        self._start = 0
        self._asked: tuple[int, int] | None = None  # an end, and when it was asked for
        self._confirmed_ns: int | None = None

    def reached(self, position: int) -> None:
        """All before `position` was handed on."""
        self.position = max(self.position, position)
        self._confirm()

    def watermarks(self, start: int, end: int, asked_ns: int) -> bool:
        """The log reached from `start` to `end` at `asked_ns`; False where it is another log than ours.

        A log that ends before our place was deleted and made anew: it must be read from its start.
        """
        self._start = start
        if end < self.position:
            self.position, self._asked, self._confirmed_ns = start, None, None
            return False
        self._asked = (end, asked_ns)
        self._confirm()
        return True

    def look(self, detail: str = "") -> Look:
        """What is known now."""
        return Look(self.position, self._start, self._confirmed_ns, detail)

    def _confirm(self) -> None:
        if self._asked is not None and self.position >= self._asked[0]:
            self._confirmed_ns = self._asked[1]


class Gate:
    """Open or closed, from what is known of the log. Pure; begins closed."""

    def __init__(self, limit_ms: int, *, compacts: bool) -> None:
        self.closed: Reason | None = Reason.COMMANDS_UNCONFIRMED
        self._limit_ms = limit_ms
        self._compacts = compacts

    def check(self, look: Look, now_ns: int) -> GateOpened | GateClosed | None:
        """What changed, if anything did."""
        verdict = self._judge(look, now_ns)
        reason = verdict.reason if isinstance(verdict, GateClosed) else None
        if reason is self.closed:
            return None
        self.closed = reason
        return verdict

    def _judge(self, look: Look, now_ns: int) -> GateOpened | GateClosed:
        if look.start > 0 and not self._compacts:
            return GateClosed(
                Reason.COMMANDS_LOG_CUT, float(look.start), 0.0, Reason.COMMANDS_LOG_CUT.sentence
            )
        if look.confirmed_ns is None:
            return GateClosed(Reason.COMMANDS_UNCONFIRMED, None, float(self._limit_ms), look.detail)
        age_ms = (now_ns - look.confirmed_ns) / 1e6
        if age_ms > self._limit_ms:
            return GateClosed(Reason.COMMANDS_UNCONFIRMED, age_ms, float(self._limit_ms), look.detail)
        return GateOpened(look.position)


def command_of(key: bytes | None, value: bytes | None, offset: int, decode: Decode) -> CommandSeen:
    """The command in a record; what is none is a kill of all.

    The key must be the command's id: under another key, compaction could take a kill away.
    Raises RunError where it could not be tried.
    """
    name = key.decode("utf-8", "replace") if key else ""
    try:
        if value is None:
            raise ValueError("it has no value; a kill is lifted by a resume, not by a tombstone")
        command = Command.of(decode(TOPIC, value))
        if command.command_id != name:
            raise ValueError(f"its key {name!r} is not its command_id {command.command_id!r}")
    except InterlayerError:  # a Schema Registry that does not answer says nothing of the record
        raise
    except Exception as error:  # noqa: BLE001  # whatever is wrong with it, it must stop and not pass
        kill = Command(
            command_id=name or f"unreadable-{offset}",
            action=CommandAction.KILL,
            reason=f"record at offset {offset} of {TOPIC} cannot be read: {error or type(error).__name__}",
        )
        return CommandSeen(offset, kill, str(error) or type(error).__name__)
    return CommandSeen(offset, command)


class Commands:
    """Reads risk.command in a thread of its own and tells `on_event` in the event loop.

    `standing` is what all events so far add up to, for an engine that begins now; `detail` is what keeps
    the end from being confirmed, in words.
    """

    def __init__(
        self,
        broker: Broker,
        settings: Settings,
        decode: Decode,
        on_event: Callable[[Event], None],
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.standing = Standing()
        self.detail = ""
        self._topic = settings.named(TOPIC)
        self._config = _consumer_config(broker, settings)
        self._decode = decode
        self._on_event = on_event
        self._gate = Gate(settings.command_confirm_ms, compacts="compaction" in broker.capabilities)
        self._look = Look()
        self._look_s = min(LONGEST_LOOK_S, settings.command_confirm_ms / LOOKS / 1_000)
        self._clock = clock
        self._opened = asyncio.Event()
        self._ending = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="commands", daemon=True)

    def start(self) -> None:
        """Begin to read; call it within the event loop."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    async def opened(self, limit_ms: int) -> bool:
        """Wait until the gate is open, at most `limit_ms`; whether it is."""
        try:
            await asyncio.wait_for(self._opened.wait(), limit_ms / 1_000)
        except TimeoutError:
            return False
        return True

    async def stop(self) -> None:
        """End the thread."""
        self._ending.set()
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join)

    def check(self) -> None:
        """Close the gate if its time has run out; in the event loop, before each step.

        After a pause of the whole process (a stopped machine) the thread that reads may come too late.
        """
        event = self._gate.check(self._look, self._clock())
        if event is None:
            return
        self.standing = Standing(self.standing.latch, self._gate.closed)
        if isinstance(event, GateOpened):
            self._opened.set()
            log.info("the gate is open", topic=self._topic, end=event.end)
        else:
            self._opened.clear()
            log.warning("the gate is closed", reason=str(event.reason), detail=event.detail)
        self._on_event(event)

    def _take(self, fact: CommandSeen | Look) -> None:
        """In the event loop: a command, or how far the log is known."""
        if isinstance(fact, Look):
            self._look = fact
            if fact.detail and fact.detail != self.detail:
                log.warning("the end of the commands is not known", topic=self._topic, reason=fact.detail)
            self.detail = fact.detail
        else:
            self._heard(fact)
        self.check()

    def _heard(self, seen: CommandSeen) -> None:
        latch: Latch = self.standing.latch
        where = {"topic": self._topic, "offset": seen.offset, "id": seen.command.command_id}
        if seen.unreadable:
            log.error("a command cannot be read and counts as a kill of all", why=seen.unreadable, **where)
        else:
            log.info("command", verdict=str(latch.verdict(seen.command)), reach=seen.command.reach, **where)
        self.standing = Standing(latch.apply(seen.command), self.standing.closed)
        self._on_event(seen)

    def _post(self, fact: CommandSeen | Look) -> None:
        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(self._take, fact)
        except RuntimeError:  # the event loop has ended
            self._ending.set()

    # What follows runs in the thread.

    def _run(self) -> None:
        consumer = Consumer(self._config, logger=logging.getLogger("librdkafka"))
        follower = Follower()
        try:
            self._follow(consumer, follower)
        except Exception as error:
            # Without a reader the end is never confirmed again, so the gate closes; here is why.
            log.exception("the reader of commands has ended", topic=self._topic)
            self._post(follower.look(f"the reader of commands has ended: {error!r}"))
        finally:
            consumer.close()

    def _follow(self, consumer: Consumer, follower: Follower) -> None:
        self._assign(consumer, 0)
        next_look = 0.0
        while not self._ending.is_set():
            try:
                self._read(consumer, follower)
            except InterlayerError as fault:
                self._post(follower.look(str(fault)))
                self._assign(consumer, follower.position)  # the same record again
                self._ending.wait(self._look_s)
            if time.monotonic() >= next_look:
                self._post(self._ask(consumer, follower))
                next_look = time.monotonic() + self._look_s

    def _assign(self, consumer: Consumer, offset: int) -> None:
        consumer.assign([TopicPartition(self._topic, 0, offset)])

    def _read(self, consumer: Consumer, follower: Follower) -> None:
        message = consumer.poll(POLL_S)
        if message is None:
            return
        error = message.error()
        if error is None:
            self._hand_on(message, follower)
        elif error.code() == KafkaError._PARTITION_EOF:
            follower.reached(message.offset() or 0)  # also past what holds no records: markers, compaction
        elif error.code() in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):
            log.warning("our place in the log is gone", topic=self._topic, reason=error.str())
        else:
            log.warning("reading commands", topic=self._topic, reason=error.str())
            return
        self._post(follower.look())

    def _hand_on(self, message: Message, follower: Follower) -> None:
        offset = message.offset()
        assert offset is not None
        self._post(command_of(message.key(), message.value(), offset, self._decode))
        follower.reached(offset + 1)

    def _ask(self, consumer: Consumer, follower: Follower) -> Look:
        """Ask for the log's ends; from its start again where it is another log, or its start went past us."""
        asked_ns = self._clock()
        try:
            partitions = consumer.list_topics(self._topic, self._look_s).topics[self._topic].partitions
            if len(partitions) > 1:
                return follower.look(f"{self._topic} has {len(partitions)} partitions; it must have 1")
            start, end = consumer.get_watermark_offsets(TopicPartition(self._topic, 0), self._look_s)
        except KafkaException as error:
            return follower.look(error.args[0].str())
        if not follower.watermarks(start, end, asked_ns) or start > follower.position:
            log.warning("commands are read again from the log's start", start=start, end=end)
            follower.reached(start)
            self._assign(consumer, start)
        return follower.look()


def _consumer_config(broker: Broker, settings: Settings) -> dict[str, Any]:
    return consumer_config(
        broker,
        settings.named(f"{TOPIC}.reader"),  # required by the client; it neither joins nor commits
        enable_partition_eof=True,
        # A kill counts as soon as it is in the log, whatever becomes of its writer's transaction.
        isolation_level="read_uncommitted",
        fetch_wait_max_ms=settings.fetch_wait_ms,  # the queries for the log's end wait behind a fetch
        allow_auto_create_topics=False,
    )
