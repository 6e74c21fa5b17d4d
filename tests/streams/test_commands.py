"""risk.command: read to its end, confirmed or closed, and what cannot be read stops everything."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from hypothesis import given
from hypothesis import strategies as st

from strategies.risk import Command, CommandAction, Reason, Scope
from streams.broker import Broker, start_embedded
from streams.broker.base import CAPABILITIES
from streams.broker.client import producer_config
from streams.commands import (
    Commands,
    CommandSeen,
    Event,
    Follower,
    Gate,
    GateClosed,
    GateOpened,
    Look,
    command_of,
)
from streams.config import Settings, load_settings
from streams.errors import RunError
from streams.wire import Wire
from tests.brokers import make_topics

WIRE = Wire(load_settings(schema_registry_url=None))
LIMIT_S = 20.0
MS = 1_000_000


def kill(kill_id: str, scope: Scope = Scope.ALL, name: str = "") -> Command:
    return Command(kill_id, CommandAction.KILL, scope, name, "a test", "pytest", 1)


def resume(kill_id: str) -> Command:
    return Command(kill_id, CommandAction.RESUME, reason="a test", issued_by="pytest", time_ns=2)


def record(command: Command) -> tuple[bytes, bytes]:
    return command.command_id.encode(), WIRE.encode("risk.command", command.record())


def write(broker: Broker, topic: str, records: Iterable[tuple[bytes | None, bytes | None]]) -> None:
    producer = Producer(producer_config(broker))
    for key, value in records:
        producer.produce(topic, value, key)
    assert producer.flush(LIMIT_S) == 0


@dataclass
class Heard:
    """Everything that was told, in order."""

    events: list[Event] = field(default_factory=list)

    def ids(self) -> list[tuple[str, str]]:
        return [
            (e.command.command_id, str(e.command.action)) for e in self.events if isinstance(e, CommandSeen)
        ]

    def gates(self) -> list[GateOpened | GateClosed]:
        return [event for event in self.events if not isinstance(event, CommandSeen)]


async def until(true: Callable[[], bool]) -> None:
    """Wait for something, at most LIMIT_S."""
    deadline = time.monotonic() + LIMIT_S
    while not true():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


def follow(
    broker: Broker, settings: Settings, scenario: Callable[[Commands, Heard], Awaitable[None]], **more: object
) -> Heard:
    heard = Heard()

    async def whole() -> None:
        commands = Commands(broker, settings, WIRE.decode, heard.events.append, **more)
        commands.start()
        try:
            await asyncio.wait_for(scenario(commands, heard), 60)
        finally:
            await commands.stop()

    asyncio.run(whole())
    return heard


def test_read_to_the_end_then_open_then_followed(broker: Broker, topic_prefix: str) -> None:
    topic = topic_prefix + "risk.command"
    make_topics(broker, {topic: 1})
    write(broker, topic, map(record, [kill("a"), kill("b", Scope.GROUP, "BTC"), resume("a")]))

    async def scenario(commands: Commands, heard: Heard) -> None:
        assert commands.standing.closed is Reason.COMMANDS_UNCONFIRMED
        assert await commands.opened(20_000)
        assert heard.ids() == [("a", "kill"), ("b", "kill"), ("a", "resume")]
        assert heard.events[-1] == GateOpened(3)
        assert [each.command_id for each in commands.standing.latch.kills] == ["b"]
        assert commands.standing.closed is None
        await asyncio.to_thread(write, broker, topic, [record(resume("b"))])
        await until(lambda: len(heard.ids()) == 4)
        assert commands.standing.latch.kills == ()

    heard = follow(broker, load_settings(prefix=topic_prefix), scenario)
    assert [event.offset for event in heard.events if isinstance(event, CommandSeen)] == [0, 1, 2, 3]
    assert heard.gates() == [GateOpened(3)]


def test_an_empty_log_opens(broker: Broker, topic_prefix: str) -> None:
    make_topics(broker, {topic_prefix + "risk.command": 1})

    async def scenario(commands: Commands, heard: Heard) -> None:
        assert await commands.opened(20_000)

    assert follow(broker, load_settings(prefix=topic_prefix), scenario).events == [GateOpened(0)]


def test_what_cannot_be_read_kills_all_until_it_is_resumed(broker: Broker, topic_prefix: str) -> None:
    topic = topic_prefix + "risk.command"
    make_topics(broker, {topic: 1})
    write(broker, topic, [(b"bad", b"\x00garbage"), (b"other", record(kill("x"))[1]), (None, b"")])

    async def scenario(commands: Commands, heard: Heard) -> None:
        assert await commands.opened(20_000)
        latch = commands.standing.latch
        assert [each.command_id for each in latch.kills] == ["bad", "other", "unreadable-2"]
        assert latch.covers("any", "any", "any") == "bad"
        await asyncio.to_thread(
            write, broker, topic, map(record, [resume("bad"), resume("other"), resume("unreadable-2")])
        )
        await until(lambda: len(heard.ids()) == 6)
        assert commands.standing.latch.kills == ()

    heard = follow(broker, load_settings(prefix=topic_prefix), scenario)
    bad = [event for event in heard.events if isinstance(event, CommandSeen) and event.unreadable]
    assert [event.offset for event in bad] == [0, 1, 2]
    assert "offset 0 of risk.command cannot be read" in bad[0].command.reason


def test_a_missing_topic_keeps_the_gate_closed_and_says_so(kafka: Broker, topic_prefix: str) -> None:
    async def scenario(commands: Commands, heard: Heard) -> None:
        await until(lambda: "Unknown" in commands.detail)
        assert commands.standing.closed is Reason.COMMANDS_UNCONFIRMED
        make_topics(kafka, {topic_prefix + "risk.command": 1})
        assert await commands.opened(20_000)

    assert follow(kafka, load_settings(prefix=topic_prefix), scenario).events == [GateOpened(0)]


def test_more_than_one_partition_keeps_the_gate_closed(broker: Broker, topic_prefix: str) -> None:
    make_topics(broker, {topic_prefix + "risk.command": 2})

    async def scenario(commands: Commands, heard: Heard) -> None:
        await until(lambda: "has 2 partitions" in commands.detail)
        assert not await commands.opened(300)

    assert follow(broker, load_settings(prefix=topic_prefix), scenario).events == []


def test_a_broker_that_is_away_closes_the_gate(topic_prefix: str) -> None:
    topic = topic_prefix + "risk.command"
    with start_embedded({topic: 1}) as broker:

        async def scenario(commands: Commands, heard: Heard) -> None:
            assert await commands.opened(20_000)
            began = time.monotonic()
            await asyncio.to_thread(broker.stop)
            await until(lambda: commands.standing.closed is not None)
            assert time.monotonic() - began > 0.2  # not at the first failed look

        heard = follow(broker, load_settings(prefix=topic_prefix, command_confirm_ms=800), scenario)
    opened, closed = heard.gates()
    assert opened == GateOpened(0)
    assert isinstance(closed, GateClosed)
    assert closed.reason is Reason.COMMANDS_UNCONFIRMED
    assert closed.value is not None
    assert closed.value > 800 == closed.limit


def test_a_broker_that_hangs_closes_the_gate_and_opens_it_when_it_is_back(topic_prefix: str) -> None:
    topic = topic_prefix + "risk.command"
    with start_embedded({topic: 1}) as broker:
        pid = broker.pid
        assert pid is not None

        async def scenario(commands: Commands, heard: Heard) -> None:
            assert await commands.opened(20_000)
            os.kill(pid, signal.SIGSTOP)
            try:
                await until(lambda: commands.standing.closed is Reason.COMMANDS_UNCONFIRMED)
            finally:
                os.kill(pid, signal.SIGCONT)
            await asyncio.to_thread(write, broker, topic, [record(kill("a"))])
            await until(lambda: commands.standing.closed is None and heard.ids() == [("a", "kill")])

        heard = follow(broker, load_settings(prefix=topic_prefix, command_confirm_ms=800), scenario)
    assert [type(gate) for gate in heard.gates()] == [GateOpened, GateClosed, GateOpened]


def test_a_paused_process_closes_the_gate_before_its_next_step(embedded: Broker, topic_prefix: str) -> None:
    make_topics(embedded, {topic_prefix + "risk.command": 1})
    late = [0]

    async def scenario(commands: Commands, heard: Heard) -> None:
        assert await commands.opened(20_000)
        late[0] = 60_000 * MS  # the machine stood still for a minute; nothing else has run since
        commands.check()
        assert commands.standing.closed is Reason.COMMANDS_UNCONFIRMED
        assert isinstance(heard.events[-1], GateClosed)
        await until(lambda: commands.standing.closed is None)

    heard = follow(
        embedded,
        load_settings(prefix=topic_prefix),
        scenario,
        clock=lambda: time.monotonic_ns() + late[0],
    )
    assert [type(gate) for gate in heard.gates()] == [GateOpened, GateClosed, GateOpened]


@pytest.mark.parametrize("compacts", [True, False])
def test_a_log_whose_start_is_gone(kafka: Broker, topic_prefix: str, compacts: bool) -> None:
    """Records are deleted from the log's start: on a broker that does not compact, a kill may be lost."""
    topic = topic_prefix + "risk.command"
    make_topics(kafka, {topic: 1})
    write(kafka, topic, map(record, [kill("a"), resume("a"), kill("b")]))
    admin = AdminClient(dict(kafka.config))
    for future in admin.delete_records([TopicPartition(topic, 0, 2)]).values():
        future.result(LIMIT_S)
    kind = "kafka" if compacts else "embedded"
    broker = Broker("kafka", kafka.bootstrap, kafka.config, CAPABILITIES[kind])

    async def scenario(commands: Commands, heard: Heard) -> None:
        await until(lambda: heard.ids() == [("b", "kill")])
        if compacts:
            assert await commands.opened(20_000)
        else:
            await until(lambda: commands.standing.closed is Reason.COMMANDS_LOG_CUT)
            assert not await commands.opened(300)

    gates = follow(broker, load_settings(prefix=topic_prefix), scenario).gates()
    if compacts:
        assert gates == [GateOpened(3)]
    else:
        assert [(g.reason, g.value) for g in gates if isinstance(g, GateClosed)] == [
            (Reason.COMMANDS_LOG_CUT, 2.0)
        ]


