"""One checked record into its book: depth or quote, or a reason to trust the book no longer."""

from __future__ import annotations

import numpy as np

from strategies.kernels.book import apply_delta, frame_agrees, load_snapshot
from strategies.kernels.channel import APPLY, IGNORE, REPEATED, admit, break_run, digest_of, is_known
from strategies.kernels.fuse import fuse, top
from strategies.kernels.jit import inner
from strategies.kernels.join import count_leader, forget, note_depth, note_quote
from strategies.kernels.layout import (
    ASKS,
    BIDS,
    CHECKSUM_WRONG,
    CLEAR,
    CROSSED,
    DELTA,
    GAP,
    HEARTBEAT,
    L2,
    NONE,
    QUOTE,
    R_CHECKSUM,
    R_CONTRADICTION,
    R_CROSSED,
    R_DEPTH_LIMIT,
    R_KEY_FRAME,
    R_SEQUENCE_GAP,
    R_SEQUENCE_REPEATED,
    SNAPSHOT,
    SYNCED,
)

FINE = -1


@inner
def depth_delta(state, b, record, items):
    """Apply a delta to both sides."""
    book = state.books[b]
    own = state.instruments[b]
    book.bid_count, book.bid_horizon = apply_delta(
        state.keys[b, BIDS],
        state.sizes[b, BIDS],
        book.bid_count,
        book.bid_horizon,
        items,
        record.bid_start,
        record.bid_count,
        1,
        own.depth,
        own.capacity,
        own.venue_cuts,
    )
    book.ask_count, book.ask_horizon = apply_delta(
        state.keys[b, ASKS],
        state.sizes[b, ASKS],
        book.ask_count,
        book.ask_horizon,
        items,
        record.ask_start,
        record.ask_count,
        -1,
        own.depth,
        own.capacity,
        own.venue_cuts,
    )


@inner
def depth_snapshot(state, b, record, items):
    """Replace both sides."""
    book = state.books[b]
    own = state.instruments[b]
    book.bid_count, book.bid_horizon = load_snapshot(
        state.keys[b, BIDS],
        state.sizes[b, BIDS],
        items,
        record.bid_start,
        record.bid_count,
        1,
        own.depth,
        own.capacity,
        own.venue_cuts,
    )
    book.ask_count, book.ask_horizon = load_snapshot(
        state.keys[b, ASKS],
        state.sizes[b, ASKS],
        items,
        record.ask_start,
        record.ask_count,
        -1,
        own.depth,
        own.capacity,
        own.venue_cuts,
    )


@inner
def key_frame_agrees(state, b, record, items):
    """True where a key frame shows the book that we hold."""
    book = state.books[b]
    own = state.instruments[b]
    return frame_agrees(
        state.keys[b, BIDS],
        state.sizes[b, BIDS],
        book.bid_count,
        book.bid_horizon,
        items,
        record.bid_start,
        record.bid_count,
        1,
        own.depth,
        own.venue_cuts,
    ) and frame_agrees(
        state.keys[b, ASKS],
        state.sizes[b, ASKS],
        book.ask_count,
        book.ask_horizon,
        items,
        record.ask_start,
        record.ask_count,
        -1,
        own.depth,
        own.venue_cuts,
    )


@inner
def empty_depth(state, b):
    """Forget the depth."""
    book = state.books[b]
    book.bid_count = 0
    book.ask_count = 0
    book.bid_horizon = NONE
    book.ask_horizon = NONE


@inner
def set_quote(state, b, record, items):
    """Take a quote; a side that is missing or of size 0 is empty."""
    book = state.books[b]
    book.quote_bid_key = items[record.bid_start] if record.bid_count == 1 else NONE
    book.quote_bid_size = items[record.bid_start + 1] if record.bid_count == 1 else 0
    book.quote_ask_key = -items[record.ask_start] if record.ask_count == 1 else NONE
    book.quote_ask_size = items[record.ask_start + 1] if record.ask_count == 1 else 0


@inner
def is_cut(book):
    """True where our own limit has cut levels off."""
    return book.bid_horizon != NONE or book.ask_horizon != NONE


@inner
def depth_crosses(state, b):
    """True where the depth's best bid is at or above its best ask."""
    book = state.books[b]
    if book.bid_count == 0 or book.ask_count == 0:
        return False
    return state.keys[b, BIDS, book.bid_count - 1] >= -state.keys[b, ASKS, book.ask_count - 1]


