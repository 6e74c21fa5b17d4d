"""The instruments of a capture, from the capture itself: their symbols, decimals and depth."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple, TypeAlias

from strategies.markets import Instrument, Markets, Venue
from streams.errors import UserError
from streams.feeds.captures import CONNECTED, Capture
from streams.feeds.numbers import MAX_INTEGER, MAX_TEXT
from streams.feeds.protocol import (
    Connecting,
    Cutting,
    MessageError,
    Notice,
    Number,
    Quote,
    RawLevel,
    RawMessage,
    Snapshot,
)
from streams.feeds.registry import FEEDS
from streams.play import Source

MOST_DECIMALS = 18  # as of markets.toml
MOST_DEPTH = 5_000  # as of markets.toml
CUT_DEPTHS = (10, 25, 100, 500, 1_000)  # what Kraken can be subscribed with
UNITS_ARE_DIGITS = frozenset(("kraken",))  # its checksum is made of prices and sizes in units
NAME = re.compile(r"[\x21-\x7e]{1,64}")  # as of markets.toml

BookName: TypeAlias = tuple[str, str]  # venue, symbol


class Form(NamedTuple):
    """How a number is written: its decimals, and the most that still leave it within 2^53 units."""

    decimals: int
    room: int


ANYTHING = Form(0, MOST_DECIMALS)


@dataclass(slots=True)
class Digits:
    """How often prices and sizes of one book are written in which form."""

    prices: Counter[Form] = field(default_factory=Counter)
    sizes: Counter[Form] = field(default_factory=Counter)

    def take(self, levels: Iterable[RawLevel], keep_zeros: bool) -> None:
        """Some levels, as the venue wrote them."""
        for price, size in levels:
            self.prices[form(price, keep_zeros)] += 1
            self.sizes[form(size, keep_zeros)] += 1

    def join(self, other: Digits) -> None:
        """What another file says of the same book."""
        self.prices.update(other.prices)
        self.sizes.update(other.sizes)


def best_decimals(forms: Counter[Form]) -> int:
    """The least decimals with which the most numbers can be read: one harmed number must not spoil a book."""

    def unreadable(decimals: int) -> int:
        return sum(n for one, n in forms.items() if not one.decimals <= decimals <= one.room)

    return min(range(MOST_DECIMALS + 1), key=unreadable)


@dataclass(slots=True)
class Survey:
    """What one file holds.

    `nameless`: the digits of messages that name no symbol; `fault`: the first thing that could not be read.
    """

    books: dict[BookName, Digits] = field(default_factory=dict)
    nameless: Digits | None = None
    depth: int = 0  # levels a side of the deepest snapshot
    fault: str = ""


@lru_cache(maxsize=100_000)  # a book's prices come again and again
def form(value: Number, keep_zeros: bool) -> Form:
    """How a number is written; zeros at its end are no decimals unless they are to be kept.

    Of what is no number nothing can be told: it fits everywhere.
    """
    if isinstance(value, Fraction):
        return Form(_decimals_of(value), _room(Decimal(value.numerator) / value.denominator))
    if len(value) > MAX_TEXT:
        return ANYTHING
    try:
        number = Decimal(value)
        exponent = (number if keep_zeros else number.normalize()).as_tuple().exponent
        if not isinstance(exponent, int):
            return ANYTHING
        return Form(min(max(0, -exponent), MOST_DECIMALS), _room(number))
    except ArithmeticError:  # no number, or one beyond any measure
        return ANYTHING


def _room(number: Decimal) -> int:
    return min((MAX_INTEGER / abs(number)).adjusted(), MOST_DECIMALS) if number else MOST_DECIMALS


def _decimals_of(ratio: Fraction) -> int:
    left, count = ratio.denominator, 0
    while left > 1 and count < MOST_DECIMALS:
        left //= (2 if left % 2 == 0 else 1) * (5 if left % 5 == 0 else 1)
        count += 1
    return count


def survey(source: Source) -> Survey:
    """Read a file for what it holds; what cannot be read is passed over here, and told when it is judged."""
    venue, found = FEEDS[source.feed](), Survey()
    keep_zeros = source.feed in UNITS_ARE_DIGITS
    try:
        for raw in Capture(source.path, venue.shape):
            if raw.message == CONNECTED:
                if isinstance(venue, Connecting):
                    venue.connected()
                continue
            try:
                for message in venue.parse(raw.message):
                    _take(found, message, source, keep_zeros)
            except MessageError as fault:
                found.fault = found.fault or f"{source.path}, line {raw.place}: {fault}"
    except UserError as fault:
        found.fault = found.fault or str(fault)
    return found


def _take(found: Survey, message: RawMessage, source: Source, keep_zeros: bool) -> None:
    if isinstance(message, Notice):
        return
    symbol = message.symbol or source.symbol
    if symbol is None:
        digits = found.nameless = found.nameless or Digits()
    else:
        digits = found.books.setdefault((message.venue or source.venue, symbol), Digits())
    try:
        if isinstance(message, Quote):
            digits.take((level for level in (message.bid, message.ask) if level is not None), keep_zeros)
            return
        digits.take(message.bids, keep_zeros)
        digits.take(message.asks, keep_zeros)
    except (IndexError, KeyError, TypeError, ValueError):
        return  # no levels; the feed says so when it comes to this message
    if isinstance(message, Snapshot):
        found.depth = max(found.depth, len(message.bids), len(message.asks))


def instruments(sources: Sequence[Source], surveys: Sequence[Survey], shared: frozenset[str]) -> Markets:
    """Markets of all books that were found; `shared`: feeds whose quotes and diffs have the same ids.

    Raises UserError where there are none.
    """
    books: dict[BookName, Digits] = {}
    feeds: dict[BookName, str] = {}
    for source, one in zip(sources, surveys, strict=True):
        for name, digits in one.books.items():
            books.setdefault(name, Digits()).join(digits)
            feeds[name] = source.feed
    for source, one in zip(sources, surveys, strict=True):
        for name in books:
            if one.nameless is not None and name[0] == source.venue:
                books[name].join(one.nameless)
    named = {name: digits for name, digits in books.items() if all(map(NAME.fullmatch, name))}
    if not named:
        raise UserError(_why_nothing(sources, surveys))
    depths = {feed: _cut_depth(feed, sources, surveys) for feed in set(feeds.values())}
    return Markets(
        venues={
            venue: Venue(layer="base", taker_fee_bps=0, shared_update_ids=feeds[venue, symbol] in shared)
            for venue, symbol in named
        },
        instruments=tuple(
            _instrument(name, digits, depths[feeds[name]]) for name, digits in sorted(named.items())
        ),
    )


def _why_nothing(sources: Sequence[Source], surveys: Sequence[Survey]) -> str:
    paths = ", ".join(str(source.path) for source in sources)
    if any(one.nameless is not None for one in surveys):
        return f"{paths}: its books name no symbol: give --symbol"
    faults = [one.fault for one in surveys if one.fault]
    if faults:
        return faults[0]
    told = ", ".join(sorted({source.feed for source in sources}))
    return f"{paths}: nothing in it concerns a book of {told}: choose another --venue"


def _instrument(name: BookName, digits: Digits, cut: int | None) -> Instrument:
    venue, symbol = name
    return Instrument(
        venue=venue,
        symbol=symbol,
        kind="spot",
        base=symbol,  # what it is made of is not told in a capture, and nothing is compared here
        quote="-",
        tick=Decimal(1).scaleb(-best_decimals(digits.prices)),
        lot=Decimal(1).scaleb(-best_decimals(digits.sizes)),
        depth=cut or MOST_DEPTH,
        venue_cuts=cut is not None,
    )


def _cut_depth(feed: str, sources: Sequence[Source], surveys: Sequence[Survey]) -> int | None:
    """The depth that a venue which cuts was subscribed with: the next one that holds its deepest snapshot."""
    venue = FEEDS[feed]()
    if not (isinstance(venue, Cutting) and venue.cuts):
        return None
    pairs = zip(sources, surveys, strict=True)
    deepest = max(one.depth for source, one in pairs if source.feed == feed)
    return next((depth for depth in CUT_DEPTHS if depth >= deepest), min(deepest, MOST_DEPTH))
