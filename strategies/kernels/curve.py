"""Supply and demand of a product as curves that respect each book's lot.

A curve is a run of pieces, best first; asks and bids share one code by signing: the price after fees
is kept as `net` for asks and `-net` for bids, so that lower is always better. A curve is cut into
blocks of a unit (a lot): a level's whole multiples stay one piece at the level's price; what is left
over is blended with the next levels into one block, whose pieces share the block's average as `key`.
Blocks of one book, and of several, are convex supply: merged by `key` they may be walked greedily.

Books of unequal lots are merged from the finest lot up: the finer books are merged first and cut
together into blocks of the coarser unit, so that two fine books may fill a coarse lot between them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from strategies.kernels.jit import inner, kernel
from strategies.kernels.layout import ASKS, BIDS, MAX_LEGS, MAX_MEMBERS

TIE = 10**12  # prices closer than 1e-12 of each other are equal: float64 is good for 2e-16
MAX_UNIT = 2**61  # largest common lot, and largest size of one side of one book, that are walked
SUBSETS = 8  # legs up to which all subsets are tried

PIECE = np.dtype(
    [
        ("size", "i8"),
        ("member", "i8"),
        ("price", "i8"),
        ("net", "f8"),  # price after fees, negative for bids
        ("key", "f8"),  # average net of the block it belongs to
    ]
)


class Scratch(NamedTuple):
    """Working memory of one sweep; `make_scratch` makes it once, no call allocates."""

    members: npt.NDArray[np.int64]  # (MAX_MEMBERS,) sorted book indices
    allow: npt.NDArray[np.int64]  # (2, MAX_MEMBERS) 1: the leg may trade
    top: npt.NDArray[np.float64]  # (2, MAX_MEMBERS) signed net price of the best level
    member_class: npt.NDArray[np.int64]  # (MAX_MEMBERS,) index into `units`
    units: npt.NDArray[np.int64]  # (MAX_MEMBERS,) common lots, ascending
    sizes: npt.NDArray[np.int64]  # (2, 2, MAX_MEMBERS) now/best, side, member
    limits: npt.NDArray[np.int64]  # the same: worst price touched
    costs: npt.NDArray[np.float64]  # the same: sum of price x size
    raw: npt.NDArray[np.void]  # (capacity,) PIECE: levels of one book
    parts: npt.NDArray[np.void]  # (capacity,) PIECE: cut curves, one after the other
    starts: npt.NDArray[np.int64]  # (MAX_MEMBERS + 2,) where each of `parts` starts
    heads: npt.NDArray[np.int64]  # the same: how far each is merged
    head_keys: npt.NDArray[np.float64]  # the same: key of the next piece
    curves: npt.NDArray[np.void]  # (2, capacity) PIECE: the merged curve of each side
    leg_sides: npt.NDArray[np.int64]  # (MAX_LEGS,) legs in play
    leg_members: npt.NDArray[np.int64]  # (MAX_LEGS,)
    bounds: npt.NDArray[np.float64]  # (2**SUBSETS,) what a subset can earn at most


def make_scratch(capacity: int = 16_384) -> Scratch:
    """Working memory for sweeps; `capacity` is the number of pieces of one side that are walked.

    A side with more pieces in the crossing region is cut short, each book to its even share: less
    is found, nothing wrong.
    """
    two = (2, 2, MAX_MEMBERS)
    return Scratch(
        members=np.zeros(MAX_MEMBERS, np.int64),
        allow=np.zeros((2, MAX_MEMBERS), np.int64),
        top=np.zeros((2, MAX_MEMBERS), np.float64),
        member_class=np.zeros(MAX_MEMBERS, np.int64),
        units=np.zeros(MAX_MEMBERS, np.int64),
        sizes=np.zeros(two, np.int64),
        limits=np.zeros(two, np.int64),
        costs=np.zeros(two, np.float64),
        raw=np.zeros(capacity, PIECE),
        parts=np.zeros(capacity, PIECE),
        starts=np.zeros(MAX_MEMBERS + 2, np.int64),
        heads=np.zeros(MAX_MEMBERS + 2, np.int64),
        head_keys=np.zeros(MAX_MEMBERS + 2, np.float64),
        curves=np.zeros((2, capacity), PIECE),
        leg_sides=np.zeros(MAX_LEGS, np.int64),
        leg_members=np.zeros(MAX_LEGS, np.int64),
        bounds=np.zeros(2**SUBSETS, np.float64),
    )


@kernel
def level(books, keys, sizes, b, side, i):
    """Price and size of level `i` (0 is the best) of a side of fused book `b`; (0, 0) past its end."""
    book = books[b]
    at = (book.bid_count if side == BIDS else book.ask_count) - 1 - i
    if book.overlay == 1:
        size = book.quote_bid_size if side == BIDS else book.quote_ask_size
        if size <= 0:
            return 0, 0
        if i == 0:
            return abs(book.quote_bid_key if side == BIDS else book.quote_ask_key), size
        at += 1 - (book.bid_skip if side == BIDS else book.ask_skip)
    if at < 0:
        return 0, 0
    return abs(keys[b, side, at]), sizes[b, side, at]


@inner
def net_price(price, side, fee):
    """Signed price after fees: price x (1 + fee) of an ask, -price x (1 - fee) of a bid."""
    return price * (1.0 + fee) if side == ASKS else -(price * (1.0 - fee))


@inner
def pays(ask, bid):
    """Whether signed net prices cross: -bid above ask by more than 1e-12 of it."""
    return (-bid - ask) * TIE > abs(bid)


@inner
def common_lots(n, instruments, scratch):
    """Fill `units` and `member_class` for the members with a leg that may trade.

    Classes are the distinct lots, ascending; a class trades in multiples of the least common multiple
    of its lot and all finer ones. Lots that divide one another (0.001, 0.01) lose nothing by that.
    Returns the number of classes, and whether their lots do divide one another.
    """
    count = 0
    divide = True
    lot = 0
    unit = 1
    while True:
        smallest = MAX_UNIT
        for m in range(n):
            own = max(1, instruments[scratch.members[m]].lot)
            if (scratch.allow[0, m] or scratch.allow[1, m]) and lot < own < smallest:
                smallest = own
        if smallest == MAX_UNIT:
            return count, divide
        lot = smallest
        a, b = unit, lot
        while b:
            a, b = b, a % b
        if lot // a > MAX_UNIT // unit:  # no size is a multiple of it: this class never trades
            unit = MAX_UNIT
        else:
            unit *= lot // a
        scratch.units[count] = unit
        divide = divide and unit == lot
        for m in range(n):
            if max(1, instruments[scratch.members[m]].lot) == lot:
                scratch.member_class[m] = count
        count += 1


@inner
def _load(books, keys, sizes, instruments, scratch, side, m, opposite, unit, room):
    """Levels of a side of member `m` into `raw`, from where it is filled up to; how many.

    Only as deep as pays against the best opposite price, and `unit` further: blending with worse
    levels may fill up a lot, but never takes a whole unit beyond.
    """
    b = scratch.members[m]
    fee = instruments[b].fee
    filled = scratch.sizes[0, side, m]
    total = 0
    beyond = 0
    n = 0
    i = 0
    while n < room and beyond < unit:
        price, size = level(books, keys, sizes, b, side, i)
        if size <= 0 or size > MAX_UNIT - total:
            break
        total += size
        i += 1
        if filled >= size:
            filled -= size
            continue
        net = net_price(price, side, fee)
        piece = scratch.raw[n]
        piece.size = size - filled
        piece.member = m
        piece.price = price
        piece.net = net
        filled = 0
        n += 1
        if not (pays(net, opposite) if side == ASKS else pays(opposite, net)):
            beyond += piece.size
    return n


@inner
def _cut(source, count, unit, out, at, stop):
    """Cut pieces source[:count] into blocks of `unit` at out[at:stop]; the end of the last whole block."""
    block = at
    need = 0
    money = 0.0
    for i in range(count):
        piece = source[i]
        left = piece.size
        while left > 0:
            if at >= stop:
                return block
            if need == 0 and left < unit:
                need = unit
                money = 0.0
            take = left - left % unit if need == 0 else min(left, need)
            new = out[at]
            new.size = take
            new.member = piece.member
            new.price = piece.price
            new.net = piece.net
            new.key = piece.net
            at += 1
            left -= take
            if need > 0:
                need -= take
                money += piece.net * take
                if need == 0:
                    for k in range(block, at):
                        out[k].key = money / unit
            if need == 0:
                block = at
    return block


@inner
def _merge(parts, starts, heads, head_keys, count, out):
    """Merge `count` cut curves by key; of equal keys the earlier curve goes first. Number of pieces.

    The pieces of a block stay together: while one is open, no earlier curve has as low a key.
    """
    for s in range(count):
        heads[s] = starts[s]
        head_keys[s] = parts[starts[s]].key if starts[s] < starts[s + 1] else np.inf
    n = 0
    while True:
        first = -1
        lowest = np.inf
        for s in range(count):
            if head_keys[s] < lowest:
                lowest = head_keys[s]
                first = s
        if first < 0:
            return n
        at = heads[first]
        out[n] = parts[at]
        n += 1
        at += 1
        heads[first] = at
        head_keys[first] = parts[at].key if at < starts[first + 1] else np.inf


@inner
def merge_side(books, keys, sizes, instruments, scratch, n_members, side, last, opposite):
    """Curve of one side over all that may trade in classes 0..last, in blocks of units[last].

    `opposite` is the best signed net price of the other side. Returns the number of pieces in
    curves[side].
    """
    unit_beyond = scratch.units[last]
    curve = scratch.curves[side]
    n = 0
    for k in range(last + 1):
        own = 0
        for m in range(n_members):
            if scratch.allow[side, m] and scratch.member_class[m] == k:
                own += 1
        if own == 0 and k < last:
            continue
        unit = scratch.units[k]
        room = len(scratch.parts)
        share = room // (own + 1)
        sources = 0
        end = 0
        if n > 0:
            end = _cut(curve, n, unit, scratch.parts, 0, share)
            sources = 1
        for m in range(n_members):
            if scratch.allow[side, m] and scratch.member_class[m] == k:
                loaded = _load(
                    books, keys, sizes, instruments, scratch, side, m, opposite, unit_beyond, share
                )
                scratch.starts[sources] = end
                end = _cut(scratch.raw, loaded, unit, scratch.parts, end, min(end + share, room))
                sources += 1
        scratch.starts[sources] = end
        n = _merge(scratch.parts, scratch.starts, scratch.heads, scratch.head_keys, sources, curve)
    return n
