"""The files of one capture together, through the feeds' own rules, to the judge."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from strategies.markets import Markets, exponent
from streams.errors import UserError
from streams.feeds.captures import CONNECTED, Capture
from streams.feeds.feed import Feed
from streams.feeds.protocol import Channel, FeedState, MessageError
from streams.feeds.registry import FEEDS
from streams.inspect.guess import guess_feeds
from streams.inspect.judge import BookKey, Judge
from streams.inspect.survey import instruments, survey
from streams.inspect.watch import Watch
from streams.play import Source
from streams.play import sources as described_sources

NEVER_NS = 2**62  # heartbeats and key frames are for readers of topics
SHARED_IDS = frozenset(("binance_spot", "binance_us", "binance_usdm", "binance_coinm"))


def judge_files(
    files: Sequence[Path],
    venues: Sequence[str] = (),
    symbols: Sequence[str] = (),
    markets: Markets | None = None,
) -> Judge:
    """Judge captures. `venues` and `symbols` as of `streams.play.sources`; without venues they are guessed.

    Without `markets`, ticks and lots are the decimals found in the files, and every book is judged; with it,
    only what it names, and as `interlayer play` would read it. Raises UserError for a file that cannot be
    opened, or in which no book is found.
    """
    given = list(venues) or guess_feeds(files)
    if markets is None:
        played, markets = _undescribed(files, given, symbols)
    else:
        played = described_sources(files, given, symbols, markets)
    return _Reading(played, markets).judge()


def _undescribed(
    files: Sequence[Path], venues: Sequence[str], symbols: Sequence[str]
) -> tuple[list[Source], Markets]:
    for option, values in (("--venue", venues), ("--symbol", symbols)):
        if len(values) > 1 and len(values) != len(files):
            raise UserError(
                f"{option} stands {len(values)} times for {len(files)} files: give one for all, or one each"
            )
    played = []
    for number, path in enumerate(files):
        given = venues[number if len(venues) > 1 else 0]
        name, _, feed = given.partition("=")
        if (feed or name) not in FEEDS or not name:
            raise UserError(
                f"--venue {given}: no feed is called {feed or name!r}; there are {', '.join(FEEDS)}"
            )
        symbol = symbols[number if len(symbols) > 1 else 0] if symbols else None
        played.append(Source(path, name, feed or name, symbol or None))
    surveys = [survey(source) for source in played]
    named = [name for one in surveys for name in one.books]
    for number, (source, one) in enumerate(zip(played, surveys, strict=True)):
        # Binance's REST answers name no symbol: those of a file of one symbol are of that one.
        own = {symbol for venue, symbol in one.books if venue == source.venue}
        others = {symbol for venue, symbol in named if venue == source.venue}
        if one.nameless is not None and len(own) == 1 and len(others) > 1:
            played[number] = replace(source, symbol=own.pop())
        elif one.nameless is not None and not others:  # rows of quotes name nothing at all
            symbol = stem(source.path)
            played[number] = replace(source, symbol=symbol)
            one.books[source.venue, symbol] = one.nameless
    return played, instruments(played, surveys, SHARED_IDS)


def stem(path: Path) -> str:
    """A file's name as a symbol: without what says only how it is written."""
    name = path.name
    while (suffix := Path(name).suffix) in (".gz", ".zst", ".csv", ".txt", ".json", ".quote"):
        name = name.removesuffix(suffix)
    return name.replace(" ", "_")


