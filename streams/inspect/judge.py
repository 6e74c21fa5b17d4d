"""Counts over a stream of book updates, and what is wrong with it, each fault with its place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from streams.feeds.book import Book
from streams.feeds.protocol import Channel, Checksum, FeedState, Update, UpdateKind
from streams.inspect.tops import Agreement, Compared, Top, Tops, quote_top

SHOWN = 20  # places told of one kind of fault; the rest are counted


class BookKey(NamedTuple):
    """A book; `group` only where records of a topic are judged, which come once for each group."""

    venue: str
    symbol: str
    group: str = ""

    def __str__(self) -> str:
        return f"{self.venue} {self.symbol}" + (f" ({self.group})" if self.group else "")


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault, or (`wrong` False) what should be known; `place` is file:line or topic/partition/offset."""

    kind: str
    place: str
    what: str
    wrong: bool

    def __str__(self) -> str:
        return f"{self.place}: {self.what}" if self.place else self.what


@dataclass(slots=True)
class Delays:
    """Receive time minus event time of one venue's updates, ns."""

    least: int = 0
    most: int = 0
    total: int = 0
    count: int = 0
    negative: int = 0
    first_negative: str = ""

    def take(self, delay: int, place: str) -> None:
        """One more update."""
        self.least = min(self.least, delay) if self.count else delay
        self.most = max(self.most, delay) if self.count else delay
        self.total += delay
        self.count += 1
        if delay < 0:
            self.negative += 1
            self.first_negative = self.first_negative or place


@dataclass(slots=True)
class Silence:
    """The longest time in which nothing was heard of a venue."""

    latest_ns: int = 0
    longest_ns: int = 0
    place: str = ""


@dataclass(slots=True)
class BookSeen:
    """What is known of one book: `exponents` of price and size, the state and top of each channel."""

    key: BookKey
    exponents: tuple[int, int]
    agreement: Agreement | None
    states: dict[Channel, FeedState] = field(default_factory=dict)
    shown: dict[Channel, Top] = field(default_factory=dict)
    crossed: dict[Channel, bool] = field(default_factory=dict)
    tops: Tops = field(default_factory=Tops)

    @property
    def state(self) -> FeedState:
        """The depth's state, the quotes' where there is no depth."""
        return self.states[max(self.states)] if self.states else FeedState.RESYNC

    @property
    def top(self) -> Top:
        """The last top of the depth, else of the quotes; of a book that is not synced, none."""
        for channel in (Channel.L2, Channel.L1):
            if channel in self.states:
                known = self.states[channel] is FeedState.SYNCED
                return self.shown.get(channel, (None, None)) if known else (None, None)
        return None, None


@dataclass(slots=True)
class Checksums:
    """Updates of depth by what the venue's checksum says of them."""

    right: int = 0
    wrong: int = 0
    absent: int = 0


