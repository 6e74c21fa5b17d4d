"""The join of quote and depth: of each level of the book, what is newer.

Quote and depth of a book come on two topics and out of step. While the quote is the newer one it rules
the top: depth levels at or better than its price are gone or replaced, deeper ones stand. Level 0 of the
fused side then comes from l1, all others from l2. Nothing is copied: the fused side is the depth less
`skip` levels, with the quote before it.
"""

from __future__ import annotations

from strategies.kernels.jit import inner, kernel
from strategies.kernels.layout import ASKS, BIDS, CROSSED, L1, L2, NONE, SYNCED


@inner
def quote_is_newer(quote, depth, shared_ids):
    """True where the quote shows a later state than the depth.

    Update ids decide where the venue gives both the same (Binance's `u`), otherwise event times; where
    one of them is missing, receive times. At a tie the depth says more, so it rules.
    """
    if shared_ids != 0 and quote.update_id != NONE and depth.update_id != NONE:
        return quote.update_id > depth.update_id
    if quote.event_time != NONE and depth.event_time != NONE:
        return quote.event_time > depth.event_time
    return quote.receive_time > depth.receive_time


@inner
def proven_gone(keys, count, quote_key):
    """How many of the best levels lie at or beyond the quote's price."""
    at = count
    while at > 0 and keys[at - 1] >= quote_key:
        at -= 1
    return count - at


@kernel
def top(books, keys, sizes, b, side):
    """(key, size) of the best fused level of one side; size 0 where the side is empty."""
    book = books[b]
    if book.overlay == 1:
        if side == BIDS:
            return book.quote_bid_key, book.quote_bid_size
        return book.quote_ask_key, book.quote_ask_size
    count = book.bid_count if side == BIDS else book.ask_count
    if count == 0:
        return NONE, 0
    return keys[b, side, count - 1], sizes[b, side, count - 1]


@inner
def fuse(channels, books, instruments, keys, sizes, b):
    """Bring the fused book up to date after a change of either level, and set its state."""
    book = books[b]
    quote = channels[b, L1]
    depth = channels[b, L2]
    has_l2 = instruments[b].has_l2 == 1
    ruling = depth if has_l2 else quote
    quote_known = instruments[b].has_l1 == 1 and quote.state == SYNCED
    overlay = quote_known and (not has_l2 or quote_is_newer(quote, depth, instruments[b].shared_ids))
    book.overlay = 1 if overlay else 0
    book.bid_skip = proven_gone(keys[b, BIDS], book.bid_count, book.quote_bid_key) if overlay else 0
    book.ask_skip = proven_gone(keys[b, ASKS], book.ask_count, book.quote_ask_key) if overlay else 0
    book.state = ruling.state
    if ruling.state == SYNCED:
        bid, bid_size = top(books, keys, sizes, b, BIDS)
        ask, ask_size = top(books, keys, sizes, b, ASKS)
        if bid_size > 0 and ask_size > 0 and bid >= -ask:
            book.state = CROSSED
