"""The engine on simulated markets: every episode found with its size, none invented."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from schemas import catalog
from schemas.batch import Batch, Messages
from schemas.encoder import Encoder
from strategies.controls import Gate
from strategies.engine import Engine, Reading
from strategies.markets import Markets
from strategies.signals import Signal
from streams.config import load_markets
from streams.simulator import Chunk, Market, kernels

DEMO = Path(__file__).parents[2] / "streams" / "markets" / "demo.toml"
START = 1_700_000_000_000_000_000
TOPICS = ("book.l1", "book.l2")


def signals(markets: Markets, market: Market) -> Iterator[Signal]:
    """What one engine with all groups makes of a market, in the order of receive time."""
    engine = Engine(markets, markets.group_names(), 0, 1)
    engine.control(Gate(None))
    encoder = Encoder(catalog.schema("BookUpdate"))
    offsets = [0, 0]
    for chunk in market.updates():
        messages = encoder.encode(chunk.rows, chunk.items, chunk.data)
        order = np.zeros(len(chunk), np.int64)
        readings: list[Reading | None] = [None, None]
        for level in (0, 1):
            at = np.flatnonzero(chunk.rows[:, kernels.LEVEL] == level)
            if len(at):
                readings[level] = engine.read(batch_of(markets, chunk, messages, at, level, offsets[level]))
                assert readings[level].refused == 0
                order[at] = 2 * np.arange(len(at)) + level
                offsets[level] += len(at)
        for approved in engine.step(order, *readings).signals:
            yield approved.signal


def batch_of(
    markets: Markets, chunk: Chunk, messages: Messages, at: np.ndarray, level: int, offset: int
) -> Batch:
    keys = [markets.instruments[b].groups[0].encode() for b in chunk.books[at].tolist()]
    return Batch(
        TOPICS[level],
        0,
        np.arange(offset, offset + len(at)),
        np.full(len(at), chunk.due_ns // 1_000_000 + 1),
        Messages.of(keys),
        Messages(messages.data, messages.starts[at], messages.lengths[at]),
    )


def check(seed: int, seconds: float, rate: float) -> None:
    markets = load_markets(DEMO)
    market = Market(seed, markets, seconds, START, rate=rate, slice_ns=20_000_000)
    episodes = [i for i in market.truth() if i.must_find]
    assert len(episodes) >= seconds / 3
    taken: dict[str, float] = {}
    opened = set()
    for signal in signals(markets, market):
        if signal.action.value == "close":
            continue
        there = [
            e for e in episodes if e.product == signal.product and e.start_ns <= signal.time_ns < e.end_ns
        ]
        assert len(there) == 1, ("invented", signal)
        episode = there[0]
        opened.add(episode.id)
        own = [leg for leg in signal.legs if leg.venue == episode.venues[0]]
        assert {leg.side.value for leg in own} == {episode.side}
        size = sum(leg.size_lots * 10.0**leg.size_exponent for leg in own)
        taken[episode.id] = max(taken.get(episode.id, 0.0), size)
        assert signal.net_edge_bps <= episode.edge_bps + episode.edge_slack_bps
    assert opened == {e.id for e in episodes}
    for e in episodes:
        assert taken[e.id] == pytest.approx(e.size, rel=1e-9), e


@pytest.mark.parametrize(("seed", "rate"), [(1, 3_000.0), (2, 3_000.0), (3, 300.0)])
def test_all_episodes_are_found_with_their_size_and_none_is_invented(seed: int, rate: float) -> None:
    check(seed, 20.0, rate)


@pytest.mark.prove
@pytest.mark.parametrize("seed", range(10))
def test_the_same_for_ten_seeds(seed: int) -> None:
    check(100 + seed, 120.0, 3_000.0)
