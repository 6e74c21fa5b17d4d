"""`interlayer risk kill` under load: what comes after it, how soon it counts, and how it is lifted."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import Any

import pytest

from schemas.topics import partition_of, topics
from streams.broker import Broker
from tests.brokers import make_topics
from tests.end_to_end.kit import everything, interlayer, running, until
from tests.end_to_end.load import Load, markets_file
from tests.streams.shell import WIRE

GROUPS = ("BTC", "ETH")
PARTITIONS = 2
RATE = 600.0
COMMANDS = "risk.command"


@dataclass(frozen=True)
class Said:
    """A record with the time at which it was handed to its producer."""

    ms: int
    record: dict[str, Any]


@dataclass
class Stopped:
    """All that was said by commands, guard and detector, and what the web port answered meanwhile."""

    commands: list[Said]
    events: list[Said]
    signals: list[Said]
    before: tuple[int, Any]  # /ready while there was no risk.command
    alive: int
    signals_before: int
    exit_code: int

    def at(self, reason: str) -> dict[int, int]:
        """When each partition said so last, ms."""
        return {e.record["partition"]: e.ms for e in self.events if e.record["reason"] == reason}

    def of(self, partition: int, *actions: str) -> list[Said]:
        """Signals of a partition's groups."""
        groups = {g for g in GROUPS if partition_of(g.encode(), PARTITIONS) == partition}
        return [s for s in self.signals if s.record["group"] in groups and s.record["action"] in actions]


def said(broker: Broker, prefix: str, name: str) -> list[Said]:
    found = [Said(m.timestamp()[1], WIRE.decode(name, m.value())) for m in everything(broker, prefix + name)]
    return sorted(found, key=lambda one: one.ms)


@pytest.fixture(scope="module")
def stopped(kafka: Broker, prefix: str, tmp_path_factory: pytest.TempPathFactory) -> Stopped:
    """A worker that begins without risk.command, gets it, is stopped and goes on."""
    folder = tmp_path_factory.mktemp("kill")
    (folder / "markets.toml").write_text(markets_file(GROUPS))
    for topic in topics(prefix, PARTITIONS):
        if topic.name != prefix + COMMANDS:
            make_topics(kafka, {topic.name: topic.partitions})
    address = ["--broker", f"kafka://{kafka.bootstrap}", "--prefix", prefix]
    flags = ["--markets", str(folder / "markets.toml")]
    with (
        running(kafka, prefix, folder, *flags, INTERLAYER_COMMAND_CONFIRM_MS="2000") as worker,
        Load(kafka, prefix, GROUPS, RATE) as load,
    ):
        until(lambda: worker.stats().get("records", 0) > 100, "records are taken", 120)
        before, alive, early = worker.ask("/ready"), worker.ask("/live")[0], worker.stats()["signals"]
        # With the broker's time of a command, not its writer's, who has yet to connect.
        config = {"cleanup.policy": "compact", "message.timestamp.type": "LogAppendTime"}
        make_topics(kafka, {prefix + COMMANDS: 1}, config)
        until(worker.ready, "the gate is open")
        until(lambda: worker.stats()["signals"] > 200, "there are signals")
        killed = interlayer("risk", "kill", "--reason", "test", *address)
        assert killed.returncode == 0, killed.stderr
        until(lambda: worker.stats()["open_episodes"] == 0, "what was open is closed")
        time.sleep(0.5)  # load goes on under the kill
        resumed = interlayer("risk", "resume", killed.stdout.strip(), "--reason", "over", *address)
        assert resumed.returncode == 0, resumed.stderr
        until(lambda: worker.stats()["open_episodes"] == len(GROUPS), "it goes on")
        load.stop()
        code = worker.end()
    names = (COMMANDS, "risk.event", "signal")
    return Stopped(*(said(kafka, prefix, name) for name in names), before, alive, early, code)


def test_nothing_opens_while_the_commands_are_unknown(stopped: Stopped) -> None:
    status, told = stopped.before
    assert (status, stopped.alive) == (503, 200)
    assert told["reason"] == "risk.command has not been read to its end"
    assert stopped.signals_before == 0


def test_after_a_kill_nothing_opens_and_what_is_open_closes(
    stopped: Stopped, capsys: pytest.CaptureFixture[str]
) -> None:
    kill, resume = stopped.commands
    assert (kill.record["action"], resume.record["action"]) == ("kill", "resume")
    assert stopped.at("killed").keys() == stopped.at("resumed").keys() == set(range(PARTITIONS))
    for partition, killed_ms in stopped.at("killed").items():
        lifted_ms = stopped.at("resumed")[partition]
        assert lifted_ms - killed_ms > 400
        late = [s for s in stopped.of(partition, "open", "update") if killed_ms < s.ms < lifted_ms]
        assert late == []
        halted = [s for s in stopped.of(partition, "close") if s.record["cause"] == "halted"]
        assert len(halted) == 1
        assert kill.ms <= halted[0].ms <= killed_ms
    took_ms = max(stopped.at("killed").values()) - kill.ms
    asked_ms = max(stopped.at("killed").values()) - kill.record["time_ns"] // 1_000_000
    with capsys.disabled():
        sys.stdout.write(
            f"\nkill under {RATE:.0f} updates/s: in force {took_ms} ms after it was written, "
            f"{asked_ms} ms after the command was made\n"
        )


def test_load_was_there_before_and_after(stopped: Stopped) -> None:
    for partition, killed_ms in stopped.at("killed").items():
        updates = stopped.of(partition, "update")
        assert sum(s.ms <= killed_ms for s in updates) > 20
        opened = [s for s in stopped.of(partition, "open") if s.ms >= stopped.at("resumed")[partition]]
        assert len(opened) == 1
    assert stopped.exit_code == 0
