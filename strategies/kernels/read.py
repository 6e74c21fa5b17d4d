"""From decoded rows to checked records: find the book, hold the rules, bring numbers to one scale."""

from __future__ import annotations

import numpy as np

from schemas.reasons import Reason
from strategies.kernels.jit import inner, kernel
from strategies.kernels.layout import (
    CLEAR,
    DELTA,
    HEARTBEAT,
    L1,
    L2,
    NONE,
    QUOTE,
    SNAPSHOT,
)

LARGEST = 1 << 53  # exact in float64, so a product price x size is rounded once
EXPONENT_LIMIT = 18

# Order of the decoder's slots in the array `slots`.
SLOTS = (
    "venue",
    "symbol",
    "level",
    "kind",
    "state",
    "checksum",
    "key_frame",
    "recorded",
    "session",
    "sequence",
    "first_update_id",
    "last_update_id",
    "previous_update_id",
    "event_time_ns",
    "receive_time_ns",
    "price_exponent",
    "size_exponent",
    "bids",
    "asks",
)
(
    VENUE,
    SYMBOL,
    LEVEL,
    KIND,
    STATE,
    CHECKSUM,
    KEY_FRAME,
    RECORDED,
    SESSION,
    SEQUENCE,
    FIRST_ID,
    LAST_ID,
    PREVIOUS_ID,
    EVENT_TIME,
    RECEIVE_TIME,
    PRICE_EXPONENT,
    SIZE_EXPONENT,
    BIDS_AT,
    ASKS_AT,
) = range(19)

UNKNOWN_BOOK = int(Reason.UNKNOWN_BOOK)
NO_KEY = int(Reason.NO_KEY)
WRONG_TOPIC = int(Reason.WRONG_TOPIC)
EXPONENT_OUT = int(Reason.EXPONENT_OUT_OF_BOUNDS)
PRICE_OUT = int(Reason.PRICE_OUT_OF_BOUNDS)
SIZE_OUT = int(Reason.SIZE_OUT_OF_BOUNDS)
TOO_MANY_LEVELS = int(Reason.TOO_MANY_LEVELS)
OFF_GRID = int(Reason.OFF_GRID)
RECEIVE_AHEAD = int(Reason.RECEIVE_TIME_AHEAD)
NEGATIVE_TIME = int(Reason.NEGATIVE_TIME)
SESSION_AFTER_RECEIVE = int(Reason.SESSION_AFTER_RECEIVE)
BAD_SEQUENCE = int(Reason.BAD_SEQUENCE)

FNV_BASIS = np.uint64(0xCBF29CE484222325)
FNV_PRIME = np.uint64(0x100000001B3)


@kernel
def hash_bytes(value, data, start, length):
    """FNV-1a (Fowler, Noll, Vo) over `data[start : start + length]`, going on from `value`."""
    for i in range(start, start + length):
        value = (value ^ np.uint64(data[i])) * FNV_PRIME
    return (value ^ np.uint64(0xFF)) * FNV_PRIME  # a mark between names: 0xFF is in no UTF-8 text


@inner
def same_bytes(a, a_start, length, b, b_start, b_length):
    """True where both stretches hold the same bytes."""
    if length != b_length:
        return False
    for i in range(length):
        if a[a_start + i] != b[b_start + i]:
            return False
    return True


@inner
def find_book(directory, names, name_at, key, key_start, key_length, data, row, venue, symbol):
    """Index of the book of (group, venue, symbol), -1 if none is configured in this partition.

    `directory` is an open-addressed table (size a power of two) of book indices, `names` the bytes of
    all names and `name_at[b]` the start and length of group, venue and symbol of book b.
    """
    value = hash_bytes(FNV_BASIS, key, key_start, key_length)
    value = hash_bytes(value, data, row[venue], row[venue + 1])
    value = hash_bytes(value, data, row[symbol], row[symbol + 1])
    mask = len(directory) - 1
    at = np.int64(value & np.uint64(mask))
    while directory[at] >= 0:
        b = directory[at]
        n = name_at[b]
        if (
            same_bytes(key, key_start, key_length, names, n[0], n[1])
            and same_bytes(data, row[venue], row[venue + 1], names, n[2], n[3])
            and same_bytes(data, row[symbol], row[symbol + 1], names, n[4], n[5])
        ):
            return b
        at = (at + 1) & mask
    return -1


@inner
def rescale(value, exponent, wanted):
    """`value` x 10^(exponent - wanted) as an integer; -1 where that is none, or beyond LARGEST."""
    while exponent > wanted:
        if value > LARGEST // 10:
            return -1
        value *= 10
        exponent -= 1
    while exponent < wanted:
        if value % 10 != 0:
            return -1
        value //= 10
        exponent += 1
    return value


@inner
def check_levels(items, start, n, price_exponent, size_exponent, instrument):
    """Hold the bounds of n levels and bring them, in place, to the product's exponents."""
    for i in range(start, start + 2 * n, 2):
        price = items[i]
        size = items[i + 1]
        if price <= 0 or price > LARGEST:
            return PRICE_OUT
        if size < 0 or size > LARGEST:
            return SIZE_OUT
        if price_exponent != instrument.price_exponent:
            price = rescale(price, price_exponent, instrument.price_exponent)
        if size_exponent != instrument.size_exponent:
            size = rescale(size, size_exponent, instrument.size_exponent)
        if price <= 0 or size < 0:
            return OFF_GRID
        items[i] = price
        items[i + 1] = size
    return 0


