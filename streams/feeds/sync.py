"""The state machine of one book's depth: buffering, synced, gap, resync."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from streams.feeds.book import Book
from streams.feeds.protocol import Delta, FeedState, Level, Venue, Verdict

MAX_BUFFERED = 20_000  # deltas kept while a snapshot is awaited; of Binance's 100 ms stream half an hour


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
    """

    venue: Venue
    state: FeedState = FeedState.RESYNC
    book: Book = field(default_factory=Book)
    last: int | None = None
    event_time_ns: int | None = None
    unfit: int = 0  # snapshots that were too old
    _fresh: bool = False  # nothing was applied since the snapshot
    _waiting: deque[Step] = field(default_factory=lambda: deque(maxlen=MAX_BUFFERED))

    def delta(self, step: Step) -> Verdict | None:
        """Take a delta; None: it is kept until there is a snapshot. BREAK: the book is lost."""
        if self.state is not FeedState.SYNCED:
            self._waiting.append(step)
            return None
        verdict = self._verdict(step)
        if verdict is Verdict.FITS:
            self._apply(step)
        elif verdict is Verdict.BREAK:
            self._lose()
            self._waiting.append(step)
        return verdict

    def snapshot(
        self, bids: Sequence[Level], asks: Sequence[Level], last: int | None, time: int | None
    ) -> bool:
        """Start from a snapshot and all kept deltas that follow it; False where it is too old.

        A synced book takes one only where it is newer than the book, or where the venue numbers nothing.
        """
        if (
            self.state is FeedState.SYNCED
            and last is not None
            and self.last is not None
            and last <= self.last
        ):
            self.unfit += 1
            return False
        before = self.state
        waiting, self._waiting = self._waiting, deque(maxlen=MAX_BUFFERED)
        self.book, self.last, self.event_time_ns = Book(bids, asks), last, time
        self.state, self._fresh = FeedState.SYNCED, True
        for number, step in enumerate(waiting):
            verdict = self._verdict(step)
            if verdict is Verdict.FITS:
                self._apply(step)
            elif verdict is Verdict.BREAK:
                self._lose()
                self.state = FeedState.GAP if before is FeedState.GAP else FeedState.RESYNC
                self._waiting.extend(list(waiting)[number:])
                self.unfit += 1
                return False
        return True

    def _verdict(self, step: Step) -> Verdict:
        rule = self.venue.starts if self._fresh else self.venue.follows
        return rule(self.last, step.delta)

    def _apply(self, step: Step) -> None:
        self.book.apply(step.bids, step.asks)
        self.last, self.event_time_ns = step.delta.last_update_id, step.delta.event_time_ns
        self._fresh = False

    def _lose(self) -> None:
        self.book, self.last, self.event_time_ns = Book(), None, None
        self.state = FeedState.GAP