@inner
def take_clear(state, b, channel, record):
    """The book is unknown from here on."""
    if record.level == L2:
        empty_depth(state, b)
    forget(state, b)
    channel.state = record.state if record.state != SYNCED else GAP
    channel.update_id = NONE


@inner
def take_depth(state, b, channel, record, items, known):
    """A snapshot or a delta of a known book; returns a reason to distrust it, R_DEPTH_LIMIT, or FINE.

    Depth that crosses itself waits for a snapshot, like one with a gap: something in it is wrong.
    """
    cut_before = is_cut(state.books[b])
    compared = False
    if record.kind == DELTA:
        depth_delta(state, b, record, items)
    else:
        compared = record.key_frame == 1 and known and record.state == SYNCED
        if compared and not key_frame_agrees(state, b, record, items):
            state.books[b].frame_differs += 1
            break_run(channel)
            return R_KEY_FRAME
        depth_snapshot(state, b, record, items)
    channel.state = record.state
    channel.update_id = record.update_id
    channel.event_time = record.event_time
    if record.state == SYNCED:
        if depth_crosses(state, b):
            channel.state = CROSSED
            return R_CROSSED
        if not compared:
            note_depth(state, b)
    most = max(record.bid_count, record.ask_count)
    hit = is_cut(state.books[b]) if record.kind == DELTA else most > state.instruments[b].depth
    return R_DEPTH_LIMIT if hit and not cut_before else FINE


@inner
def take_content(state, b, channel, record, items):
    """Apply what an admitted record says; returns a reason to distrust the book, R_DEPTH_LIMIT, or FINE."""
    if record.checksum == CHECKSUM_WRONG:
        break_run(channel)
        return R_CHECKSUM
    if record.kind == CLEAR:
        take_clear(state, b, channel, record)
        return FINE
    known = is_known(channel)
    if record.kind == DELTA and not known:
        return FINE
    ids = channel.update_id != NONE and record.update_id != NONE
    if record.kind != SNAPSHOT and known and ids and record.update_id < channel.update_id:
        break_run(channel)
        return R_CONTRADICTION
    if record.kind != QUOTE:
        return take_depth(state, b, channel, record, items, known)
    set_quote(state, b, record, items)
    channel.state = record.state
    channel.update_id = record.update_id
    channel.event_time = record.event_time
    if record.state == SYNCED:
        note_quote(state, b)
    return FINE


@inner
def net_tops(state, b):
    """Keep the best prices after fees, for the quick look at every update."""
    bid, bid_size = top(state.books, state.keys, state.sizes, b, BIDS)
    ask, ask_size = top(state.books, state.keys, state.sizes, b, ASKS)
    fee = state.instruments[b].fee
    state.tops[b, BIDS] = bid * (1.0 - fee) if bid_size > 0 else -np.inf
    state.tops[b, ASKS] = -ask * (1.0 + fee) if ask_size > 0 else np.inf


@inner
def apply(state, record, items):
    """Apply one record to its book; returns (1 if the book may have changed, reason or FINE).

    A record that contradicts its book makes that book untrusted and no other. The time of a record that
    lies ahead of stream time counts as stream time.
    """
    b = record.book
    now = state.clock[0].time
    channel = state.channels[b, record.level]
    full = 1 if record.kind == SNAPSHOT or record.kind == QUOTE or record.kind == CLEAR else 0
    was = state.books[b].state
    digest = digest_of(record, items)
    verdict = admit(channel, record, digest, full, now, state.instruments[b].max_age)
    if verdict == IGNORE:
        return 0, FINE
    reason = FINE
    if verdict == APPLY:
        channel.alive_time = max(channel.alive_time, min(record.receive_time, now))
        if record.kind == HEARTBEAT:
            if not is_known(channel) or channel.state == record.state:
                return 0, FINE
            channel.state = record.state
        else:
            reason = take_content(state, b, channel, record, items)
            channel.receive_time = min(record.receive_time, now)
            channel.offset = record.offset
            channel.applied += 1
            state.books[b].recorded = record.recorded
    else:
        if is_known(channel):
            reason = R_SEQUENCE_REPEATED if verdict == REPEATED else R_SEQUENCE_GAP
        break_run(channel)
    fuse(state.channels, state.books, state.instruments, state.keys, state.sizes, b)
    net_tops(state, b)
    count_leader(state, b)
    if reason == FINE and state.books[b].state == CROSSED and was != CROSSED:
        reason = R_CROSSED
    return 1, reason