def test_an_embedded_log_that_lost_its_start_keeps_the_gate_closed(topic_prefix: str) -> None:
    """The embedded broker keeps 5 MiB a partition and drops what is older without a word."""
    topic = topic_prefix + "risk.command"
    with start_embedded({topic: 1}) as broker:
        write(broker, topic, [(b"k", bytes(900_000))] * 12)

        async def scenario(commands: Commands, heard: Heard) -> None:
            await until(lambda: commands.standing.closed is Reason.COMMANDS_LOG_CUT)

        heard = follow(broker, load_settings(prefix=topic_prefix), scenario)
    assert not [event for event in heard.events if isinstance(event, GateOpened)]


@pytest.mark.parametrize(
    ("key", "value", "kill_id"),
    [
        (b"k", None, "k"),
        (b"k", b"", "k"),
        (b"k", b"\xc3\x01", "k"),
        (None, record(kill("k"))[1], "unreadable-7"),
        (b"other", record(kill("k"))[1], "other"),
        (b"other", record(resume("k"))[1], "other"),
        (b"\xff", b"?", "�"),
    ],
)
def test_no_command_is_a_kill_of_all(key: bytes | None, value: bytes | None, kill_id: str) -> None:
    seen = command_of(key, value, 7, WIRE.decode)
    assert seen.unreadable
    assert (seen.command.command_id, seen.command.action, seen.command.scope) == (
        kill_id,
        CommandAction.KILL,
        Scope.ALL,
    )


