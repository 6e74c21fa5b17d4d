"""A slow, obvious reader of book updates: dicts and floats, every crossing found by trying all pairs.

`careful=False` reads as one should not: it believes books after gaps, silent ones and crossed ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import fastavro

from schemas import catalog
from schemas.encoder import Encoder
from strategies.markets import Markets
from streams.simulator import Chunk

SCHEMA = fastavro.parse_schema(catalog.schema("BookUpdate"))


def records(chunks: Iterable[Chunk]) -> Iterator[dict[str, Any]]:
    """Every update as a record, by way of its bytes."""
    encoder = Encoder(catalog.schema("BookUpdate"))
    for chunk in chunks:
        messages = encoder.encode(chunk.rows, chunk.items, chunk.data)
        for i in range(len(messages)):
            yield fastavro.schemaless_reader(BytesIO(messages[i][10:]), SCHEMA, SCHEMA)


@dataclass
class Side:
    session: int = 0
    sequence: int = 0
    trusted: bool = False
    alive_ns: int = 0
    update_id: int | None = None
    event_ns: int | None = None
    receive_ns: int = 0
    bids: dict[int, int] = field(default_factory=dict)
    asks: dict[int, int] = field(default_factory=dict)


@dataclass
class Crossing:
    time_ns: int
    product: tuple[str, str]
    buy: str
    sell: str
    edge_bps: float


class Reader:
    """Books of all spot instruments; `take` returns the best crossing that a record leaves, if any."""

    def __init__(self, markets: Markets, *, careful: bool, fees: bool = True) -> None:
        self.careful, self.fees, self.now = careful, fees, 0
        self.markets = markets
        self.instruments = {(i.venue, i.symbol): i for i in markets.instruments}
        self.books = {key: (Side(), Side()) for key in self.instruments}
        self.frames = 0

    def take(self, record: dict[str, Any]) -> Crossing | None:
        self.now = max(self.now, record["receive_time_ns"])
        key = (record["venue"], record["symbol"])
        level = ("l1", "l2").index(record["level"])
        self._apply(self.books[key][level], record)
        instrument = self.instruments[key]
        if instrument.kind != "spot":
            return None
        return self._crossing((instrument.base, instrument.quote))

    def _apply(self, side: Side, r: dict[str, Any]) -> None:
        full = r["kind"] in ("quote", "snapshot")
        follows = (r["session"], r["sequence"]) == (side.session, side.sequence + 1)
        if side.session == r["session"]:
            assert r["sequence"] > side.sequence, "sequences rise"
        else:
            assert r["sequence"] == 1
            assert r["session"] > side.session
        side.session, side.sequence, side.alive_ns = r["session"], r["sequence"], r["receive_time_ns"]
        if self.careful and not follows and not full:
            side.trusted = False
        if r["kind"] == "heartbeat":
            return
        bids = {p["price_ticks"]: p["size_lots"] for p in r["bids"]}
        asks = {p["price_ticks"]: p["size_lots"] for p in r["asks"]}
        if r["kind"] == "clear":
            side.trusted = side.trusted and not self.careful
            return
        if r["kind"] == "delta":
            if not side.trusted:
                return
            for book, changes in ((side.bids, bids), (side.asks, asks)):
                book.update(changes)
                for price in [p for p, size in book.items() if size == 0]:
                    del book[price]
        else:
            if r["key_frame"] and side.trusted and self.careful and follows:
                assert (side.bids, side.asks) == (bids, asks), "a key frame shows the book as it is"
                self.frames += 1
            side.bids, side.asks = bids, asks
            side.trusted = True
        if self.careful and r["state"] != "synced":
            side.trusted = False
        side.update_id, side.event_ns = r["last_update_id"], r["event_time_ns"]
        side.receive_ns = r["receive_time_ns"]

    def top(self, key: tuple[str, str]) -> tuple[float, float] | None:
        """Best bid and ask of the newer channel, None where they must not be believed."""
        quote, depth = self.books[key]
        instrument = self.instruments[key]
        venue = self.markets.venues[instrument.venue]
        if not depth.trusted or not quote.bids or not quote.asks:
            return None
        if self.careful and self.now - depth.alive_ns > venue.max_age_ms * 1_000_000:
            return None
        if venue.shared_update_ids:
            newer = (quote.update_id or 0) > (depth.update_id or 0)
        else:
            newer = (quote.event_ns or 0) > (depth.event_ns or 0)
        side = quote if newer else depth
        tick = 10.0 ** (instrument.tick.normalize().as_tuple().exponent)
        bid, ask = max(side.bids) * tick, min(side.asks) * tick
        if self.careful and bid >= ask:
            return None
        return bid, ask

    def _crossing(self, product: tuple[str, str]) -> Crossing | None:
        tops = {}
        for key, i in self.instruments.items():
            if i.kind == "spot" and (i.base, i.quote) == product and (top := self.top(key)):
                fee = self.markets.venues[i.venue].taker_fee_bps / 1e4 if self.fees else 0.0
                tops[i.venue] = (top[0] * (1 - fee), top[1] * (1 + fee))
        found = [
            Crossing(self.now, product, a, b, 1e4 * (bid / ask - 1))
            for a, (_, ask) in tops.items()
            for b, (bid, _) in tops.items()
            if a != b and bid > ask
        ]
        return max(found, key=lambda c: c.edge_bps, default=None)
