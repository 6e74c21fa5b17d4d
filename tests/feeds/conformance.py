"""What every venue file must do, tried on one story that each venue tells in its own words.

A venue's row says how it writes a message of the story, what it can see of harm done to the stream, and which
published samples lead to which book. `test_conformance.py` tries all rows of `venue_rows`.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

from strategies.markets import Instrument, Markets, Venue
from streams.feeds.book import Book
from streams.feeds.feed import Counts, Feed
from streams.feeds.protocol import FeedState, Update
from streams.feeds.registry import FEEDS
from tests.feeds.kit import START, Reader

TextLevel = tuple[str, str]
Sides = tuple[tuple[TextLevel, ...], tuple[TextLevel, ...]]
MS = 1_000_000


class Answer(Enum):
    """What comes of a harm."""

    GAP = "the book is given up until the next snapshot"
    IGNORED = "the message is passed over and counted"
    TAKEN = "taken, and the book is right all the same"
    UNSEEN = "nothing can be seen of it: the book is wrong and says synced"


@dataclass(frozen=True)
class Told:
    """One message of the story.

    `number` names the state of the book after it (0 is the first snapshot), `order` counts messages of the
    connection from 0; they differ only after a snapshot in the middle. `bids` and `asks` are the changes, or
    the whole book, best first, where `whole`. `book` is the book after it, best first, for a checksum.
    """

    number: int
    order: int
    whole: bool
    bids: tuple[TextLevel, ...]
    asks: tuple[TextLevel, ...]
    book: Sides


@dataclass(frozen=True)
class Sample:
    """Published messages, paths below INTERLAYER_DATA, and the book (or quote) they must lead to.

    `refused`: what the message must say that refuses the last of them. `wrong`: its checksum is of another
    book than it shows (many samples are cut by hand), and so the book must be given up.
    """

    paths: tuple[str, ...]
    bids: tuple[TextLevel, ...] = ()
    asks: tuple[TextLevel, ...] = ()
    symbol: str | None = None
    instrument: Mapping[str, Any] = field(default_factory=dict)
    quote: tuple[TextLevel, TextLevel] | None = None
    refused: str | None = None
    wrong: bool = False


@dataclass(frozen=True)
class Row:
    """All that the kit must know of a venue; prices of the story have one decimal, sizes three.

    `wholes`: every message is a whole book. `asked`: snapshots are asked for apart from the stream, and can
    be older than it. `crosses`: the venue's own book may cross.
    """

    feed: str
    symbol: str
    encode: Callable[[Told], bytes]
    samples: tuple[Sample, ...] = ()
    drop: Answer = Answer.GAP
    repeat: Answer = Answer.IGNORED
    swap: Answer = Answer.GAP
    mutate: Answer = Answer.UNSEEN
    wholes: bool = False
    asked: bool = False
    crosses: bool = False
    instrument: Mapping[str, Any] = field(default_factory=dict)

    @property
    def watched(self) -> bool:
        """No loss, repeat or reordering can go unseen."""
        return Answer.UNSEEN not in (self.drop, self.repeat, self.swap)


def rows() -> list[Row]:
    """The rows of all modules in `venue_rows`: their `ROW`, or their `ROWS`."""
    found: list[Row] = []
    for module in sorted(m.name for m in pkgutil.iter_modules([str(Path(__file__).parent / "venue_rows")])):
        loaded = importlib.import_module(f"tests.feeds.venue_rows.{module}")
        found += loaded.ROWS if hasattr(loaded, "ROWS") else [loaded.ROW]
    return found


# --- the story ---------------------------------------------------------------------------------------------

FIRST: Sides = (
    (("45283.5", "0.100"), ("45283.4", "1.545"), ("45282.1", "0.250"), ("45280.3", "2.000")),
    (("45285.2", "0.001"), ("45286.4", "1.540"), ("45286.6", "0.500"), ("45290.0", "10.000")),
)
CHANGES: Sequence[Sides] = (
    ((("45283.5", "0.300"),), ()),  # a size
    ((), (("45285.2", "0.000"),)),  # the best ask goes
    ((("45284.0", "0.020"),), (("45286.0", "0.070"),)),  # new best on both sides
    ((("45282.1", "0.000"), ("45279.0", "4.000")), (("45290.0", "9.000"),)),  # behind the best
    ((("45284.0", "0.000"),), (("45286.0", "0.000"), ("45284.5", "0.900"))),  # a gap in the middle shifts
    ((("45283.4", "1.500"), ("45283.5", "0.310")), ()),
    ((("45283.4", "1.400"),), (("45284.5", "0.000"), ("45286.4", "1.000"))),
    ((("45283.6", "0.011"),), (("45285.0", "0.012"),)),
)  # fmt: skip


def states() -> list[Sides]:
    """The book after each number of the story, best first; made with plain dictionaries."""
    bids, asks = dict(FIRST[0]), dict(FIRST[1])
    found = []
    for change in (((), ()), *CHANGES):
        for side, levels in zip((bids, asks), change, strict=True):
            for price, size in levels:
                if Decimal(size):
                    side[price] = size
                else:
                    side.pop(price, None)
        found.append(
            (
                tuple(sorted(bids.items(), key=lambda level: -Decimal(level[0]))),
                tuple(sorted(asks.items(), key=lambda level: Decimal(level[0]))),
            )
        )
    return found


STATES = states()
LAST = len(CHANGES)


def whole(number: int, order: int) -> Told:
    """The whole book of state `number`."""
    return Told(number, order, True, *STATES[number], STATES[number])


def told(row: Row, number: int, order: int | None = None) -> Told:
    """What leads to state `number`, in the manner of the venue."""
    place = number if order is None else order
    if row.wholes or number == 0:
        return whole(number, place)
    return Told(number, place, False, *CHANGES[number - 1], STATES[number])


def story(row: Row) -> list[bytes]:
    """All of it, unharmed."""
    return [row.encode(told(row, number)) for number in range(LAST + 1)]


def mutated(row: Row, number: int) -> bytes:
    """The message that leads to `number` with another size in its first level, its checksum as it was."""
    right = told(row, number)
    bids, asks = (
        tuple((price, "7.777" if n == 0 else size) for n, (price, size) in enumerate(side))
        for side in (right.bids, right.asks)
    )
    return row.encode(replace(right, bids=bids, asks=asks))


# --- a venue that is tried ----------------------------------------------------------------------------------


def instrument(row: Row, **more: Any) -> Instrument:
    """What the markets file says of the row's symbol."""
    base = {
        "venue": "v", "symbol": row.symbol, "kind": "spot", "base": "BTC", "quote": "USD",
        "tick": Decimal("0.1"), "lot": Decimal("0.001"), "depth": 100,
    }  # fmt: skip
    return Instrument(**{**base, **row.instrument, **more})


