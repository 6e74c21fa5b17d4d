"""dYdX v4: `v4_orderbook` of the indexer's websocket (L2), uncrossed.

Rules: docs.dydx.exchange, guides, "How to uncross the orderbook". There is no central book, and no sequence
of one: the indexer's book may be crossed for a while. `message_id` rises by one with each message of the
connection, of whatever channel, and is the logical time of each level it sets. Where the best bid is not
below the best ask, the older of the two is removed; of two of the same time the smaller is, and its size is
taken off the other. So the book that leaves here is never crossed: the engine takes crossed ones for broken.
What uncrossing takes away comes back when the indexer next tells of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeAlias

from streams.feeds import fields
from streams.feeds.numbers import NUMBER
from streams.feeds.protocol import Delta, MessageError, Notice, RawLevel, RawMessage, Snapshot, Verdict

MAX_MARKETS = 1_000  # books of one connection; some 250 markets are listed
MAX_LEVELS = 50_000  # of one side
MAX_DIGITS = 27  # of a price or size: sums of them stay exact in the 28 of Decimal's context

Side: TypeAlias = dict[Decimal, tuple[Decimal, int]]  # price -> size, message_id
Changes: TypeAlias = list[tuple[Decimal, Decimal]]  # price, size


class DydxV4:
    """One connection to the indexer; symbols are markets, `BTC-USD`."""

    name = "dydx_v4"
    shape = "stamped_lines"

    def __init__(self) -> None:
        self.connected()

    def connected(self) -> None:
        """Messages are numbered anew, and no book is known."""
        self._connection: str | None = None
        self._last: int | None = None
        self._lost = False
        self._books: dict[str, AgedBook] = {}

    def parse(self, raw: bytes) -> Iterable[RawMessage]:
        """Books; trades, candles and answers to subscriptions count, and are passed over."""
        found = fields.read(raw, self._read)
        if self._lost:
            yield Notice(Verdict.BREAK)
        yield from found
        self._lost = False  # only now: had one of them been refused, the loss would have to be told again

    def starts(self, last: int | None, delta: Delta) -> Verdict:
        """As `follows`: the snapshot comes in the same stream."""
        return self.follows(last, delta)

    def follows(self, last: int | None, delta: Delta) -> Verdict:
        """Nothing of the connection, and nothing of this book, is missing between."""
        return fields.chained(last, delta)

    def _read(self, message: Any) -> Iterator[RawMessage]:
        message = fields.table(message)
        if "message_id" not in message:
            raise MessageError("no message of the indexer's websocket: it has no 'message_id'")
        number = fields.whole(message["message_id"])
        self._begin(fields.name(message["connection_id"]))
        if self._last is not None and number <= self._last:
            symbol = message.get("id")
            yield Notice(Verdict.OLD, symbol if isinstance(symbol, str) else None)
            return
        if self._last is not None and number != self._last + 1:
            self._lost = True
            self._books.clear()
        if message.get("channel") == "v4_orderbook":
            yield from self._book(message, number)
        self._last = number  # only now: one that could not be read is one that is missing

    def _begin(self, connection: str) -> None:
        if connection != self._connection:
            if self._connection is not None:
                self.connected()
                self._lost = True
            self._connection = connection

    def _book(self, message: Any, number: int) -> Iterator[RawMessage]:
        kind, symbol = message["type"], fields.name(message["id"])
        if kind == "subscribed":
            contents = fields.table(message["contents"])
            bids, asks = _levels(contents, "bids"), _levels(contents, "asks")
            book = AgedBook(number)
            book.apply(bids, asks, number)
            if len(self._books) >= MAX_MARKETS and symbol not in self._books:
                raise MessageError(f"more than {MAX_MARKETS} books on one connection")
            self._books[symbol] = book
            yield Snapshot(symbol, _all(book.bids), _all(book.asks), number)
        elif kind in ("channel_data", "channel_batch_data"):
            raw = message["contents"]
            parts = [raw] if kind == "channel_data" else fields.rows(raw)
            bids, asks = (
                [level for part in parts for level in _levels(fields.table(part), side)]
                for side in ("bids", "asks")
            )
            known = self._books.get(symbol)
            if known is None:  # before its snapshot, or after a loss: it cannot be put anywhere
                yield Delta(symbol, _texts(bids), _texts(asks), None, number)
                return
            previous = known.last
            bids, asks = known.apply(bids, asks, number)
            yield Delta(symbol, _texts(bids), _texts(asks), None, number, previous)


@dataclass(slots=True)
class AgedBook:
    """Sizes by price, and the logical time of each; `last` is that of the book."""

    last: int
    bids: Side = field(default_factory=dict)
    asks: Side = field(default_factory=dict)

    def apply(self, bids: Changes, asks: Changes, number: int) -> tuple[Changes, Changes]:
        """Set sizes, uncross, and give all sizes that are then other than before. Raises MessageError."""
        if max(len(self.bids) + len(bids), len(self.asks) + len(asks)) > MAX_LEVELS:
            raise MessageError(f"more than {MAX_LEVELS} levels of one side")
        touched: tuple[set[Decimal], set[Decimal]] = (set(), set())
        for side, changes, prices in zip((self.bids, self.asks), (bids, asks), touched, strict=True):
            for price, size in changes:
                prices.add(price)
                _set(side, price, size, number)
        self._uncross(*touched)
        self.last = number
        nothing = (Decimal(0), 0)
        return (
            [(price, self.bids.get(price, nothing)[0]) for price in touched[0]],
            [(price, self.asks.get(price, nothing)[0]) for price in touched[1]],
        )

    def _uncross(self, bids: set[Decimal], asks: set[Decimal]) -> None:
        if not self.bids or not self.asks or max(self.bids) < min(self.asks):
            return
        buying, selling = sorted(self.bids), sorted(self.asks, reverse=True)  # the best are the last
        while buying and selling and buying[-1] >= selling[-1]:
            bid, ask = buying[-1], selling[-1]
            (bid_size, bid_time), (ask_size, ask_time) = self.bids[bid], self.asks[ask]
            # The older one goes as a whole; of one time, each loses what the other has.
            bid_left = bid_size - ask_size if bid_time == ask_time else Decimal(0)
            ask_left = ask_size - bid_size if bid_time == ask_time else Decimal(0)
            if bid_time <= ask_time:
                bids.add(bid)
                _set(self.bids, bid, max(bid_left, Decimal(0)), bid_time)
            if ask_time <= bid_time:
                asks.add(ask)
                _set(self.asks, ask, max(ask_left, Decimal(0)), ask_time)
            if bid not in self.bids:
                buying.pop()
            if ask not in self.asks:
                selling.pop()


def _set(side: Side, price: Decimal, size: Decimal, number: int) -> None:
    if size:
        side[price] = size, number
    else:
        side.pop(price, None)


def _levels(contents: Any, side: str) -> Changes:
    """Objects in snapshots, lists in changes (of which an older third column, an offset, is not used)."""
    raw = fields.rows(contents.get(side, []))
    objects = bool(raw) and isinstance(raw[0], dict)
    pairs = fields.pairs(raw, "price", "size") if objects else fields.pairs(raw)
    return [(_decimal(price, "price"), _decimal(size, "size")) for price, size in pairs]


def _decimal(value: Any, what: str) -> Decimal:
    if len(value) > MAX_DIGITS or not any(map(str.isdigit, value)) or not NUMBER.fullmatch(value):
        raise MessageError(f"{what} {value!r:.40} is no decimal number of up to {MAX_DIGITS} digits")
    found = Decimal(value)
    if found < 0 or not found.is_finite() or abs(found.adjusted()) > MAX_DIGITS:
        raise MessageError(f"{what} {value!r:.40} is negative or out of range")
    return found


def _texts(levels: Changes) -> list[RawLevel]:
    return [(format(price, "f"), format(size, "f")) for price, size in levels]


def _all(side: Side) -> list[RawLevel]:
    return _texts([(price, size) for price, (size, _) in side.items()])
