"""The join on the recording of Binance, whose quotes are the oracle of its depth. Figures: its README."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from schemas.batch import Batch, Messages
from strategies.engine import Engine
from strategies.kernels.layout import CROSSED, GAP, SYNCED
from streams.config import load_markets
from streams.play import updates
from tests.data import recording

pytestmark = pytest.mark.recording

MARKETS = Path(__file__).parents[2] / "streams" / "markets" / "recordings.toml"
CHUNK = 500
TOPICS = ("book.l1", "book.l2")


def run(market: str, venue: str) -> tuple[Engine, int, set[int]]:
    """The whole recording of one market, in memory: engine, signals, and the states its book was seen in."""
    markets = load_markets(MARKETS)
    engine = Engine(markets, ["BTC"], 0, 0)
    name = venue.partition("=")[0]
    b = next(i for i, (_, own) in enumerate(engine.plan.books) if own.venue == name)
    stream = updates([recording(f"binance_three_markets/{market}/btcusdt_20240808.gz")], venue, markets)
    offsets = dict.fromkeys(TOPICS, 0)
    states: set[int] = set()
    signals = 0
    while chunk := list(islice(stream, CHUNK)):
        readings = []
        for topic in TOPICS:
            values: list[bytes | None] = [value for own, _, value in chunk if own == topic]
            n, start = len(values), offsets[topic]
            offsets[topic] += n
            at = np.arange(start, start + n, dtype=np.int64)
            keys = Messages.of([b"BTC"] * n)
            readings.append(
                engine.read(Batch(topic, 0, at, np.full(n, -1, np.int64), keys, Messages.of(values)))
            )
        counts = [0, 0]
        order = []
        for topic, _, _ in chunk:  # as they were received
            source = TOPICS.index(topic)
            order.append(2 * counts[source] + source)
            counts[source] += 1
        for one in np.array_split(np.array(order, np.int64), 20):
            signals += len(engine.step(one, *readings).signals)
            states.add(int(engine.state.books["state"][b]))
    return engine, signals, states


@pytest.mark.parametrize(
    ("market", "venue", "deltas"), [("spot", "binance=binance_spot", 3_448), ("usdm", "binance_usdm", 6_545)]
)
def test_depth_agrees_with_the_venues_own_quotes(market: str, venue: str, deltas: int) -> None:
    engine, signals, states = run(market, venue)
    name = venue.partition("=")[0]
    b = next(i for i, (_, own) in enumerate(engine.plan.books) if own.venue == name)
    book, channels = engine.state.books[b], engine.state.channels[b]
    assert int(book["disagreed"]) == 0
    # With the snapshot; at most two have no quote before them, or none after.
    assert deltas - 1 <= int(book["agreed"]) <= deltas + 1
    assert CROSSED not in states
    assert GAP not in states
    assert SYNCED in states
    assert channels["gaps"].tolist() == [0, 0]
    assert channels["duplicates"].tolist() == [0, 0]
    assert int(book["frame_differs"]) == 0
    assert int(book["quote_led"]) > 0
    assert int(book["depth_led"]) > 0
    assert signals == 0