@given(st.binary(max_size=40), st.binary(max_size=8))
def test_random_bytes_never_resume(value: bytes, key: bytes) -> None:
    assert command_of(key, value, 3, WIRE.decode).command.action is CommandAction.KILL


def test_a_command_that_can_be_read() -> None:
    key, value = record(kill("k", Scope.VENUE, "kraken"))
    assert command_of(key, value, 7, WIRE.decode) == CommandSeen(7, kill("k", Scope.VENUE, "kraken"))


def test_a_registry_that_does_not_answer_is_no_fault_of_the_record() -> None:
    def away(topic: str, value: bytes) -> dict[str, object]:
        raise RunError("registry away")

    with pytest.raises(RunError, match="registry away"):
        command_of(b"k", b"v", 0, away)


def test_the_end_is_confirmed_when_it_was_asked_for() -> None:
    follower = Follower()
    assert follower.watermarks(0, 3, 100)
    assert follower.look().confirmed_ns is None
    follower.reached(2)
    assert follower.look().confirmed_ns is None
    follower.reached(3)
    assert follower.look() == Look(3, 0, 100)
    assert follower.watermarks(0, 4, 200)
    assert follower.look().confirmed_ns == 100
    follower.reached(4)
    assert follower.look().confirmed_ns == 200
    assert not follower.watermarks(0, 1, 300)  # the topic was deleted and made anew
    assert follower.look() == Look(0, 0, None)


