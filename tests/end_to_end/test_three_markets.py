"""A recording of Binance spot and USD-M through Kafka: books as the venue's own L1, and nothing to earn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from streams.broker import Broker
from tests.data import recording
from tests.end_to_end.kit import PATIENT, ROOT, all_topics, interlayer, records, running, until, waiting

pytestmark = pytest.mark.recording
MARKETS = str(ROOT / "streams" / "markets" / "recordings.toml")
QUOTES, DELTAS = 28_040 + 66_089, 3_448 + 6_545  # as the feed counts them, tests/feeds/test_recordings.py


@dataclass
class Seen:
    """What a worker held at the end of the recording, and what it published."""

    stats: Mapping[str, Any]
    signals: list[dict[str, Any]]
    events: list[dict[str, Any]]
    rejects: list[dict[str, Any]]
    told: str  # what `interlayer play` said
    why: str  # what `interlayer check` said


@pytest.fixture(scope="module")
def seen(kafka: Broker, prefix: str, tmp_path_factory: pytest.TempPathFactory) -> Seen:
    folder = tmp_path_factory.mktemp("three")
    files = [str(recording(f"binance_three_markets/{m}/btcusdt_20240808.gz")) for m in ("spot", "usdm")]
    all_topics(kafka, prefix, 2)
    address = ["--broker", f"kafka://{kafka.bootstrap}", "--prefix", prefix, "--markets", MARKETS]
    venues = ["--venue", "binance=binance_spot", "--venue", "binance_usdm"]
    played = interlayer("play", *files, *venues, "--speed", "max", *address, limit_s=180)
    assert played.returncode == 0, played.stderr
    # It lies in Kafka before the worker comes: then no quote can come later than its depth.
    with running(kafka, prefix, folder, "--markets", MARKETS, **PATIENT) as worker:
        worker.wait_records(QUOTES + DELTAS)
        stats = worker.stats()
        until(lambda: waiting(kafka, prefix) == 0, "everything is committed")
        assert worker.end() == 0
    published = [records(kafka, prefix, name) for name in ("signal", "risk.event", "book.reject")]
    return Seen(stats, *published, played.stdout, interlayer("check", *address).stdout)


def book(seen: Seen, venue: str) -> Mapping[str, Any]:
    return next(b for b in seen.stats["books"] if (b["venue"], b["symbol"]) == (venue, "BTCUSDT"))


@pytest.mark.parametrize(("venue", "deltas"), [("binance", 3_448), ("binance_usdm", 6_545)])
def test_built_books_agree_with_the_venues_own_quotes(seen: Seen, venue: str, deltas: int) -> None:
    """The two known cases are older than the REST snapshot and reach no book; all others agree."""
    found = book(seen, venue)
    assert found["state"] == "synced"
    assert found["l1_agreement"]["wrong"] == 0
    # With the snapshot; at most two have no quote before them, or none after.
    assert deltas - 1 <= found["l1_agreement"]["right"] <= deltas + 1
    assert 0 < found["bid"] < found["ask"]


def test_the_fused_book_was_never_crossed(seen: Seen) -> None:
    reasons = {event["reason"] for event in seen.events}
    assert reasons <= {"gate_opened", "depth_limit_hit"}
    assert seen.rejects == []


def test_nothing_is_published_and_interlayer_says_why(seen: Seen) -> None:
    assert seen.signals == []
    assert (
        "binance_usdm BTCUSDT perpetual: not compared: a perpetual never nets with another venue's contract"
        in seen.why
    )
    assert "BTC/USDT spot: not compared: only binance trades BTC/USDT spot" in seen.why
