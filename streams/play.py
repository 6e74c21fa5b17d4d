"""Captures through the feeds' own rules to the topics: merged by receive time, at any pace."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from strategies.markets import Markets
from streams.errors import UserError
from streams.feeds.captures import DEFAULT_START_NS, Capture
from streams.feeds.feed import HEARTBEAT_NS, KEY_FRAME_NS, Feed
from streams.feeds.pack import Packer, columns_of
from streams.feeds.protocol import MessageError, Update
from streams.feeds.registry import FEEDS
from streams.feeds.sink import BOOK_TOPICS, Sink, group_keys
from streams.feeds.sync import Depth

BATCH = 1_000  # updates encoded at once
PATIENCE_S = 0.05  # longest sleep, so that a stop is heard


@dataclass(frozen=True, slots=True)
class Source:
    """One file: of which venue (as markets.toml names it), by whose rules, and of which symbol."""

    path: Path
    venue: str
    feed: str
    symbol: str | None = None


def sources(
    files: Sequence[Path], venues: Sequence[str], symbols: Sequence[str], markets: Markets
) -> list[Source]:
    """Pair files with `--venue` and `--symbol`: one for each file, or one for all.

    A venue is the name of a feed, or `NAME=FEED` where markets.toml calls the venue otherwise. Raises
    UserError.
    """
    if not files:
        raise UserError("give at least one file to play")
    return [
        _source(path, venue, symbol, markets)
        for path, venue, symbol in zip(
            files,
            _one_each(files, venues, "--venue"),
            _one_each(files, symbols or [""], "--symbol"),
            strict=True,
        )
    ]


def _one_each(files: Sequence[Path], values: Sequence[str], option: str) -> Sequence[str]:
    if not values:
        raise UserError(f"{option} is missing; there are {', '.join(FEEDS)}")
    if len(values) not in (1, len(files)):
        raise UserError(
            f"{option} stands {len(values)} times for {len(files)} files: give one for all, or one each"
        )
    return values if len(values) == len(files) else [values[0]] * len(files)


def _source(path: Path, given: str, symbol: str, markets: Markets) -> Source:
    name, _, feed = given.partition("=")
    feed = feed or name
    if feed not in FEEDS:
        raise UserError(f"--venue {given}: no feed is called {feed!r}; there are {', '.join(FEEDS)}")
    known = {i.symbol for i in markets.instruments if i.venue == name}
    holds_several = feed == "plain_depth"
    if not known and not holds_several:
        raise UserError(
            f"--venue {given}: the markets file has no instrument of a venue {name!r}; "
            f"if it is called otherwise there, say --venue NAME={feed}"
        )
    if symbol and symbol not in known:
        raise UserError(f"--symbol {symbol}: the markets file has no such instrument of {name}")
    return Source(path, name, feed, symbol or None)


class Playback:
    """The updates of some captures, in the order of receive time; iterate it once.

    `start_ns` is where files without times begin. Raises UserError with file and line.
    """

    def __init__(
        self,
        played: Sequence[Source],
        markets: Markets,
        *,
        start_ns: int = DEFAULT_START_NS,
        heartbeat_ns: int = HEARTBEAT_NS,
        key_frame_ns: int = KEY_FRAME_NS,
    ) -> None:
        self.messages = 0
        self._markets = markets
        self._sources = list(played)
        self._captures = [Capture(s.path, FEEDS[s.feed]().shape, start_ns) for s in played]
        self._feeds: dict[tuple[str, str, str | None], Feed] = {}
        for s in played:
            key = (s.venue, s.feed, s.symbol)
            if key not in self._feeds:
                self._feeds[key] = Feed(
                    FEEDS[s.feed](),
                    markets,
                    s.venue,
                    symbol=s.symbol,
                    heartbeat_ns=heartbeat_ns,
                    key_frame_ns=key_frame_ns,
                )

    @property
    def done(self) -> float:
        """How much of all files was read, 0 to 1."""
        return sum(c.position for c in self._captures) / max(1, sum(c.size for c in self._captures))

    def depth(self, venue: str, symbol: str) -> Depth:
        """A feed's own book, as of the last update. Raises KeyError for one that is not played."""
        for feed in self._feeds.values():
            if (venue, symbol) in feed.counts():
                return feed.depth(venue, symbol)
        raise KeyError((venue, symbol))

    def books(self) -> list[dict[str, Any]]:
        """What happened to each book: venue, symbol, state and counts."""
        return [
            {"venue": venue, "symbol": symbol, "state": feed.state(venue, symbol), **asdict(counts)}
            for feed in self._feeds.values()
            for (venue, symbol), counts in feed.counts().items()
        ]

    def __iter__(self) -> Iterator[Update]:
        # A clock that ran back for a moment must not hold the other files up: the largest time counts.
        for _, number, place, received, message in heapq.merge(*map(self._read, range(len(self._captures)))):
            self.messages += 1
            source = self._sources[number]
            feed = self._feeds[source.venue, source.feed, source.symbol]
            try:
                yield from feed.receive(message, received) if message else feed.connected(received)
            except MessageError as fault:
                raise UserError(f"{source.path}, line {place}: {fault}") from None
        for source in self._sources:
            feed = self._feeds[source.venue, source.feed, source.symbol]
            if not feed.counts():
                raise UserError(
                    f"{source.path}: nothing in it concerns a book of {source.venue} in the markets file"
                )

    def _read(self, number: int) -> Iterator[tuple[int, int, int, int, bytes]]:
        latest = 0
        for raw in self._captures[number]:
            latest = max(latest, raw.receive_time_ns)
            yield latest, number, raw.place, raw.receive_time_ns, raw.message


