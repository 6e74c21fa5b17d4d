"""Workers that come, go and are killed under load: nothing lost, nothing said twice in two ways."""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import pytest
from confluent_kafka import Message
from confluent_kafka.admin import AdminClient

from schemas.topics import partition_of
from streams.broker import Broker
from streams.broker.client import client_config
from tests.end_to_end.kit import (
    GROUP,
    Worker,
    all_topics,
    committed,
    ends,
    everything,
    records,
    running,
    until,
    waiting,
)
from tests.end_to_end.load import Load, markets_file
from tests.streams.shell import WIRE

GROUPS = ("BNB", "ETH", "BTC", "SOL")  # one in each of four partitions
PARTITIONS = 4
RATE = 1_000.0
Places = dict[int, int]


@dataclass
class Past:
    """Two workers, one of which leaves and one of which is killed; a third goes on."""

    members: list[dict[str, set[int]]]  # of each member: partitions of each topic, while there were two
    shared: list[set[int]]  # partitions with an engine, by worker
    left_with: int
    taken_over: set[int]
    committed_at_kill: Places
    third_started_ms: float
    sent: int
    uncommitted: int
    end_code: int
    end_s: float
    logs: str
    signals: list[tuple[Message, dict[str, Any]]]
    events: list[dict[str, Any]]
    books: list[tuple[Message, dict[str, Any]]]
    claims: dict[int, list[int]]


def partitions_of(worker: Worker) -> set[int]:
    worker.alive()
    return set(worker.stats().get("partitions", ()))


def members(broker: Broker, prefix: str) -> list[dict[str, set[int]]]:
    """Partitions of each topic, for every member of the group."""
    group = prefix + GROUP
    client = AdminClient(client_config(broker))  # its answers come only while it lives
    found = client.describe_consumer_groups([group])[group].result(10)
    each = []
    for member in found.members:
        own: dict[str, set[int]] = defaultdict(set)
        for place in member.assignment.topic_partitions:
            own[place.topic.removeprefix(prefix)].add(place.partition)
        each.append(dict(own))
    return each


@pytest.fixture(scope="module")
def past(kafka: Broker, prefix: str, tmp_path_factory: pytest.TempPathFactory) -> Past:
    folder = tmp_path_factory.mktemp("faults")
    (folder / "markets.toml").write_text(markets_file(GROUPS))
    flags = ["--markets", str(folder / "markets.toml")]
    all_topics(kafka, prefix, PARTITIONS)
    everyone = set(range(PARTITIONS))
    with running(kafka, prefix, folder, *flags) as first, running(kafka, prefix, folder, *flags) as second:
        first.wait_ready()
        second.wait_ready()
        with Load(kafka, prefix, GROUPS, RATE) as load:
            until(
                lambda: len(partitions_of(first)) == len(partitions_of(second)) == 2, "they share partitions"
            )
            shared, described = [partitions_of(first), partitions_of(second)], members(kafka, prefix)
            left_with = second.end()
            until(lambda: partitions_of(first) == everyone, "one has all partitions")
            taken_over = partitions_of(first)
            before = first.stats()["signals"]
            until(lambda: first.stats()["signals"] > before + 500, "signals of all")
            first.kill()
            at_kill = committed(kafka, prefix, "book.l2")
            third_started_ms = time.time() * 1_000
            with running(kafka, prefix, folder, *flags) as third:
                until(lambda: third.stats().get("open_episodes") == PARTITIONS, "all goes on")
                load.stop()
                until(lambda: waiting(kafka, prefix) == 0, "everything is committed")
                began = time.monotonic()
                code = third.end()
                end_s = time.monotonic() - began
            logs = first.said() + second.said() + third.said()
    claims: dict[int, list[int]] = defaultdict(list)
    for message in everything(kafka, f"{prefix}journal"):
        claims[message.partition() or 0].append(message.offset() or 0)
    return Past(
        described, shared, left_with, taken_over, at_kill, third_started_ms, load.sent,
        waiting(kafka, prefix), code, end_s, logs,
        [(m, WIRE.decode("signal", m.value())) for m in everything(kafka, f"{prefix}signal")],
        records(kafka, prefix, "risk.event"),
        [(m, WIRE.decode("book.l2", m.value())) for m in everything(kafka, f"{prefix}book.l2")],
        dict(claims),
    )  # fmt: skip


