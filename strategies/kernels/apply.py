"""One checked record into its book: depth or quote, or a reason to trust the book no longer."""

from __future__ import annotations

import numpy as np
from numba import njit

from strategies.kernels.book import apply_delta, frame_agrees, load_snapshot
from strategies.kernels.channel import APPLY, BREAK, admit, break_run
from strategies.kernels.fuse import fuse, top
from strategies.kernels.layout import (
    ASKS,
    BIDS,
    CHECKSUM_WRONG,
    CLEAR,
    CROSSED,
    DELTA,
    GAP,
    HEARTBEAT,
    NONE,
    QUOTE,
    R_CHECKSUM,
    R_CONTRADICTION,
    R_CROSSED,
    R_KEY_FRAME,
    R_SEQUENCE_GAP,
    SNAPSHOT,
    STALE,
    SYNCED,
)

FINE = -1


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
def key_frame_agrees(state, b, record, items):
    """True where a key frame shows the book that we hold."""
    book = state.books[b]
    depth = state.instruments[b].depth
    return frame_agrees(
        state.keys[b, BIDS],
        state.sizes[b, BIDS],
        book.bid_count,
        book.bid_horizon,
        items,
        record.bid_start,
        record.bid_count,
        1,
        depth,
    ) and frame_agrees(
        state.keys[b, ASKS],
        state.sizes[b, ASKS],
        book.ask_count,
        book.ask_horizon,
        items,
        record.ask_start,
        record.ask_count,
        -1,
        depth,
    )


@njit(cache=True, nogil=True)
def empty_depth(state, b):
    """Forget the depth."""
    book = state.books[b]
    book.bid_count = 0
    book.ask_count = 0
    book.bid_horizon = NONE
    book.ask_horizon = NONE


@njit(cache=True, nogil=True)
def set_quote(state, b, record, items):
    """Take a quote; a side that is missing or of size 0 is empty."""
    book = state.books[b]
    book.quote_bid_key = items[record.bid_start] if record.bid_count == 1 else NONE
    book.quote_bid_size = items[record.bid_start + 1] if record.bid_count == 1 else 0
    book.quote_ask_key = -items[record.ask_start] if record.ask_count == 1 else NONE
    book.quote_ask_size = items[record.ask_start + 1] if record.ask_count == 1 else 0


@njit(cache=True, nogil=True)
def take_content(state, b, channel, record, items):
    """Apply what an admitted record says; returns a reason to distrust the book, or FINE."""
    if record.checksum == CHECKSUM_WRONG:
        break_run(channel)
        return R_CHECKSUM
    kind = record.kind
    if kind == CLEAR:
        if record.level == 1:
            empty_depth(state, b)
        channel.state = record.state if record.state != SYNCED else GAP
        channel.update_id = NONE
        return FINE
    known = channel.state == SYNCED or channel.state == STALE  # stale: silent, but nothing was missed
    older = (
        known
        and channel.update_id != NONE
        and record.update_id != NONE
        and record.update_id < channel.update_id
    )
    if kind == DELTA:
        if not known:
            return FINE
        if older:
            break_run(channel)
            return R_CONTRADICTION
        depth_delta(state, b, record, items)
        channel.state = record.state
    elif kind == SNAPSHOT:
        if record.key_frame == 1 and known and record.state == SYNCED:
            if not key_frame_agrees(state, b, record, items):
                state.books[b].frame_differs += 1
                break_run(channel)
                return R_KEY_FRAME
        depth_snapshot(state, b, record, items)
        channel.state = record.state
    elif kind == QUOTE:
        if older:
            break_run(channel)
            return R_CONTRADICTION
        set_quote(state, b, record, items)
        channel.state = record.state
    if record.update_id != NONE:
        channel.update_id = record.update_id
    channel.event_time = record.event_time
    return FINE


@njit(cache=True, nogil=True)
def net_tops(state, b):
    """Keep the best prices after fees, for the quick look at every update."""
    bid, bid_size = top(state.books, state.keys, state.sizes, b, BIDS)
    ask, ask_size = top(state.books, state.keys, state.sizes, b, ASKS)
    fee = state.instruments[b].fee
    state.tops[b, BIDS] = bid * (1.0 - fee) if bid_size > 0 else -np.inf
    state.tops[b, ASKS] = -ask * (1.0 + fee) if ask_size > 0 else np.inf


@njit(cache=True, nogil=True)
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
    verdict = admit(channel, record.session, record.sequence, full, now, state.instruments[b].max_age)
    reason = FINE
    if verdict == BREAK:
        if channel.state == SYNCED:
            reason = R_SEQUENCE_GAP
        break_run(channel)
    elif verdict == APPLY:
        channel.alive_time = max(channel.alive_time, min(record.receive_time, now))
        if record.kind == HEARTBEAT:
            known = channel.state == SYNCED or channel.state == STALE
            if not known or channel.state == record.state:
                return 0, FINE
            channel.state = record.state
        else:
            reason = take_content(state, b, channel, record, items)
            channel.receive_time = min(record.receive_time, now)
            channel.offset = record.offset
            channel.applied += 1
            state.books[b].recorded = record.recorded
    else:
        return 0, FINE
    fuse(state.channels, state.books, state.instruments, state.keys, state.sizes, b)
    net_tops(state, b)
    if reason == FINE and state.books[b].state == CROSSED and was != CROSSED:
        reason = R_CROSSED
    return 1, reason