class _Reading:
    """One pass over all files, merged by receive time."""

    def __init__(self, played: Sequence[Source], markets: Markets) -> None:
        self._sources, self._markets = list(played), markets
        self._captures = [Capture(s.path, FEEDS[s.feed]().shape) for s in played]
        self._lists = [FEEDS[s.feed]().shape in ("json_list", "lighter_list") for s in played]
        self._feeds: dict[tuple[str, str, str | None], Feed] = {}
        self._watches: dict[tuple[str, str, str | None], Watch] = {}
        for s in played:
            key = (s.venue, s.feed, s.symbol)
            if key not in self._feeds:
                venue = FEEDS[s.feed]()
                self._watches[key] = Watch(venue)
                self._feeds[key] = Feed(
                    venue,
                    markets,
                    s.venue,
                    symbol=s.symbol,
                    heartbeat_ns=NEVER_NS,
                    key_frame_ns=NEVER_NS,
                )
        self._judge = Judge()

    def judge(self) -> Judge:
        """Read to the end. Raises UserError where a feed heard of no book."""
        for _, number, place, received, message in heapq.merge(*map(self._read, range(len(self._captures)))):
            source = self._sources[number]
            self._message(source, self._place(number, place), received, message)
        self._finish()
        return self._judge

    def _feed(self, source: Source) -> Feed:
        return self._feeds[source.venue, source.feed, source.symbol]

    def _place(self, number: int, place: int) -> str:
        path = self._sources[number].path
        return f"{path}, element {place}" if self._lists[number] else f"{path}:{place}"

    def _read(self, number: int) -> Iterator[tuple[int, int, int, int, bytes]]:
        """As `streams.play` reads, but a damaged file ends here and is told of."""
        latest = 0
        try:
            for raw in self._captures[number]:
                latest = max(latest, raw.receive_time_ns)
                yield latest, number, raw.place, raw.receive_time_ns, raw.message
        except UserError as fault:
            path = str(self._sources[number].path)
            what = str(fault).removeprefix(path).lstrip(", ")
            self._judge.find("damaged", path, f"{what}; nothing after it was read")

    def _message(self, source: Source, place: str, received: int, message: bytes) -> None:
        feed, judge = self._feed(source), self._judge
        watch = self._watches[source.venue, source.feed, source.symbol]
        watch.begin()
        if message == CONNECTED:
            updates = feed.connected(received)
        else:
            judge.messages += 1
            judge.heard(f"{source.venue} {source.symbol or ''}".rstrip(), received, place)
            try:
                updates = feed.receive(message, received)
            except MessageError as fault:
                judge.find("unreadable", place, f"cannot be read: {fault}")
                return
        new = False
        for update in updates:
            instrument = self._markets.instruments[update.instrument]
            key = BookKey(instrument.venue, instrument.symbol)
            seen = judge.books.get(key)
            if seen is None:
                new = True
                units = exponent(instrument.tick), exponent(instrument.lot)
                shared = self._markets.venues[instrument.venue].shared_update_ids or source.feed in SHARED_IDS
                seen = judge.book(key, units, shared_ids=shared)
            book = feed.depth(*key[:2]).book if update.channel is Channel.L2 else None
            judge.take(seen, update, place, book, watch.break_text)
        for _ in range(watch.repeats(feed, new=new)):
            judge.repeat(source.venue, place)

    def _finish(self) -> None:
        judge = self._judge
        for source in self._sources:
            feed = self._feed(source)
            if not feed.counts():
                reason = next((str(f) for f in judge.findings(wrong=True) if f.kind == "unreadable"), "")
                raise UserError(reason or f"{source.path}: nothing in it concerns a book of {source.venue}")
        judge.finish()
        for feed in self._feeds.values():
            paths = ", ".join(str(s.path) for s in self._sources if self._feed(s) is feed)
            for (venue, symbol), counts in feed.counts().items():
                key = BookKey(venue, symbol)
                if key not in judge.books:  # diffs alone, of which none found a snapshot
                    self._never(key)
                state = feed.state(venue, symbol)
                if state != "synced":
                    judge.books[key].states[Channel.L2] = FeedState[state.upper()]
                    why = "no snapshot fits" if state == "resync" else "lost, and not found again"
                    judge.find("unsynced", paths, f"{key}: {state} at the end: {why}")
                if counts.unfit:
                    what = f"{key}: {counts.unfit} snapshots were too old to start from"
                    judge.find("unfit", paths, what, wrong=False)
            if feed.strangers:
                what = f"{feed.strangers:,} messages are of books that are not described"
                judge.find("strangers", paths, what, wrong=False)

    def _never(self, key: BookKey) -> None:
        (instrument,) = (i for i in self._markets.instruments if (i.venue, i.symbol) == key[:2])
        self._judge.book(key, (exponent(instrument.tick), exponent(instrument.lot)), shared_ids=False)