@inner
def check_sides(items, row, slots, instrument):
    """`check_levels` of bids, then of asks."""
    for side in (BIDS_AT, ASKS_AT):
        at = slots[side]
        price_exponent = row[slots[PRICE_EXPONENT]]
        size_exponent = row[slots[SIZE_EXPONENT]]
        reason = check_levels(items, row[at], row[at + 1], price_exponent, size_exponent, instrument)
        if reason != 0:
            return reason
    return 0


@inner
def belongs(level, kind, source, bids, asks):
    """True where level and kind fit the topic, and the levels fit the kind."""
    if level != source:
        return False
    if kind == QUOTE:
        return level == L1 and bids <= 1 and asks <= 1
    if kind == SNAPSHOT or kind == DELTA:
        return level == L2
    return (kind == CLEAR or kind == HEARTBEAT) and bids == 0 and asks == 0


@inner
def check_row(row, slots, source, timestamp_ns, ahead_limit, level_limit):
    """The rules that need no book: times, sequences, exponents, counts; 0 or a reason."""
    bids = row[slots[BIDS_AT] + 1]
    asks = row[slots[ASKS_AT] + 1]
    if not belongs(row[slots[LEVEL]], row[slots[KIND]], source, bids, asks):
        return WRONG_TOPIC
    if bids > level_limit or asks > level_limit:
        return TOO_MANY_LEVELS
    for s in (PRICE_EXPONENT, SIZE_EXPONENT):
        if abs(row[slots[s]]) > EXPONENT_LIMIT:
            return EXPONENT_OUT
    receive_time = row[slots[RECEIVE_TIME]]
    if receive_time <= 0 or (row[slots[EVENT_TIME]] == 1 and row[slots[EVENT_TIME] + 1] < 0):
        return NEGATIVE_TIME
    if timestamp_ns >= 0 and receive_time > timestamp_ns + ahead_limit:
        return RECEIVE_AHEAD
    if row[slots[SESSION]] > receive_time:
        return SESSION_AFTER_RECEIVE
    if row[slots[SEQUENCE]] < 1 or row[slots[SESSION]] < 0:
        return BAD_SEQUENCE
    for s in (FIRST_ID, LAST_ID, PREVIOUS_ID):
        if row[slots[s]] == 1 and row[slots[s] + 1] < -1:  # OKX's first snapshot names -1 as its previous
            return BAD_SEQUENCE
    first, last = slots[FIRST_ID], slots[LAST_ID]
    if row[first] == 1 and row[last] == 1 and row[first + 1] > row[last + 1]:
        return BAD_SEQUENCE
    return 0


@inner
def optional(row, at):
    """Value of a nullable slot, NONE for null."""
    return row[at + 1] if row[at] == 1 else NONE


@inner
def copy_row(record, row, slots):
    """Carry the plain fields of a decoded row over."""
    record.level = row[slots[LEVEL]]
    record.kind = row[slots[KIND]]
    record.state = row[slots[STATE]]
    record.checksum = row[slots[CHECKSUM]]
    record.key_frame = row[slots[KEY_FRAME]]
    record.recorded = row[slots[RECORDED]]
    record.session = row[slots[SESSION]]
    record.sequence = row[slots[SEQUENCE]]
    record.update_id = optional(row, slots[LAST_ID])
    record.event_time = optional(row, slots[EVENT_TIME])
    record.receive_time = row[slots[RECEIVE_TIME]]
    record.bid_start = row[slots[BIDS_AT]]
    record.bid_count = row[slots[BIDS_AT] + 1]
    record.ask_start = row[slots[ASKS_AT]]
    record.ask_count = row[slots[ASKS_AT] + 1]


@kernel
def read(
    rows,
    items,
    status,
    slots,
    data,
    keys,
    key_starts,
    key_lengths,
    offsets,
    timestamps_ms,
    source,
    directory,
    names,
    name_at,
    instruments,
    ahead_limit,
    level_limit,
    records,
):
    """Fill `records` (RECORD[n]) from n decoded rows; returns how many were refused.

    `items` is changed in place: levels are brought to the exponents of their product. A refused record
    keeps its reason in `status` and touches nothing else.
    """
    refused = 0
    for i in range(len(rows)):
        record = records[i]
        row = rows[i]
        record.offset = offsets[i]
        record.book = -1
        reason = status[i]
        if reason == 0:
            timestamp_ns = timestamps_ms[i] * 1_000_000 if timestamps_ms[i] >= 0 else -1
            reason = check_row(row, slots, source, timestamp_ns, ahead_limit, level_limit)
        if reason == 0 and key_lengths[i] < 0:
            reason = NO_KEY
        if reason == 0:
            b = find_book(
                directory,
                names,
                name_at,
                keys,
                key_starts[i],
                key_lengths[i],
                data,
                row,
                slots[VENUE],
                slots[SYMBOL],
            )
            if b < 0:
                reason = UNKNOWN_BOOK
            else:
                record.book = b
                copy_row(record, row, slots)
                reason = check_sides(items, row, slots, instruments[b])
        record.status = reason
        if reason != 0:
            record.receive_time = 0
            refused += 1
    return refused
