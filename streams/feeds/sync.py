"""The state machine of one book's depth: buffering, synced, gap, resync."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from streams.feeds.book import Book
from streams.feeds.protocol import (
    Checking,
    Checksum,
    Delta,
    FeedState,
    Level,
    RawLevel,
    Rung,
    Snapshot,
    Venue,
    Verdict,
)

MAX_BUFFERED = 20_000  # deltas kept while a snapshot is awaited; of Binance's 100 ms stream half an hour
SPARE_TEXTS = 1_000  # levels that are gone and whose texts are still kept


@dataclass(frozen=True, slots=True)
class Step:
    """A delta and its levels as integers."""

    delta: Delta
    bids: Sequence[Level]
    asks: Sequence[Level]


@dataclass(slots=True)
class Depth:
    """One book of a sequenced venue.

    Before a snapshot, and after a gap, deltas are buffered; a snapshot that the buffered ones do not reach
    back to is too old and changes nothing. `last` is the venue's id of the last update in the book.
    `cut` is the depth at which the venue itself cuts its book, `checked` what the checksum of the last
    message said.
    """

    venue: Venue
    state: FeedState = FeedState.RESYNC
    book: Book = field(default_factory=Book)
    last: int | None = None
    event_time_ns: int | None = None
    cut: int | None = None
    checked: Checksum = Checksum.ABSENT
    unfit: int = 0  # snapshots that were too old
    _fresh: bool = False  # nothing was applied since the snapshot
    _texts: tuple[dict[int, RawLevel], dict[int, RawLevel]] = field(default_factory=lambda: ({}, {}))
    _waiting: deque[Step] = field(default_factory=lambda: deque(maxlen=MAX_BUFFERED))

    def delta(self, step: Step) -> Verdict | None:
        """Take a delta; None: it is kept until there is a snapshot. BREAK: the book is lost."""
        self.checked = Checksum.ABSENT
        if self.state is not FeedState.SYNCED:
            self._waiting.append(step)
            return None
        verdict = self._verdict(step)
        if verdict is Verdict.FITS:
            self._apply(step)
            if self.checked is Checksum.WRONG:
                self.lose()
                return Verdict.BREAK
        elif verdict is Verdict.BREAK:
            self.lose()
            self._waiting.append(step)
        return verdict

    def snapshot(self, whole: Snapshot, bids: Sequence[Level], asks: Sequence[Level]) -> bool:
        """Start from a snapshot and all kept deltas that follow it; False where it is too old or wrong.

        A synced book takes one only where it is newer than the book, where the venue numbers nothing, or
        where its numbers begin anew.
        """
        self.checked = Checksum.ABSENT
        last = whole.last_update_id
        known = self.state is FeedState.SYNCED and last is not None and self.last is not None
        if known and not whole.restarts and (last or 0) <= (self.last or 0):
            self.unfit += 1
            return False
        before = self.state
        waiting, self._waiting = self._waiting, deque(maxlen=MAX_BUFFERED)
        if last is None or whole.restarts:
            # It came in the stream, after all that is kept: nothing of that follows it.
            waiting.clear()
        self._start(whole, bids, asks)
        for number, step in enumerate(waiting):
            if self.checked is Checksum.WRONG:
                break
            verdict = self._verdict(step)
            if verdict is Verdict.FITS:
                self._apply(step)
            elif verdict is Verdict.BREAK:
                self.lose()
                self.state = FeedState.GAP if before is FeedState.GAP else FeedState.RESYNC
                self._waiting.extend(list(waiting)[number:])
                self.unfit += 1
                return False
        if self.checked is Checksum.WRONG:
            self.lose()
            return False
        return True

    def lose(self) -> None:
        """Something is missing: the book is not known until the next snapshot."""
        self.book, self.last, self.event_time_ns = Book(), None, None
        self.state = FeedState.GAP

    def _start(self, whole: Snapshot, bids: Sequence[Level], asks: Sequence[Level]) -> None:
        self.book, self.last, self.event_time_ns = Book(bids, asks), whole.last_update_id, whole.event_time_ns
        # After a snapshot in the stream itself comes just the next update; an older one means a lost restart.
        self.state, self._fresh = FeedState.SYNCED, not whole.restarts
        self._texts = ({}, {})
        self._settle(whole, bids, asks)

    def _apply(self, step: Step) -> None:
        self.book.apply(step.bids, step.asks)
        self.last, self.event_time_ns = step.delta.last_update_id, step.delta.event_time_ns
        self._fresh = False
        self._settle(step.delta, step.bids, step.asks)

    def _settle(self, message: Snapshot | Delta, bids: Sequence[Level], asks: Sequence[Level]) -> None:
        """Cut the book as the venue does, and compare checksums where it gives one."""
        if self.cut is not None:
            self.book.cut(self.cut)
        if not isinstance(self.venue, Checking):
            return
        for texts, raw, levels, kept in zip(
            self._texts,
            (message.bids, message.asks),
            (bids, asks),
            (self.book.bids, self.book.asks),
            strict=True,
        ):
            texts.update((level[0], text) for level, text in zip(levels, raw, strict=True))
            if len(texts) > 2 * len(kept) + SPARE_TEXTS:
                for price in texts.keys() - kept.keys():
                    del texts[price]
        if message.checksum is None:
            self.checked = Checksum.ABSENT
            return
        best = self.book.best(self.venue.checksum_depth)
        own = self.venue.checksum(*map(_rungs, best, self._texts))
        self.checked = Checksum.RIGHT if own == message.checksum else Checksum.WRONG

    def _verdict(self, step: Step) -> Verdict:
        rule = self.venue.starts if self._fresh else self.venue.follows
        return rule(self.last, step.delta)


def _rungs(levels: Sequence[Level], texts: dict[int, RawLevel]) -> list[Rung]:
    return [Rung(str(texts[p][0]), str(texts[p][1]), p, s) for p, s in levels]