def test_two_workers_share_the_partitions_both_levels_of_a_number_on_one(past: Past) -> None:
    assert len(past.members) == 2
    for own in past.members:
        assert own["book.l1"] == own["book.l2"]
    assert sorted(n for own in past.members for n in own["book.l2"]) == list(range(PARTITIONS))
    assert sorted(map(sorted, past.shared)) == sorted(sorted(own["book.l2"]) for own in past.members)


def test_sigterm_under_load_hands_over_and_exits_0(past: Past) -> None:
    assert past.left_with == 0
    assert past.taken_over == set(range(PARTITIONS))


def test_no_update_is_lost(past: Past) -> None:
    """All is committed; a lost one would have broken its feed's sequence in front of an engine."""
    assert len(past.books) == past.sent
    assert past.uncommitted == 0
    assert {e["reason"] for e in past.events} <= {"gate_opened", "depth_limit_hit"}


def deltas_of(past: Past) -> dict[int, list[int]]:
    """Offsets of all deltas, by partition: each of them moves the size, and so sets off a signal."""
    found: dict[int, list[int]] = defaultdict(list)
    for message, record in past.books:
        if record["kind"] == "delta":
            found[message.partition() or 0].append(message.offset() or 0)
    return found


def triggers_of(past: Past) -> dict[tuple[int, int], list[int]]:
    """Offsets that set signals off, by partition and epoch."""
    found: dict[tuple[int, int], list[int]] = defaultdict(list)
    for _, signal in past.signals:
        place = signal["trigger"]
        if place["topic"]:
            found[place["partition"], signal["epoch"]].append(place["offset"])
    return found


def test_every_update_has_its_signal_from_an_engines_first_to_its_last(past: Past) -> None:
    deltas = deltas_of(past)
    compared = 0
    for (partition, _), offsets in triggers_of(past).items():
        begin, end = min(offsets), max(offsets)
        missing = {o for o in deltas[partition] if begin <= o <= end} - set(offsets)
        assert missing == set()
        compared += len(offsets)
    assert compared > 2_000


def test_nothing_was_committed_that_was_not_published(past: Past) -> None:
    assert past.committed_at_kill.keys() == set(range(PARTITIONS))
    triggers = triggers_of(past)
    for partition, offset in past.committed_at_kill.items():
        last = max(o for o in deltas_of(past)[partition] if o < offset)
        assert any(last in offsets for (own, _), offsets in triggers.items() if own == partition)


def test_an_id_never_has_two_contents(past: Past) -> None:
    contents: dict[str, dict[str, Any]] = {}
    for _, signal in past.signals:
        plain = {name: value for name, value in signal.items() if name not in ("epoch", "sequence")}
        assert contents.setdefault(signal["signal_id"], plain) == plain


def test_epochs_rise_and_sequences_have_no_holes(past: Past) -> None:
    for group in GROUPS:
        own = [s for m, s in past.signals if s["group"] == group]
        epochs = [s["epoch"] for s in own]
        assert epochs == sorted(epochs)
        assert set(epochs) <= set(past.claims[partition_of(group.encode(), PARTITIONS)])
        assert len(set(epochs)) >= 2
        for epoch in set(epochs):
            sequences = [s["sequence"] for s in own if s["epoch"] == epoch]
            assert sequences == list(range(1, len(sequences) + 1))


def test_the_last_one_drained_within_its_limit(
    past: Past, kafka: Broker, prefix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert past.end_code == 0
    assert past.end_s < 10.0
    assert committed(kafka, prefix, "book.l2") == {
        n: e for n, (_, e) in ends(kafka, f"{prefix}book.l2").items()
    }
    assert "Traceback" not in past.logs
    first_ms = min(m.timestamp()[1] for m, _ in past.signals if m.timestamp()[1] > past.third_started_ms)
    with capsys.disabled():
        sys.stdout.write(
            f"\nfirst signal {first_ms - past.third_started_ms:.0f} ms after a restart by kill -9 "
            f"({RATE:.0f} updates/s), end on SIGTERM in {past.end_s:.1f} s\n"
        )