class Trial:
    """A feed of the row's venue and someone downstream; `say` gives them a message."""

    def __init__(self, row: Row, **more: Any) -> None:
        found = instrument(row, **more)
        self.symbol = found.symbol
        self.row, self._one = row, found
        markets = Markets(venues={"v": Venue(layer="base", taker_fee_bps=1.0)}, instruments=(found,))
        self.feed = Feed(FEEDS[row.feed](), markets, "v", symbol=found.symbol)
        self.now = START
        self.reader = Reader()
        self.connect()

    def connect(self) -> list[Update]:
        """A new connection."""
        self.now += MS
        return self._take(self.feed.connected(self.now))

    def say(self, raw: bytes) -> list[Update]:
        """One message, a millisecond later; whoever is downstream sees what the feed sees."""
        self.now += MS
        found = self._take(self.feed.receive(raw, self.now))
        assert self.reader.synced == (self.state is FeedState.SYNCED)
        if self.state is FeedState.SYNCED:
            assert self.cut(self.reader.book) == self.cut(self.depth)
            assert self.row.crosses or not self.row.watched or not self.depth.crossed()
        return found

    def _take(self, updates: list[Update]) -> list[Update]:
        for update in updates:
            self.reader.take(update)
            if self._one.venue_cuts:
                self.reader.book.cut(self._one.depth)
        return updates

    @property
    def state(self) -> FeedState:
        return self.feed.depth("v", self.symbol).state

    @property
    def depth(self) -> Book:
        return self.feed.depth("v", self.symbol).book

    @property
    def counts(self) -> Counts:
        return self.feed.counts().get(("v", self.symbol), Counts())

    def cut(self, book: Book) -> tuple[Any, Any]:
        return book.best(self._one.depth)

    def text(self, depth: int = 1_000) -> tuple[tuple[tuple[Decimal, Decimal], ...], ...]:
        """The book as decimals, best first, however they are written."""
        tick, lot = (Decimal(1).scaleb(_digits(step)) for step in (self._one.tick, self._one.lot))
        bids, asks = ([(p * tick, s * lot) for p, s in side] for side in self.depth.best(depth))
        return tuple(bids), tuple(asks)

    def holds(self, number: int) -> bool:
        """Synced, with the book of state `number`."""
        return self.state is FeedState.SYNCED and self.text() == decimals(STATES[number])


def decimals(sides: Sides) -> tuple[tuple[tuple[Decimal, Decimal], ...], ...]:
    """The same levels as numbers."""
    bids, asks = (tuple((Decimal(p), Decimal(s)) for p, s in side) for side in sides)
    return bids, asks


def _digits(step: Decimal) -> int:
    return int(step.normalize().as_tuple().exponent)
