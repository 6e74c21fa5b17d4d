"""`interlayer simulate`: what it publishes, what it says, and the ground truth it leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition

from schemas import codec
from streams.broker import Broker
from streams.broker.client import consumer_config
from streams.cli.main import main
from streams.config import load_markets
from streams.errors import UserError
from streams.feeds.sink import Sink
from streams.simulator import Kind, Market, read_truth, write_truth
from streams.simulator.publish import publish
from tests.brokers import make_topics
from tests.simulator.twin import records

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "streams" / "markets" / "demo.toml"
START = 1_700_000_000_000_000_000
LIMIT_S = 60.0


def address(broker: Broker) -> list[str]:
    return ["--broker", f"kafka://{broker.bootstrap}"]


def made(broker: Broker, prefix: str) -> list[str]:
    topics = [f"{prefix}book.{level}" for level in ("l1", "l2")]
    make_topics(broker, dict.fromkeys(topics, 2))
    return topics


def read_all(broker: Broker, topics: list[str], count: int) -> list[tuple[str, int, bytes, bytes]]:
    reader = Consumer(consumer_config(broker, "reader"))
    try:
        reader.assign([TopicPartition(t, p, 0) for t in topics for p in range(2)])
        found = []
        deadline = time.monotonic() + LIMIT_S
        while len(found) < count and time.monotonic() < deadline:
            found += [m for m in reader.consume(5_000, 0.1) if m.error() is None]
        return [(m.topic(), m.partition(), m.key(), m.value()) for m in found]
    finally:
        reader.close()


def test_truth_is_read_as_it_was_written(tmp_path: Path) -> None:
    truth = Market(3, load_markets(DEMO), 40.0, START).truth()
    assert {i.kind for i in truth} > {Kind.EPISODE, Kind.STALE}
    write_truth(tmp_path / "t.jsonl", truth)
    assert read_truth(tmp_path / "t.jsonl") == truth
    assert [i.start_ns for i in truth] == sorted(i.start_ns for i in truth)
    assert len({i.id for i in truth}) == len(truth)


def test_truth_that_cannot_be_read_or_written(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot be written: No such file"):
        write_truth(tmp_path / "no" / "t.jsonl", [])
    with pytest.raises(UserError, match=r"cannot be read: No such file"):
        read_truth(tmp_path / "t.jsonl")
    (tmp_path / "t.jsonl").write_text('{"id":"x"}\n')
    with pytest.raises(UserError, match=r"t\.jsonl, line 1: no injection: 'kind'"):
        read_truth(tmp_path / "t.jsonl")


@pytest.mark.kafka
def test_every_update_arrives_in_order_under_its_groups_key(embedded: Broker, topic_prefix: str) -> None:
    topics = made(embedded, topic_prefix)
    described = load_markets(DEMO)
    market = Market(2, described, 1.5, START, slice_ns=100_000_000)
    told: list[int] = []
    done = publish(market, Sink(embedded, topic_prefix), live=False, told=lambda p: told.append(p.updates))
    expected = list(records(market.updates()))
    assert done.updates == len(expected) == told[-1]
    assert done.until_ns == START + 1_500_000_000
    found = read_all(embedded, topics, len(expected))
    assert len(found) == len(expected)
    groups = {(i.venue, i.symbol): i.groups[0] for i in described.instruments}
    places: dict[bytes, int] = {}
    by_channel: dict[tuple[str, str, str], list[int]] = {}
    for topic, partition, key, value in found:
        record = codec.decode("BookUpdate", value)
        assert topic == topic_prefix + "book." + record["level"]
        assert key.decode() == groups[record["venue"], record["symbol"]]
        assert places.setdefault(key, partition) == partition
        channel = (record["venue"], record["symbol"], record["level"])
        by_channel.setdefault(channel, []).append(record["sequence"])
    assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in by_channel.values())
    assert len(by_channel) == 2 * len(described.instruments)


@pytest.mark.kafka
def test_live_updates_do_not_come_before_their_receive_time(embedded: Broker, topic_prefix: str) -> None:
    made(embedded, topic_prefix)
    early: list[int] = []
    start = time.time_ns()
    market = Market(1, load_markets(DEMO), 0.5, start, rate=500.0, recorded=False)
    done = publish(
        market,
        Sink(embedded, topic_prefix),
        live=True,
        told=lambda p: early.append(time.time_ns() - p.until_ns),
    )
    assert len(early) == 100
    assert min(early) >= 0
    assert time.time_ns() >= start + 500_000_000
    assert done.updates > 100


@pytest.mark.kafka
def test_the_command_says_what_it_did(
    embedded: Broker, topic_prefix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    topics = made(embedded, topic_prefix)
    truth = tmp_path / "truth.jsonl"
    options = ["--seconds", "6", "--max-speed", "--seed", "4", "--rate", "300", "--prefix", topic_prefix]
    before = time.time_ns()
    assert main(["simulate", *address(embedded), *options, "--truth", str(truth), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    injected = read_truth(truth)
    assert told["episodes"] == sum(i.must_find for i in injected) > 0
    assert told["decoys"] == len(injected) - told["episodes"]
    found = read_all(embedded, topics, told["records"])
    assert len(found) == told["records"] == told["updates"]
    times = [codec.decode("BookUpdate", value)["receive_time_ns"] for *_, value in found]
    # In its own time it ends now: nothing is ahead of the broker's clock.
    assert before - 6_000_000_000 <= min(times) < max(times) <= time.time_ns()
    assert all(codec.decode("BookUpdate", value)["recorded"] for *_, value in found[:50])


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--seconds", "0"], "0 seconds: give more than 0"),
        (["--rate", "-1"], "rate -1: give updates a second"),
        (["--max-speed"], "never among live ones: give --prefix"),
        (["--markets", "nowhere.toml"], "nowhere.toml"),
        (["--broker", "kafka:/x"], "kafka:/x"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(
    options: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["simulate", *options]) == 2
    told = capsys.readouterr()
    assert reason in told.err
    assert told.err.count("\n") == 1
    assert told.out == ""


@pytest.mark.kafka
def test_sigterm_delivers_what_was_begun_and_leaves_the_truth_of_it(
    embedded: Broker, topic_prefix: str, tmp_path: Path
) -> None:
    topics = made(embedded, topic_prefix)
    truth = tmp_path / "truth.jsonl"
    command = [sys.executable, "-m", "streams.cli", "simulate", *address(embedded), "--seconds", "600"]
    with subprocess.Popen(
        [*command, "--prefix", topic_prefix, "--truth", str(truth), "--json", "--rate", "200"],
        cwd=ROOT, env=os.environ.copy(), stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert len(read_all(embedded, topics, 100)) >= 100
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0
    told = json.loads(out)
    assert len(read_all(embedded, topics, told["records"])) == told["records"] >= 100
    injected = read_truth(truth)
    assert len(injected) == told["episodes"] + told["decoys"]
    assert all(i.end_ns <= time.time_ns() for i in injected)