class Judge:
    """Takes updates in their order and says what it saw; see `streams.inspect.report` for the words."""

    def __init__(self) -> None:
        self.messages = self.updates = self.gaps = self.repeats = 0
        self.checksums = Checksums()
        self.crossed = self.one_sided = self.agreed = self.disagreed = 0
        self.books: dict[BookKey, BookSeen] = {}
        self.delays: dict[str, Delays] = {}
        self.silences: dict[str, Silence] = {}
        self._found: dict[str, list[Finding]] = {}
        self._more: dict[str, int] = {}
        self._gap_place = ""

    # --- what came of it --------------------------------------------------------------------------------

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not any(finding.wrong for findings in self._found.values() for finding in findings)

    @property
    def clock_offset_ns(self) -> int | None:
        """The least delay of any venue: below 0 the collector's clock is behind; None without event times."""
        return min((d.least for d in self.delays.values() if d.count), default=None)

    @property
    def longest_silence_ns(self) -> int:
        """The longest time in which one of the venues was not heard of."""
        return max((s.longest_ns for s in self.silences.values()), default=0)

    def findings(self, *, wrong: bool) -> Iterator[Finding]:
        """All faults, or all notes: the first ones of each kind, then how many more there are."""
        for kind, findings in self._found.items():
            if findings[0].wrong is not wrong:
                continue
            yield from findings
            if more := self._more.get(kind):
                yield Finding(kind, "", f"and {more:,} more of this kind: {kind}", wrong)

    def find(self, kind: str, place: str, what: str, *, wrong: bool = True) -> None:
        """Something is wrong, or worth knowing, at `place`."""
        findings = self._found.setdefault(kind, [])
        if len(findings) < SHOWN:
            findings.append(Finding(kind, place, what, wrong))
        else:
            self._more[kind] = self._more.get(kind, 0) + 1

    # --- what comes in ----------------------------------------------------------------------------------

    def heard(self, venue: str, now: int, place: str) -> None:
        """Anything at all came from `venue`."""
        silence = self.silences.setdefault(venue, Silence(now))
        if now - silence.latest_ns > silence.longest_ns:
            silence.longest_ns, silence.place = now - silence.latest_ns, place
        silence.latest_ns = max(silence.latest_ns, now)

    def book(self, key: BookKey, exponents: tuple[int, int], *, shared_ids: bool) -> BookSeen:
        """The book `key`, new where it was not known. `shared_ids`: quotes and diffs have the same ids."""
        if key not in self.books:
            agreement = Agreement(lambda c: self._compared(self.books[key], c)) if shared_ids else None
            self.books[key] = BookSeen(key, exponents, agreement)
        return self.books[key]

    def repeat(self, key: BookKey | str, place: str) -> None:
        """A message that says nothing new, and is ignored."""
        self.repeats += 1
        self.find("repeat", place, f"{key}: a repeat, ignored", wrong=False)

    def gap(self, seen: BookSeen, channel: Channel, place: str, what: str) -> None:
        """Something before `place` is missing. What one message breaks is one gap, of however many books."""
        seen.states[channel] = FeedState.GAP
        self._forget(seen, channel)
        if place != self._gap_place:
            self.gaps += 1
            self._gap_place = place
            self.find("gap", place, f"{seen.key}: {what}")

    def take(self, seen: BookSeen, update: Update, place: str, book: Book | None, why: str = "") -> None:
        """One update. `book` is the depth after it, None where it is not known; `why` it breaks, if known.

        Key frames and heartbeats only say the state.
        """
        channel = update.channel
        if channel is Channel.L1 or book is not None or update.state is not FeedState.SYNCED:
            seen.states[channel] = update.state
        else:
            seen.states.setdefault(channel, FeedState.RESYNC)
        if update.kind is UpdateKind.HEARTBEAT or update.key_frame:
            if book is not None and update.kind is UpdateKind.SNAPSHOT:
                seen.shown[channel] = seen.tops.follow(book, update)
            elif update.kind is UpdateKind.QUOTE:
                seen.shown[channel] = quote_top(update)
            return
        self.updates += 1
        if update.event_time_ns is not None:
            delays = self.delays.setdefault(seen.key.venue, Delays())
            delays.take(update.receive_time_ns - update.event_time_ns, place)
        if channel is Channel.L2:
            self._checksum(seen, update, place)
        if update.kind is UpdateKind.CLEAR:
            self._clear(seen, update, place, why)
        elif update.kind is UpdateKind.QUOTE:
            top = quote_top(update)
            self._sides(seen, channel, top, place)
            if seen.agreement is not None and update.last_update_id is not None:
                seen.agreement.quote(update.last_update_id, top)
        elif book is not None:
            top = seen.tops.follow(book, update)
            self._sides(seen, channel, top, place)
            if update.kind is UpdateKind.DELTA and seen.agreement and update.last_update_id is not None:
                seen.agreement.depth(update.last_update_id, top, place)

    def finish(self) -> None:
        """Nothing more comes."""
        for seen in self.books.values():
            if seen.agreement is not None:
                seen.agreement.finish()
        for venue, delays in self.delays.items():
            if delays.negative:
                self.find(
                    "clock",
                    delays.first_negative,
                    f"{venue}: {delays.negative:,} of {delays.count:,} updates were received before they "
                    f"happened: the collector's clock is behind the venue's by "
                    f"{-delays.least / 1e9:.6f} s, or more",
                    wrong=False,
                )

    # --- within -----------------------------------------------------------------------------------------

    def _checksum(self, seen: BookSeen, update: Update, place: str) -> None:
        if update.checksum is Checksum.RIGHT:
            self.checksums.right += 1
        elif update.checksum is Checksum.WRONG:
            self.checksums.wrong += 1
            self.find("checksum", place, f"{seen.key}: the checksum does not fit the book; it is lost")
        elif update.kind in (UpdateKind.SNAPSHOT, UpdateKind.DELTA):
            self.checksums.absent += 1

    def _clear(self, seen: BookSeen, update: Update, place: str, why: str) -> None:
        if update.state is FeedState.GAP and update.checksum is not Checksum.WRONG:
            self.gap(seen, update.channel, place, f"a gap before this: {why or 'a number is missing'}")
        else:
            self._forget(seen, update.channel)

    def _forget(self, seen: BookSeen, channel: Channel) -> None:
        seen.shown.pop(channel, None)
        seen.crossed.pop(channel, None)
        if channel is Channel.L2:
            seen.tops.forget()
        if seen.agreement is not None:
            seen.agreement.forget()

    def _sides(self, seen: BookSeen, channel: Channel, top: Top, place: str) -> None:
        seen.shown[channel] = top
        bid, ask = top
        crossed = bid is not None and ask is not None and bid[0] >= ask[0]
        if crossed:
            self.crossed += 1
            if not seen.crossed.get(channel):
                what = "depth" if channel is Channel.L2 else "quote"
                self.find("crossed", place, f"{seen.key}: the {what} is crossed from here on")
        seen.crossed[channel] = crossed
        if (bid is None) is not (ask is None):
            self.one_sided += 1
            side = "bids" if bid is None else "asks"
            self.find("one-sided", place, f"{seen.key}: there are no {side}", wrong=False)

    def _compared(self, seen: BookSeen, compared: Compared) -> None:
        if compared.built == compared.quoted:
            self.agreed += 1
            return
        self.disagreed += 1
        self.find(
            "agreement",
            compared.place,
            f"{seen.key}: the built top {compared.built} is not the venue's own quote {compared.quoted} "
            "(price, size in units of the book)",
        )
