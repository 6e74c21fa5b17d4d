"""Plain quote files: CSV with timestamp, ask_amount, ask_price, bid_price, bid_amount.

A row tells neither venue nor symbol (say them with --venue and --symbol) and has one time, of the collector's
clock and rounded to the second. So that is the receive time, and there is no event time. A file says nothing
between its rows, and no heartbeat is made up: after `max_age_ms` without a row the book is stale.
"""

from __future__ import annotations

from collections.abc import Iterable

from streams.feeds.protocol import Delta, MessageError, Quote, RawMessage, Verdict

COLUMNS = ("timestamp", "ask_amount", "ask_price", "bid_price", "bid_amount")


class PlainQuotes:
    """Rows of a quote file, the time already taken off."""

    name = "plain_quotes"
    shape = "quote_rows"

    def parse(self, raw: bytes) -> Iterable[RawMessage]:
        """One quote."""
        cells = raw.decode("utf-8", "replace").split(",")
        if len(cells) != len(COLUMNS) - 1:
            raise MessageError(f"{len(cells) + 1} cells where there should be {len(COLUMNS)}")
        ask_size, ask, bid, bid_size = (cell.strip() for cell in cells)
        yield Quote(None, (bid, bid_size), (ask, ask_size))

    def starts(self, last: int | None, delta: Delta) -> Verdict:
        """There are no deltas."""
        return Verdict.BREAK

    follows = starts
