"""The best bid and ask of a book that changes, and whether the venue's own quotes say the same."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from streams.feeds.book import Book
from streams.feeds.protocol import Level, Update, UpdateKind

Top: TypeAlias = tuple[Level | None, Level | None]

# Quotes and diffs of one book that wait for one another: of Binance's busiest book 100 s.
KEPT = 20_000


def quote_top(update: Update) -> Top:
    """Best bid and ask of a quote, None where a side is empty."""
    return (update.bids[0] if update.bids else None, update.asks[0] if update.asks else None)


class Tops:
    """Follows the top of one book; looks through all its levels only where the best one went."""

    def __init__(self) -> None:
        self._bid, self._ask = 0, 0  # 0: a side is empty, or not known yet
        self._known = False

    def follow(self, book: Book, update: Update) -> Top:
        """The top of `book`, to which `update` was just applied."""
        if not self._known or update.kind is not UpdateKind.DELTA:
            self._bid, self._ask = max(book.bids, default=0), min(book.asks, default=0)
            self._known = True
        else:
            for price, size in update.bids:
                if size and price > self._bid and price in book.bids:
                    self._bid = price
            for price, size in update.asks:
                if size and (price < self._ask or not self._ask) and price in book.asks:
                    self._ask = price
            if self._bid not in book.bids:
                self._bid = max(book.bids, default=0)
            if self._ask not in book.asks:
                self._ask = min(book.asks, default=0)
        bid, ask = self._bid, self._ask
        return ((bid, book.bids[bid]) if bid else None, (ask, book.asks[ask]) if ask else None)

    def forget(self) -> None:
        """The book is another one from here on."""
        self._known = False


class Compared(NamedTuple):
    """One comparison: where the diff stands, the built top, and what the last quote up to it said."""

    place: str
    built: Top
    quoted: Top


class Agreement:
    """After each diff, the last quote with an id up to the diff's must show the top of the built book.

    A quote may come after the diff that covers it: a diff waits until a later id was quoted. What is not
    preceded by a quote is not compared. `told` is called with each comparison.
    """

    def __init__(self, told: Callable[[Compared], None]) -> None:
        self._told = told
        self._quotes: deque[tuple[int, Top]] = deque(maxlen=KEPT)
        self._waiting: deque[tuple[int, Top, str]] = deque()

    def quote(self, update_id: int, top: Top) -> None:
        """A quote of the venue; ids rise."""
        self._quotes.append((update_id, top))
        self._settle(update_id)

    def depth(self, update_id: int, top: Top, place: str) -> None:
        """The top of the book after a diff whose last id is `update_id`."""
        self._waiting.append((update_id, top, place))
        if self._quotes:
            self._settle(self._quotes[-1][0])
        if len(self._waiting) > KEPT:
            self._compare()

    def finish(self) -> None:
        """No more quotes come."""
        while self._waiting:
            self._compare()

    def forget(self) -> None:
        """Ids may begin anew: compare what waits, and keep nothing."""
        self.finish()
        self._quotes.clear()

    def _settle(self, latest: int) -> None:
        while self._waiting and self._waiting[0][0] < latest:
            self._compare()

    def _compare(self) -> None:
        update_id, built, place = self._waiting.popleft()
        while len(self._quotes) > 1 and self._quotes[1][0] <= update_id:
            self._quotes.popleft()
        if self._quotes and self._quotes[0][0] <= update_id:
            self._told(Compared(place, built, self._quotes[0][1]))