def test_the_gate_by_its_limits() -> None:
    gate = Gate(10, compacts=False)
    assert gate.check(Look(), 0) is None  # begins closed, for the same reason
    assert gate.check(Look(3, 0, 0), 10 * MS) == GateOpened(3)
    assert gate.check(Look(3, 0, 0), 10 * MS) is None
    assert gate.check(Look(3, 0, 0, "away"), 11 * MS) == GateClosed(
        Reason.COMMANDS_UNCONFIRMED, 11.0, 10.0, "away"
    )
    assert gate.check(Look(3, 0, 20 * MS), 21 * MS) == GateOpened(3)
    closed = gate.check(Look(5, 1, 22 * MS), 22 * MS)
    assert isinstance(closed, GateClosed)
    assert closed.reason is Reason.COMMANDS_LOG_CUT
    assert Gate(10, compacts=True).check(Look(5, 1, 22 * MS), 22 * MS) == GateOpened(5)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(1, 3)),
        st.tuples(st.just("read"), st.integers(1, 3)),
        st.tuples(st.just("ask"), st.just(0)),
        st.tuples(st.just("wait"), st.integers(1, 8)),
    ),
    max_size=40,
)


@given(STEPS)
def test_the_gate_is_never_open_over_an_old_unread_command(steps: list[tuple[str, int]]) -> None:
    """Open only if all that was written more than the limit (10 ms) ago has been read."""
    follower, gate, now = Follower(), Gate(10, compacts=True), 0
    written = [0] * 1_000  # by ms: how much was in the log at its end
    for step, amount in steps:
        if step == "write":
            written[now:] = [written[now] + amount] * len(written[now:])
        elif step == "read":
            follower.reached(min(written[now], follower.position + amount))
        elif step == "ask":
            follower.watermarks(0, written[now], now * MS)
        else:
            now += amount
        gate.check(follower.look(), now * MS)
        if gate.closed is None:
            assert follower.position >= (written[now - 11] if now > 10 else 0)
        else:
            assert follower.look().confirmed_ns is None or now * MS - follower.look().confirmed_ns > 10 * MS


def test_a_reader_that_ends_closes_the_gate_and_says_why(embedded: Broker, topic_prefix: str) -> None:
    topic = topic_prefix + "risk.command"
    make_topics(embedded, {topic: 1})

    async def scenario(commands: Commands, heard: Heard) -> None:
        assert await commands.opened(20_000)

        def broken(*_: object) -> None:
            raise ValueError("a fault of ours")

        commands._hand_on = broken
        await asyncio.to_thread(write, embedded, topic, [record(kill("a"))])
        await until(lambda: "a fault of ours" in commands.detail)
        await until(lambda: commands.check() or commands.standing.closed is Reason.COMMANDS_UNCONFIRMED)

    heard = follow(embedded, load_settings(prefix=topic_prefix, command_confirm_ms=800), scenario)
    assert isinstance(heard.events[-1], GateClosed)
