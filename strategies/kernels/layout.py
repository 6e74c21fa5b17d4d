"""The arrays of one partition's state, by name. Every scalar is int64 or float64.

A book is one instrument's book; its index b is the same in all arrays.

A side is 0 (bids) or 1 (asks). Depth is kept per (book, side) in `keys` and `sizes`, int64 of shape
(n_books, 2, depth): sorted ascending by key, the best level *last* (index count - 1), where
key = price for bids and key = -price for asks, so that one code serves both sides and an insertion
near the best moves few levels. Prices and sizes are integers in the product's exponents.
"""

from __future__ import annotations

import numpy as np

BIDS, ASKS = 0, 1
L1, L2 = 0, 1  # market-data levels, index of a channel; also the index of the source topic
NONE = np.iinfo(np.int64).min  # "the venue gave none" for ids and times

# State of a channel, and of a book. The first four are the symbols of FeedState, in order.
SYNCED, GAP, RESYNC, STALE, EMPTY, CROSSED = 0, 1, 2, 3, 4, 5

# One channel (l1 or l2) of one book: array of shape (n_books, 2).
CHANNEL = np.dtype(
    [
        ("state", "i8"),
        ("session", "i8"),
        ("sequence", "i8"),  # last sequence taken
        ("run_start", "i8"),  # first sequence of the unbroken run that ends in `sequence`
        ("update_id", "i8"),  # venue's last id, NONE if it gives none
        ("event_time", "i8"),  # NONE if it gives none
        ("receive_time", "i8"),  # of the last record applied
        ("alive_time", "i8"),  # of the last record or heartbeat
        ("offset", "i8"),  # of the last record applied
        ("digest", "i8"),  # of the last record taken: tells a duplicate from another one of its number
        ("applied", "i8"),
        ("duplicates", "i8"),
        ("gaps", "i8"),
    ]
)

# One book: array of shape (n_books,).
BOOK = np.dtype(
    [
        ("state", "i8"),  # of the fused book; SYNCED only if it may be traded on
        ("bid_count", "i8"),
        ("ask_count", "i8"),
        ("bid_horizon", "i8"),  # keys at or below are unknown (cut off by our own limit)
        ("ask_horizon", "i8"),
        ("quote_bid_key", "i8"),  # the l1 quote; a size of 0 says that the side is empty
        ("quote_bid_size", "i8"),
        ("quote_ask_key", "i8"),
        ("quote_ask_size", "i8"),
        ("overlay", "i8"),  # 1 where the quote is newer than the depth and rules the top
        ("bid_skip", "i8"),  # best depth levels that the quote proves gone or replaces
        ("ask_skip", "i8"),
        ("agreed", "i8"),  # depth updates whose top was that of the quote of the same moment, see `join`
        ("disagreed", "i8"),
        ("quote_led", "i8"),  # updates after which the quote was the newer
        ("depth_led", "i8"),
        ("recorded", "i8"),
        ("frame_differs", "i8"),  # key frames that contradicted the book
    ]
)

# Top of a book at a moment of the venue's: `mark` is an update id, or an event time where the levels share
# no ids. Of the last quotes, and of depth updates that await a later quote: two rings, (n_books, RECENT).
TOP = np.dtype([("mark", "i8"), ("bid_key", "i8"), ("bid_size", "i8"), ("ask_key", "i8"), ("ask_size", "i8")])
RECENT = 128

# How far the comparison of quotes and depth of one book has come: array of shape (n_books,).
JOIN = np.dtype(
    [
        ("quotes", "i8"),  # put into the ring since it was last emptied
        ("depths", "i8"),  # depth updates put into theirs
        ("judged", "i8"),  # how many of them await no quote any more
    ]
)

# What is configured of one book: array of shape (n_books,).
INSTRUMENT = np.dtype(
    [
        ("product", "i8"),  # -1: belongs to none
        ("group", "i8"),
        ("venue", "i8"),
        ("price_exponent", "i8"),  # of the product: what prices are kept in
        ("size_exponent", "i8"),
        ("lot", "i8"),  # in units of 10^size_exponent
        ("tick", "i8"),
        ("depth", "i8"),  # levels kept a side
        ("venue_cuts", "i8"),  # 1: the venue's book ends at `depth` and it resends what comes back
        ("capacity", "i8"),  # levels that fit a side before the worst are cut off
        ("shared_ids", "i8"),  # 1: l1 and l2 carry the same update ids (Binance's u)
        ("has_l1", "i8"),
        ("has_l2", "i8"),
        ("max_age", "i8"),  # ns
        ("fee", "f8"),  # taker, as a fraction
        ("fixed_cost", "f8"),  # quote currency for a leg
        ("min_notional", "f8"),  # quote currency for a leg
    ]
)

