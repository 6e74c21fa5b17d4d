"""One connection to a venue: raw messages in, numbered book updates out, with heartbeats and key frames."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from strategies.markets import Instrument, Markets
from streams.errors import UserError
from streams.feeds.numbers import Scales
from streams.feeds.protocol import (
    Channel,
    Checksum,
    Connecting,
    Cutting,
    Delta,
    FeedState,
    Level,
    MessageError,
    Notice,
    Quote,
    RawLevel,
    RawMessage,
    Snapshot,
    Update,
    UpdateKind,
    Venue,
    Verdict,
)
from streams.feeds.sync import Depth, Step

HEARTBEAT_NS = 1_000_000_000
KEY_FRAME_NS = 5_000_000_000


@dataclass(slots=True)
class Counts:
    """What happened to one book. `unfit`: snapshots too old to start from."""

    quotes: int = 0
    snapshots: int = 0
    deltas: int = 0
    ignored: int = 0
    gaps: int = 0
    unfit: int = 0


@dataclass(slots=True)
class _Line:
    """One channel of one book: its numbers and what is due."""

    channel: Channel
    sequence: int = 0
    sent: int = 0
    frame: int = 0


@dataclass(slots=True)
class _Book:
    index: int
    instrument: Instrument
    scales: Scales
    depth: Depth
    quote: Update | None = None
    counts: Counts = field(default_factory=Counts)
    lines: dict[Channel, _Line] = field(default_factory=dict)


class Feed:
    """All books of one venue that markets.toml names; messages of others are counted in `strangers`.

    `name` is the venue as markets.toml names it (messages may name another, where a capture holds several),
    `symbol` stands for messages that name none. Heartbeats are sent when anything at all came from the
    venue: silence is no sign of life. All times are receive times in ns since 1970.
    """

    def __init__(
        self,
        venue: Venue,
        markets: Markets,
        name: str,
        *,
        symbol: str | None = None,
        heartbeat_ns: int = HEARTBEAT_NS,
        key_frame_ns: int = KEY_FRAME_NS,
    ) -> None:
        self.strangers = 0
        self._venue, self._name, self._symbol = venue, name, symbol
        self._heartbeat_ns, self._frame_ns = heartbeat_ns, key_frame_ns
        self._session = 0
        self._look = 0  # nothing is due before; a line that sends meanwhile only moves it out
        self._books = {
            (i.venue, i.symbol): _Book(index, i, Scales(i), _depth(venue, i))
            for index, i in enumerate(markets.instruments)
        }
        self._own = {symbol for venue_name, symbol in self._books if venue_name == name}
        self._heard: set[str] = set()
        if isinstance(venue, Cutting) and venue.cuts:
            _need_cuts(markets, name)

    def counts(self) -> Mapping[tuple[str, str], Counts]:
        """What happened to each book that anything was heard of, by venue and symbol."""
        return {key: book.counts for key, book in self._books.items() if book.lines}

    def depth(self, venue: str, symbol: str) -> Depth:
        """The feed's own book. Raises KeyError for one that markets.toml does not name."""
        return self._books[venue, symbol].depth

    def state(self, venue: str, symbol: str) -> str:
        """The depth's state, or the quotes' where there is no depth. Raises KeyError as `depth` does."""
        book = self._books[venue, symbol]
        if Channel.L2 in book.lines:
            return book.depth.state.name.lower()
        return (FeedState.SYNCED if book.quote is not None else FeedState.RESYNC).name.lower()

    def connected(self, now: int) -> list[Update]:
        """A new connection: sequences begin anew, depth is unknown until the next snapshot."""
        self._session = now
        if isinstance(self._venue, Connecting):
            self._venue.connected()
        found = []
        for book in self._books.values():
            book.quote = None
            book.depth = _depth(self._venue, book.instrument)
            for line in book.lines.values():
                line.sequence, line.frame = 0, now + self._frame_ns
                found.append(self._update(book, line.channel, UpdateKind.CLEAR, FeedState.RESYNC, now))
        return found

    def receive(self, raw: bytes, now: int) -> list[Update]:
        """Everything that one raw message gives rise to, in order.

        Raises MessageError where it cannot be read; the books are then as they were.
        """
        if not self._session:
            self._session = now
        taken = [(m, book, _exact(m, book)) for m in self._venue.parse(raw) for book in self._books_of(m)]
        found: list[Update] = []
        for message, book, (bids, asks) in taken:
            if isinstance(message, Notice):
                found += self._notice(message, book, now)
            elif isinstance(message, Quote):
                found += self._quote(message, book, bids, asks, now)
            elif isinstance(message, Snapshot):
                found += self._snapshot(message, book, bids, asks, now)
            else:
                found += self._delta(message, book, bids, asks, now)
        return found + self.alive(now) if now >= self._look else found

    def alive(self, now: int) -> list[Update]:
        """The venue was heard of (a pong is enough): heartbeats and key frames that are due."""
        lines = [(book, line) for book in self._books.values() for line in book.lines.values()]
        found = [update for book, line in lines for update in self._due(book, line, now)]
        due = (min(line.frame, line.sent + self._heartbeat_ns) for _, line in lines)
        self._look = min(due, default=now)
        return found

    # --- messages ---------------------------------------------------------------------------------------

    def _books_of(self, message: RawMessage) -> list[_Book]:
        if isinstance(message, Notice) and message.symbol is None:
            return [book for book in self._books.values() if book.lines]
        book = self._book_of(message)
        return [] if book is None else [book]

    def _book_of(self, message: RawMessage) -> _Book | None:
        symbol = message.symbol or self._symbol
        if message.symbol is not None and len(self._heard) < 2:  # one, or several: more need not be kept
            self._heard.add(message.symbol)
        if symbol is None:
            # REST snapshots of Binance spot: in a capture of one symbol it is clear whose they are.
            likely = self._heard if len(self._heard) == 1 else self._own
            if len(likely) != 1:
                count = len(likely)
                raise MessageError(
                    f"names no symbol, and {self._name} has {count} in the markets file: give --symbol"
                )
            (symbol,) = likely
        book = self._books.get((message.venue or self._name, symbol))
        channel = Channel.L1 if isinstance(message, Quote) else Channel.L2
        if book is None or channel.name.lower() not in book.instrument.channels:
            self.strangers += 1
            return None
        return book

    def _quote(
        self, quote: Quote, book: _Book, bids: list[Level], asks: list[Level], now: int
    ) -> Iterator[Update]:
        last = book.quote.last_update_id if book.quote else None
        known = last is not None and quote.update_id is not None and not quote.restarts
        if known and (quote.update_id or 0) <= (last or 0):
            book.counts.ignored += 1
            return
        book.counts.quotes += 1
        if book.quote is not None and quote.restarts:
            # Readers take a lower id for a contradiction, unless they are told to forget the last one.
            yield self._update(book, Channel.L1, UpdateKind.CLEAR, FeedState.RESYNC, now)
        book.quote = self._update(
            book,
            Channel.L1,
            UpdateKind.QUOTE,
            FeedState.SYNCED,
            now,
            bids=bids,
            asks=asks,
            event_time_ns=quote.event_time_ns,
            last_update_id=quote.update_id,
        )
        yield book.quote

    def _snapshot(
        self, snapshot: Snapshot, book: _Book, bids: list[Level], asks: list[Level], now: int
    ) -> Iterator[Update]:
        if book.depth.snapshot(snapshot, bids, asks):
            book.counts.snapshots += 1
            yield self._full(book, now, book.depth.checked, key_frame=False)
        elif book.depth.checked is Checksum.WRONG:
            book.counts.gaps += 1
            yield self._lost(book, now)
        else:
            book.counts.unfit += 1

    def _delta(
        self, delta: Delta, book: _Book, bids: list[Level], asks: list[Level], now: int
    ) -> Iterator[Update]:
        self._line(book, Channel.L2, now)
        before = book.depth.last
        verdict = book.depth.delta(Step(delta, bids, asks))
        if verdict is Verdict.OLD:
            book.counts.ignored += 1
        elif verdict is Verdict.BREAK:
            book.counts.gaps += 1
            yield self._lost(book, now)
        elif verdict is Verdict.FITS:
            book.counts.deltas += 1
            if before is not None and delta.last_update_id is not None and delta.last_update_id < before:
                # The venue counts anew within the stream (OKX): only a whole book may have a lower id.
                yield self._full(book, now, book.depth.checked, key_frame=False)
                return
            yield self._update(
                book,
                Channel.L2,
                UpdateKind.DELTA,
                FeedState.SYNCED,
                now,
                bids=bids,
                asks=asks,
                event_time_ns=delta.event_time_ns,
                first_update_id=delta.first_update_id,
                last_update_id=delta.last_update_id,
                previous_update_id=delta.previous_update_id,
                checksum=book.depth.checked,
            )

    def _notice(self, notice: Notice, book: _Book, now: int) -> Iterator[Update]:
        """What was lost may have been of any channel: neither depth nor quote is known any more."""
        if notice.verdict is Verdict.OLD:
            book.counts.ignored += 1
        if notice.verdict is not Verdict.BREAK:
            return
        if Channel.L1 in book.lines and book.quote is not None:
            book.quote = None
            yield self._update(book, Channel.L1, UpdateKind.CLEAR, FeedState.GAP, now)
        if Channel.L2 in book.lines and book.depth.state is FeedState.SYNCED:
            book.counts.gaps += 1
            book.depth.lose()
            yield self._update(book, Channel.L2, UpdateKind.CLEAR, FeedState.GAP, now)

    def _lost(self, book: _Book, now: int) -> Update:
        return self._update(
            book, Channel.L2, UpdateKind.CLEAR, FeedState.GAP, now, checksum=book.depth.checked
        )

    # --- what is due ------------------------------------------------------------------------------------

    def _due(self, book: _Book, line: _Line, now: int) -> Iterator[Update]:
        """A key frame, or a heartbeat, where their time has come."""
        quotes = line.channel is Channel.L1
        known = FeedState.SYNCED if book.quote is not None else FeedState.RESYNC
        state = known if quotes else book.depth.state
        if now >= line.frame:
            line.frame = now + self._frame_ns
            if quotes and book.quote is not None:
                update = self._update(book, Channel.L1, UpdateKind.QUOTE, state, now)
                yield replace(book.quote, sequence=update.sequence, receive_time_ns=now, key_frame=True)
                return
            if not quotes and state is FeedState.SYNCED:
                yield self._full(book, now, Checksum.ABSENT, key_frame=True)
                return
        if now - line.sent >= self._heartbeat_ns:
            yield self._update(book, line.channel, UpdateKind.HEARTBEAT, state, now)

    def _full(self, book: _Book, now: int, checksum: Checksum, *, key_frame: bool) -> Update:
        """The whole book, cut to the instrument's depth."""
        bids, asks = book.depth.book.best(book.instrument.depth)
        return self._update(
            book,
            Channel.L2,
            UpdateKind.SNAPSHOT,
            book.depth.state,
            now,
            bids=bids,
            asks=asks,
            event_time_ns=book.depth.event_time_ns,
            last_update_id=book.depth.last,
            checksum=checksum,
            key_frame=key_frame,
        )

    def _line(self, book: _Book, channel: Channel, now: int) -> _Line:
        if channel not in book.lines:
            book.lines[channel] = _Line(channel, sent=now, frame=now + self._frame_ns)
        return book.lines[channel]

    def _update(
        self, book: _Book, channel: Channel, kind: UpdateKind, state: FeedState, now: int, **more: Any
    ) -> Update:
        """The next update of one channel: takes its sequence."""
        line = self._line(book, channel, now)
        line.sequence += 1
        line.sent = now
        return Update(book.index, channel, kind, state, self._session, line.sequence, now, **more)


def _exact(message: RawMessage, book: _Book) -> tuple[list[Level], list[Level]]:
    """Both sides as integers; a side of a quote that is absent, or of size 0, is empty."""
    if isinstance(message, Notice):
        return [], []
    if not isinstance(message, Quote):
        return book.scales.levels(message.bids), book.scales.levels(message.asks)
    return _side(message.bid, book.scales), _side(message.ask, book.scales)


def _side(level: RawLevel | None, scales: Scales) -> list[Level]:
    return [] if level is None or scales.size(level[1]) == 0 else scales.levels([level])


def _depth(venue: Venue, instrument: Instrument) -> Depth:
    return Depth(venue, cut=instrument.depth if instrument.venue_cuts else None)


def _need_cuts(markets: Markets, name: str) -> None:
    """Raises UserError where the markets file does not know that the venue cuts."""
    for i in markets.instruments:
        if i.venue == name and "l2" in i.channels and not i.venue_cuts:
            raise UserError(
                f"the markets file, {i.venue} {i.symbol}: this venue cuts its books at the subscribed depth "
                "and tells of no level that falls out; set venue_cuts = true, and depth to what is subscribed"
            )
