"""A simulated market through Kafka and one worker: the very signals of an engine in memory, and the truth."""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from streams.broker import Broker
from streams.config import DEMO_MARKETS, load_markets
from streams.demo.score import score
from streams.simulator import Market
from streams.simulator.truth import read_truth
from tests.end_to_end import twin
from tests.end_to_end.kit import (
    PATIENT,
    all_topics,
    committed,
    ends,
    everything,
    interlayer,
    records,
    running,
    until,
    waiting,
)
from tests.simulator.test_found import signals
from tests.wire import START_NS

PARTITIONS = 2
SECONDS = 12
# Two through Kafka here, all ten in `make prove`; in memory all ten here too.
SEEDS = range(1, 11)
SHORT = 2


@dataclass
class Run:
    """What one worker left of one seed."""

    broker: Broker
    prefix: str
    signals: list[dict[str, Any]]
    truth: Path
    updates: int
    exit_code: int
    records_per_s: float


@pytest.fixture(
    scope="module",
    params=[n if n <= SHORT else pytest.param(n, marks=pytest.mark.prove) for n in SEEDS],
)
def run(
    request: pytest.FixtureRequest, kafka: Broker, prefix: str, tmp_path_factory: pytest.TempPathFactory
) -> Run:
    """A market that lies in Kafka already when the worker comes: its merge has no choice."""
    folder, own = tmp_path_factory.mktemp("run"), f"{prefix}{request.param}."
    all_topics(kafka, own, PARTITIONS)
    truth = folder / "truth.jsonl"
    said = interlayer(
        "simulate", "--max-speed", "--seconds", str(SECONDS), "--seed", str(request.param), "--json",
        "--truth", str(truth), "--broker", f"kafka://{kafka.bootstrap}", "--prefix", own,
    )  # fmt: skip
    assert said.returncode == 0, said.stderr
    sent = json.loads(said.stdout)["records"]
    with running(kafka, own, folder, **PATIENT) as worker:
        worker.wait_records(sent)
        stats = worker.stats()
        until(lambda: waiting(kafka, own) == 0, "everything is committed")
        code = worker.end()
    signals = records(kafka, own, "signal")
    return Run(kafka, own, signals, truth, sent, code, stats["records"] / stats["uptime_s"])


def test_signals_are_those_of_an_engine_in_memory(run: Run) -> None:
    """Every id, every field, in the order of each partition; epochs are the claims in the journal."""
    markets = load_markets(DEMO_MARKETS)
    topics = (f"{run.prefix}book.l1", f"{run.prefix}book.l2")
    books = (everything(run.broker, topics[0]), everything(run.broker, topics[1]))
    claims = everything(run.broker, f"{run.prefix}journal")
    epochs = {message.partition(): message.offset() or 0 for message in claims}
    assert sorted(epochs) == list(range(PARTITIONS))
    compared = 0
    for partition in range(PARTITIONS):
        mine = [s for s in twin.by_record(run.signals) if s["trigger"]["partition"] == partition]
        expected = twin.outputs(markets, topics, books, partition, PARTITIONS, epochs[partition])
        wanted = [approved.signal.record() for approved in expected.signals]
        assert sorted(mine, key=lambda s: (s["group"], s["sequence"])) == sorted(
            wanted, key=lambda s: (s["group"], s["sequence"])
        )
        compared += len(wanted)
    assert compared > 20


def test_nothing_is_published_twice(run: Run) -> None:
    ids = Counter(signal["signal_id"] for signal in run.signals)
    assert [found for found, count in ids.items() if count > 1] == []
    events = Counter(event["event_id"] for event in records(run.broker, run.prefix, "risk.event"))
    assert [found for found, count in events.items() if count > 1] == []
    assert records(run.broker, run.prefix, "book.reject") == []


def test_each_episode_goes_from_open_to_close(run: Run) -> None:
    actions: dict[str, list[str]] = {}
    for signal in sorted(run.signals, key=lambda s: (s["group"], s["sequence"])):
        actions.setdefault(signal["episode_id"], []).append(signal["action"])
    assert actions
    for steps in actions.values():
        assert (steps[0], steps[-1]) == ("open", "close")
        assert set(steps[1:-1]) <= {"update"}


def test_the_truth_is_found_and_nothing_invented(run: Run) -> None:
    found = score(read_truth(run.truth), run.signals)
    assert found.injected >= SECONDS / 3
    assert (found.missed, found.invented) == ((), ())
    assert found.found == found.injected


def test_sigterm_commits_everything_and_exits_0(run: Run) -> None:
    assert run.exit_code == 0
    for topic in ("book.l1", "book.l2"):
        tops = {n: end for n, (_, end) in ends(run.broker, run.prefix + topic).items() if end}
        assert committed(run.broker, run.prefix, topic) == tops


def test_ten_seeds(capsys: pytest.CaptureFixture[str]) -> None:
    """The same market and the same score as the demo's, without Kafka."""
    markets = load_markets(DEMO_MARKETS)
    rows = []
    for seed in SEEDS:
        market = Market(seed, markets, SECONDS, START_NS, slice_ns=20_000_000)
        taken = [signal.record() for signal in signals(markets, market)]
        rows.append((seed, score(market.truth(), taken)))
    lines = [f"{'seed':>4} {'injected':>8} {'found':>5} {'missed':>6} {'invented':>8}"]
    for seed, found in rows:
        lines.append(
            f"{seed:>4} {found.injected:>8} {found.found:>5} {len(found.missed):>6} {len(found.invented):>8}"
        )
    with capsys.disabled():
        sys.stdout.write("\n" + "\n".join(lines) + "\n")
    assert all(found.injected >= SECONDS / 3 for _, found in rows)
    assert [
        (seed, found.missed, found.invented) for seed, found in rows if found.missed or found.invented
    ] == []