# One leg of an opportunity: filled by the sweep, shape (MAX_LEGS,).
LEG = np.dtype(
    [
        ("book", "i8"),
        ("side", "i8"),  # ASKS: we buy; BIDS: we sell
        ("size", "i8"),
        ("limit_price", "i8"),  # worst price walked to, > 0
        ("cost", "f8"),  # sum of price x size as floats of the integers, no fees
        ("l1_offset", "i8"),  # inputs, -1 for none
        ("l1_event_time", "i8"),
        ("l1_receive_time", "i8"),
        ("l2_offset", "i8"),
        ("l2_event_time", "i8"),
        ("l2_receive_time", "i8"),
    ]
)
MAX_MEMBERS = 32  # books of one product
MAX_LEGS = 64  # each member may buy and sell

# One checked record of book.l1 or book.l2, made by kernels.read: shape (n,).
RECORD = np.dtype(
    [
        ("status", "i8"),  # 0, or a code of schemas.reasons
        ("book", "i8"),
        ("level", "i8"),
        ("kind", "i8"),
        ("state", "i8"),
        ("checksum", "i8"),
        ("key_frame", "i8"),
        ("recorded", "i8"),
        ("session", "i8"),
        ("sequence", "i8"),
        ("update_id", "i8"),
        ("event_time", "i8"),
        ("receive_time", "i8"),
        ("offset", "i8"),
        ("bid_start", "i8"),  # into items; a level is two items, price and size
        ("bid_count", "i8"),
        ("ask_start", "i8"),
        ("ask_count", "i8"),
    ]
)
QUOTE, SNAPSHOT, DELTA, CLEAR, HEARTBEAT = 0, 1, 2, 3, 4  # UpdateKind
CHECKSUM_WRONG = 2

# What is compared: array of shape (n_products,).
PRODUCT = np.dtype(
    [
        ("group", "i8"),
        ("first", "i8"),  # its books are members[first : first + count]
        ("count", "i8"),
        ("price_unit", "f8"),  # 10^price_exponent
        ("size_unit", "f8"),
        ("max_notional", "f8"),
        ("min_net_bps", "f8"),
        ("min_net_quote", "f8"),
        ("close_bps", "f8"),
        ("update_size", "f8"),  # fraction of the size last published
        ("update_bps", "f8"),
        ("ttl", "i8"),  # ns
        ("valid", "i8"),  # ns
        ("refusal_interval", "i8"),  # ns
    ]
)

# The open episode of a product, if any: array of shape (n_products,).
EPISODE = np.dtype(
    [
        ("open", "i8"),
        ("opened_time", "i8"),
        ("open_source", "i8"),  # topic index and offset of what opened it
        ("open_offset", "i8"),
        ("legs", "i8"),
        ("size", "i8"),
        ("edge_bps", "f8"),  # net, as last published
    ]
)

GROUP = np.dtype([("sequence", "i8"), ("halted", "i8")])

# The engine's own scalars: array of shape (1,).
CLOCK = np.dtype(
    [
        ("time", "i8"),  # stream time: the largest receive time believed so far, 0 before the first
        ("provisional", "i8"),  # 1 while it rests on a single record
        ("pending", "i8"),  # a receive time too far ahead, waiting for a second one near it
        ("jump_limit", "i8"),
        ("deadline", "i8"),  # stream time at which an open episode must be looked at again
        ("halted", "i8"),  # kill of scope all, or of this strategy
        ("gate", "i8"),  # 1 while commands are confirmed: OPEN and UPDATE may be published
    ]
)

# What a step puts out: array of shape (capacity,).
EVENT = np.dtype(
    [
        ("what", "i8"),  # OPEN, UPDATE, CLOSE or REFUSAL
        ("code", "i8"),  # cause of a close, reason of a refusal
        ("product", "i8"),
        ("book", "i8"),  # -1: none in particular
        ("source", "i8"),  # topic index, CONTROL for a control input
        ("offset", "i8"),
        ("time", "i8"),
        ("open_source", "i8"),
        ("open_offset", "i8"),
        ("sequence", "i8"),
        ("legs", "i8"),
        ("size", "i8"),
        ("gross", "f8"),
        ("net", "f8"),
        ("notional", "f8"),
        ("value", "f8"),
        ("limit", "f8"),
        ("suppressed", "i8"),
        ("recorded", "i8"),
    ]
)
OPEN, UPDATE, CLOSE, REFUSAL = 0, 1, 2, 3
CONTROL = 2  # source of an event that no record caused
CAUSE_NONE, EDGE_GONE, CAUSE_STALE, CAUSE_GAP, HALTED, EXPIRED = 0, 1, 2, 3, 4, 5  # Cause

# Reasons of refusals made in kernels; strategies.risk names them.
(
    R_NOT_SYNCED,
    R_TOO_OLD,
    R_EDGE_BPS,
    R_EDGE_QUOTE,
    R_HALTED,
    R_GATE_CLOSED,
    R_SEQUENCE_GAP,
    R_CROSSED,
    R_KEY_FRAME,
    R_CLOCK_JUMP,
    R_CONTRADICTION,
    R_CHECKSUM,
    R_SEQUENCE_REPEATED,
    R_DEPTH_LIMIT,
    R_NOTIONAL_CUT,
) = range(15)
N_REASONS = 15
