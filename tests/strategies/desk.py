"""A small desk for tests of the engine: three venues, one engine, records in, outputs out."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np

from schemas import codec
from schemas.batch import Batch, Messages
from strategies.controls import Gate
from strategies.engine import Engine, EngineLimits, Outputs
from strategies.kernels.curve import level
from strategies.kernels.layout import ASKS, BIDS, NONE
from strategies.markets import Instrument, Markets
from strategies.risk import Approved
from strategies.signals import Signal
from tests.wire import MS, START_NS, Levels, Wire

__all__ = ["MS", "START_NS", "Desk", "Levels", "Record", "instrument", "markets"]

Record = dict[str, Any]
TOPICS = ("book.l1", "book.l2")
MAX_AGE_MS = 2_000


def instrument(venue: str, symbol: str = "BTCUSDT", **more: Any) -> Instrument:
    """Spot BTC/USDT in cents and 0.0001 BTC, unless `more` says otherwise."""
    plain = {"kind": "spot", "base": "BTC", "quote": "USDT", "tick": "0.01", "lot": "0.0001", "depth": 50}
    return Instrument.model_validate({"venue": venue, "symbol": symbol, **plain, **more})


def markets(*instruments: Instrument, fees: dict[str, float] | None = None, **limits: Any) -> Markets:
    """Venues a (quotes and depth share update ids), b and c, without fees and without thresholds."""
    plain = {"min_net_edge_bps": 0, "min_net_edge_quote": 0, "close_edge_bps": 0, "max_notional": 1e9}
    venues = {
        name: {
            "layer": "rollup" if name == "c" else "base",
            "taker_fee_bps": (fees or {}).get(name, 0.0),
            "max_age_ms": MAX_AGE_MS,
            "shared_update_ids": name == "a",
        }
        for name in "abc"
    }
    books = instruments or tuple(instrument(venue) for venue in "abc")
    return Markets.model_validate({"limits": {**plain, **limits}, "venues": venues, "instruments": books})


class Desk:
    """An engine with the gate open, and a feed whose clock is `wire.now_ns`."""

    def __init__(
        self,
        setting: Markets | None = None,
        *,
        groups: Iterable[str] = ("BTC",),
        epoch: int = 1,
        open_gate: bool = True,
        limits: EngineLimits | None = None,
    ) -> None:
        self.engine = Engine(setting or markets(), tuple(groups), 0, epoch, limits=limits)
        self.wire = Wire()
        if open_gate:
            self.engine.control(Gate(None))

    def wait(self, ms: float) -> None:
        """Let the feed's clock go on."""
        self.wire.now_ns += int(ms * MS)

    def feed(self, *records: Record | bytes, key: str | None = None) -> Outputs:
        """Take records one by one, each in a batch of its own, as its topic has it."""
        signals: list[Approved] = []
        risk_events: list[Any] = []
        for record in records:
            out = self.engine.take(self.wire.batch(record, key=key))
            signals += out.signals
            risk_events += out.risk_events
        return Outputs(signals, risk_events)

    def signals(self, *records: Record | bytes) -> list[Signal]:
        """What was published on these records."""
        return [approved.signal for approved in self.feed(*records).signals]

    def at(self, venue: str, symbol: str = "BTCUSDT", group: str = "BTC") -> int:
        """Index of a book."""
        names = [(g, i.venue, i.symbol) for g, i in self.engine.plan.books]
        return names.index((group, venue, symbol))

    def state(self, venue: str, symbol: str = "BTCUSDT") -> int:
        """State of a fused book."""
        return int(self.engine.state.books["state"][self.at(venue, symbol)])

    def channel(self, venue: str, index: int = 1, symbol: str = "BTCUSDT") -> Any:
        """A channel's row."""
        return self.engine.state.channels[self.at(venue, symbol), index]

    def depth(self, b: int) -> tuple[dict[int, int], dict[int, int]]:
        """Bids and asks of a book's depth as price -> size; asserts that each side is sorted."""
        sides = []
        for side, sign, name in ((BIDS, 1, "bid_count"), (ASKS, -1, "ask_count")):
            count = int(self.engine.state.books[name][b])
            keys = self.engine.state.keys[b, side, :count]
            sizes = self.engine.state.sizes[b, side, :count]
            assert (np.diff(keys) > 0).all()
            assert (sizes > 0).all()
            sides.append({sign * k: s for k, s in zip(keys.tolist(), sizes.tolist(), strict=True)})
        return sides[0], sides[1]

    def horizon(self, b: int, side: int) -> int | None:
        """Key at or below which a side of a book's depth is unknown."""
        value = int(self.engine.state.books[("bid_horizon", "ask_horizon")[side]][b])
        return None if value == NONE else value

    def fused(self, b: int, side: int) -> Levels:
        """A side of the fused book, best first, as detection walks it."""
        state = self.engine.state
        found: Levels = []
        while True:
            price, size = level(state.books, state.keys, state.sizes, b, side, len(found))
            if size == 0:
                return found
            found.append((int(price), int(size)))


def batches(
    records: Iterable[Record | bytes], topic: str, cuts: Iterable[int], key: str = "BTC"
) -> list[Batch]:
    """Records of one topic as batches that begin at 0 and at each of `cuts`."""
    values = [r if isinstance(r, bytes) else codec.encode("BookUpdate", r) for r in records]
    bounds = sorted({0, len(values), *(c for c in cuts if c < len(values))})
    return [
        Batch(
            topic,
            0,
            np.arange(start, end, dtype=np.int64),
            np.full(end - start, -1, np.int64),
            Messages.of([key.encode()] * (end - start)),
            Messages.of(list(values[start:end])),
        )
        for start, end in pairwise(bounds)
    ]
