"""How good the join of quote and depth is: how often the two agree, and which is ahead.

A depth update shows the book at a moment that the venue names, by an update id or by an event time; the
last quote up to that moment must show the same top. It is the last one for certain only when a later quote
has come, so a depth update waits for that; what waits behind more than RECENT others is not judged.
"""

from __future__ import annotations

from strategies.kernels.jit import inner
from strategies.kernels.layout import ASKS, BIDS, L1, L2, NONE, RECENT, SYNCED


@inner
def mark_of(state, b, level):
    """The venue's moment of a channel: update id where the levels share them, else event time, or NONE."""
    channel = state.channels[b, level]
    return channel.update_id if state.instruments[b].shared_ids != 0 else channel.event_time


@inner
def same_top(quote, depth):
    """True where both sides have the same price and size, or are empty in both."""
    bids = quote.bid_size == depth.bid_size and (quote.bid_size == 0 or quote.bid_key == depth.bid_key)
    asks = quote.ask_size == depth.ask_size and (quote.ask_size == 0 or quote.ask_key == depth.ask_key)
    return bids and asks


@inner
def judge(state, b, top):
    """Compare a depth update with the last quote up to its moment, if the ring still has it.

    Event times are coarse: there the quote must be of the very same one.
    """
    join = state.joins[b]
    at = join.quotes - 1
    oldest = max(0, join.quotes - RECENT)
    while at >= oldest and state.recent[b, at % RECENT].mark > top.mark:
        at -= 1
    if at < oldest:
        return
    quote = state.recent[b, at % RECENT]
    if state.instruments[b].shared_ids == 0 and quote.mark != top.mark:
        return
    if same_top(quote, top):
        state.books[b].agreed += 1
    else:
        state.books[b].disagreed += 1


@inner
def judge_waiting(state, b):
    """Judge all depth updates up to which every quote has come."""
    join = state.joins[b]
    if join.quotes == 0:
        return
    latest = state.recent[b, (join.quotes - 1) % RECENT].mark
    join.judged = max(join.judged, join.depths - RECENT)
    while join.judged < join.depths and state.awaiting[b, join.judged % RECENT].mark < latest:
        judge(state, b, state.awaiting[b, join.judged % RECENT])
        join.judged += 1


@inner
def note_quote(state, b):
    """A quote was taken: keep it, and judge the depth updates that waited for it."""
    join = state.joins[b]
    mark = mark_of(state, b, L1)
    if mark == NONE:
        return
    if join.quotes > 0 and mark < state.recent[b, (join.quotes - 1) % RECENT].mark:
        forget(state, b)
    book = state.books[b]
    quote = state.recent[b, join.quotes % RECENT]
    quote.mark = mark
    quote.bid_key = book.quote_bid_key
    quote.bid_size = book.quote_bid_size
    quote.ask_key = book.quote_ask_key
    quote.ask_size = book.quote_ask_size
    join.quotes += 1
    judge_waiting(state, b)


@inner
def note_depth(state, b):
    """A depth update was taken: judge it if a later quote is known, else let it wait."""
    join = state.joins[b]
    mark = mark_of(state, b, L2)
    if mark == NONE:
        return
    if join.depths > 0 and mark < state.awaiting[b, (join.depths - 1) % RECENT].mark:
        join.judged = join.depths
    book = state.books[b]
    top = state.awaiting[b, join.depths % RECENT]
    top.mark = mark
    top.bid_key = top.bid_size = top.ask_key = top.ask_size = 0
    if book.bid_count > 0:
        top.bid_key = state.keys[b, BIDS, book.bid_count - 1]
        top.bid_size = state.sizes[b, BIDS, book.bid_count - 1]
    if book.ask_count > 0:
        top.ask_key = state.keys[b, ASKS, book.ask_count - 1]
        top.ask_size = state.sizes[b, ASKS, book.ask_count - 1]
    join.depths += 1
    judge_waiting(state, b)


@inner
def forget(state, b):
    """What was kept belongs to another run of the venue's ids."""
    state.joins[b].quotes = 0
    state.joins[b].judged = state.joins[b].depths


@inner
def count_leader(state, b):
    """Count which of two synced levels is the newer, once for each update."""
    if state.channels[b, L1].state == SYNCED and state.channels[b, L2].state == SYNCED:
        if state.books[b].overlay == 1:
            state.books[b].quote_led += 1
        else:
            state.books[b].depth_led += 1
