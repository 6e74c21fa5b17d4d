"""Small feeds, streams of messages and readers that the tests of the feeds share."""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from strategies.markets import Instrument, Markets, Venue
from streams.feeds.book import Book
from streams.feeds.protocol import Channel, FeedState, Level, Update, UpdateKind

START = 1_723_161_253_000_000_000
S = 1_000_000_000


def markets(**change: Any) -> Markets:
    """One spot and one futures instrument of two venues, ticks 0.01, lots 0.001."""
    base = {"base": "BTC", "quote": "USDT", "tick": Decimal("0.01"), "lot": Decimal("0.001"), "depth": 5}
    venue = Venue(layer="base", taker_fee_bps=10.0)
    return Markets(
        venues={"binance_spot": venue, "binance_usdm": venue, "quotes": venue},
        instruments=(
            Instrument(venue="binance_spot", symbol="BTCUSDT", kind="spot", **{**base, **change}),
            Instrument(venue="binance_usdm", symbol="BTCUSDT", kind="perpetual", **{**base, **change}),
            Instrument(venue="quotes", symbol="Q", kind="perpetual", **{**base, "channels": ("l1",)}),
        ),
    )


@dataclass(frozen=True)
class Event:
    """One depth event of a venue: ids, and absolute sizes by price in ticks and lots."""

    first: int
    last: int
    previous: int
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]


def text(units: int, digits: int) -> str:
    return str(Decimal(units).scaleb(-digits))


def wire(event: Event, futures: bool) -> bytes:
    """The event as Binance sends it."""
    data: dict[str, Any] = {
        "e": "depthUpdate", "E": 1_723_161_255_208, "s": "BTCUSDT", "U": event.first, "u": event.last,
        "b": [[text(p, 2), text(s, 3)] for p, s in event.bids],
        "a": [[text(p, 2), text(s, 3)] for p, s in event.asks],
    }  # fmt: skip
    if futures:
        data["pu"] = event.previous
        data["T"] = data["E"] - 1
    return json.dumps({"stream": "btcusdt@depth", "data": data}).encode()


def wire_snapshot(book: Book, last: int) -> bytes:
    """The book as Binance's REST answers it."""
    bids, asks = book.best(10_000)
    return json.dumps(
        {
            "lastUpdateId": last,
            "bids": [[text(p, 2), text(s, 3)] for p, s in bids],
            "asks": [[text(p, 2), text(s, 3)] for p, s in asks],
        }
    ).encode()


def wire_quote(update_id: int, bid: Level, ask: Level) -> bytes:
    """A bookTicker of Binance spot."""
    data = {
        "u": update_id, "s": "BTCUSDT", "b": text(bid[0], 2), "B": text(bid[1], 3), "a": text(ask[0], 2),
        "A": text(ask[1], 3),
    }  # fmt: skip
    return json.dumps({"stream": "btcusdt@bookTicker", "data": data}).encode()


class Reader:
    """Someone downstream: follows the depth of one book, and believes it only while it is synced."""

    def __init__(self) -> None:
        self.book = Book()
        self.synced = False
        self.last: int | None = None
        self.sequence: dict[Channel, tuple[int, int]] = {}

    def take(self, update: Update) -> None:
        session, sequence = self.sequence.get(update.channel, (0, 0))
        if update.session == session:
            assert update.sequence == sequence + 1
        else:
            assert update.session > session
            assert update.sequence == 1
        self.sequence[update.channel] = (update.session, update.sequence)
        assert update.session <= update.receive_time_ns
        if update.channel is not Channel.L2 or update.kind is UpdateKind.HEARTBEAT:
            return
        if update.kind is UpdateKind.SNAPSHOT:
            if update.key_frame and self.synced:
                bids, asks = self.book.best(len(update.bids)), self.book.best(len(update.asks))
                assert (bids[0], asks[1]) == (list(update.bids), list(update.asks))
            else:
                self.book = Book(update.bids, update.asks)
        elif update.kind is UpdateKind.DELTA and self.synced:
            self.book.apply(update.bids, update.asks)
        elif update.kind is UpdateKind.CLEAR:
            self.book = Book()
        self.synced = update.state is FeedState.SYNCED
        self.last = update.last_update_id