def updates(
    files: Sequence[Path],
    venue: str | Sequence[str],
    markets: Markets,
    *,
    symbol: str | Sequence[str] = (),
    prefix: str = "",
    **more: Any,
) -> Iterator[tuple[str, bytes, bytes]]:
    """(topic, key, value) of every record that playing `files` publishes, without Kafka; see `Playback`."""
    venues, symbols = ([v] if isinstance(v, str) else list(v) for v in (venue, symbol))
    playback = Playback(sources(files, venues, [s for s in symbols if s], markets), markets, **more)
    keys = [group_keys(i.groups) for i in markets.instruments]
    packer = Packer(markets, recorded=True)
    for batch in _batches(playback):
        messages = packer.pack(batch)
        for i, update in enumerate(batch):
            for key in keys[update.instrument]:
                yield prefix + BOOK_TOPICS[update.channel], key, messages[i] or b""


def _batches(playback: Playback) -> Iterator[list[Update]]:
    batch: list[Update] = []
    for update in playback:
        batch.append(update)
        if len(batch) >= BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


@dataclass(slots=True)
class Played:
    """What was sent; times are receive times of the recording."""

    updates: int = 0
    first_ns: int = 0
    last_ns: int = 0
    stopped: bool = False


def publish(
    playback: Playback,
    markets: Markets,
    sink: Sink,
    *,
    speed: float | None,
    schema_id: int | None = None,
    stop: Callable[[], bool] = lambda: False,
    told: Callable[[Played], None] = lambda _: None,
) -> Played:
    """Send a playback: `speed` times as fast as it was received, None as fast as it goes.

    `schema_id` is of `streams.feeds.pack.book_schema_id`. `stop` is asked, and `told` called, with each
    batch. Raises UserError for a capture that cannot be read (what stood before the fault is delivered),
    RunError where delivery fails.
    """
    packer = Packer(markets, recorded=True, schema_id=schema_id)
    keys = [group_keys(i.groups) for i in markets.instruments]
    done, batch = Played(), list[Update]()
    begun = time.monotonic()

    def send() -> None:
        if batch:
            levels, books = columns_of(batch)
            sink.send_batch(packer.pack(batch), levels, books, keys)
            done.updates += len(batch)
            done.last_ns = batch[-1].receive_time_ns
            batch.clear()
            told(done)

    try:
        for update in playback:
            done.first_ns = done.first_ns or update.receive_time_ns
            if speed is not None:
                due = begun + (update.receive_time_ns - done.first_ns) / 1e9 / speed
                if due > time.monotonic():
                    send()
                _wait(due, stop)
            if len(batch) >= BATCH:
                send()
            if not batch and stop():
                done.stopped = True
                break
            batch.append(update)
    finally:
        send()
        sink.close()
    return done


def _wait(due: float, stop: Callable[[], bool]) -> None:
    while (early := due - time.monotonic()) > 0 and not stop():
        time.sleep(min(early, PATIENCE_S))
