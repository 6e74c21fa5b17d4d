"""One asset on several venues: find what can be earned now, and lead its episode from OPEN to CLOSE."""

from __future__ import annotations

import numpy as np

from strategies.kernels.apply import FINE, net_tops
from strategies.kernels.emit import copy_legs, refuse, signal
from strategies.kernels.fuse import fuse
from strategies.kernels.jit import inner, kernel
from strategies.kernels.layout import (
    ASKS,
    BIDS,
    CAUSE_GAP,
    CAUSE_NONE,
    CAUSE_STALE,
    CLOSE,
    CONTROL,
    CROSSED,
    EDGE_GONE,
    EMPTY,
    EXPIRED,
    HALTED,
    L1,
    L2,
    OPEN,
    R_EDGE_BPS,
    R_EDGE_QUOTE,
    R_GATE_CLOSED,
    R_HALTED,
    R_NOT_SYNCED,
    R_NOTIONAL_CUT,
    R_TOO_OLD,
    SYNCED,
    UPDATE,
)
from strategies.kernels.sweep import sweep

FOREVER = np.iinfo(np.int64).max
BPS = 1e4


@inner
def age_of(state, b):
    """Stream time since the book's ruling level was last heard of, ns."""
    level = L2 if state.instruments[b].has_l2 == 1 else L1
    return state.clock[0].time - state.channels[b, level].alive_time


@inner
def fault_of(state, b):
    """Why the book may not be traded on: a cause, CAUSE_NONE if it may."""
    if state.venues_halted[state.instruments[b].venue] != 0:
        return HALTED
    if state.books[b].state == SYNCED:
        return CAUSE_NONE if age_of(state, b) <= state.instruments[b].max_age else CAUSE_STALE
    return CAUSE_GAP


@inner
def gather(state, p):
    """Fill `usable` with the books that may be traded on; returns their number and best net prices.

    Also returns the best net prices over all books that hold anything, and the book whose fault keeps
    the better ones out.
    """
    product = state.products[p]
    n = 0
    bid = -np.inf
    ask = np.inf
    any_bid = -np.inf
    any_ask = np.inf
    barred = -1
    for i in range(product.first, product.first + product.count):
        b = state.members[i]
        b_bid = state.tops[b, BIDS]
        b_ask = state.tops[b, ASKS]
        if fault_of(state, b) == CAUSE_NONE:
            state.usable[n] = b
            n += 1
            bid = max(bid, b_bid)
            ask = min(ask, b_ask)
        elif state.books[b].state != EMPTY and state.books[b].state != CROSSED:
            if b_bid > any_bid or b_ask < any_ask:
                barred = b
            any_bid = max(any_bid, b_bid)
            any_ask = min(any_ask, b_ask)
    return n, bid, ask, max(bid, any_bid), min(ask, any_ask), barred


@inner
def moved(state, p, legs, size, edge_bps):
    """True where what was found differs from what was last published by a named amount."""
    episode = state.episodes[p]
    product = state.products[p]
    if legs != episode.legs:
        return True
    for i in range(legs):
        if state.found[i].book != state.legs[p, i].book or state.found[i].side != state.legs[p, i].side:
            return True
    if abs(size - episode.size) > product.update_size * episode.size:
        return True
    return abs(edge_bps - episode.edge_bps) > product.update_bps


@inner
def broken_leg(state, p):
    """Cause that ends an open episode because of one of its books, or CAUSE_NONE."""
    for i in range(state.episodes[p].legs):
        cause = fault_of(state, state.legs[p, i].book)
        if cause != CAUSE_NONE:
            return cause
    return CAUSE_NONE


@inner
def deadline_of(state, p):
    """Stream time from which an open episode may be over without any update of its books."""
    episode = state.episodes[p]
    deadline = episode.opened_time + state.products[p].ttl
    now = state.clock[0].time
    for i in range(episode.legs):
        b = state.legs[p, i].book
        deadline = min(deadline, now - age_of(state, b) + state.instruments[b].max_age + 1)
    return deadline


@inner
def close(state, n, p, cause, source, offset):
    """End the open episode."""
    episode = state.episodes[p]
    n = signal(state, n, CLOSE, cause, p, source, offset, episode.legs, 0, 0.0, 0.0, 0.0)
    episode.open = 0
    episode.legs = 0
    return n


@inner
def one_lot_more(state, p, legs, size, notional):
    """What the coarsest lot costs; where one more would go beyond the limit, the size was cut by it."""
    lot = 0
    for i in range(legs):
        lot = max(lot, state.instruments[state.legs[p, i].book].lot)
    return notional * lot / size


@inner
def publish(state, n, what, p, source, offset, legs, size, gross, net, notional):
    """Emit OPEN or UPDATE and remember what was said."""
    episode = state.episodes[p]
    if what == OPEN:
        episode.open = 1
        episode.opened_time = state.clock[0].time
        episode.open_source = source
        episode.open_offset = offset
    episode.legs = legs
    episode.size = size
    episode.edge_bps = BPS * net / notional
    copy_legs(state.found, state.legs[p], legs)
    state.clock[0].deadline = min(state.clock[0].deadline, deadline_of(state, p))
    n = signal(state, n, what, CAUSE_NONE, p, source, offset, legs, size, gross, net, notional)
    limit = state.products[p].max_notional
    if what == OPEN and notional + one_lot_more(state, p, legs, size, notional) > limit:
        n = refuse(state, n, p, R_NOTIONAL_CUT, -1, notional, limit, source, offset)
    return n


@inner
def is_halted(state, p):
    """True where a kill covers the product's group, the strategy or all."""
    return state.clock[0].halted != 0 or state.groups[state.products[p].group].halted != 0


@inner
def ended(state, p):
    """Cause for which an open episode is over, whatever the prices say, or CAUSE_NONE."""
    cause = broken_leg(state, p)
    if cause == CAUSE_NONE and state.clock[0].time - state.episodes[p].opened_time >= state.products[p].ttl:
        return EXPIRED
    return cause


@inner
def why_barred(state, b):
    """(reason, value, limit) for a book that must not be traded on."""
    cause = fault_of(state, b)
    if cause == CAUSE_STALE:
        return R_TOO_OLD, float(age_of(state, b)), float(state.instruments[b].max_age)
    if cause == HALTED:
        return R_HALTED, 1.0, 0.0
    return R_NOT_SYNCED, float(state.books[b].state), float(SYNCED)


@inner
def why_not(state, p, legs, net, notional):
    """(reason, value, limit) against opening what was found; the reason is FINE where nothing is."""
    product = state.products[p]
    if legs == 0 or net < product.min_net_quote:
        return R_EDGE_QUOTE, net, product.min_net_quote
    edge_bps = BPS * net / notional
    if edge_bps < product.min_net_bps:
        return R_EDGE_BPS, edge_bps, product.min_net_bps
    if is_halted(state, p):
        return R_HALTED, 1.0, 0.0
    if state.clock[0].gate == 0:
        return R_GATE_CLOSED, 0.0, 1.0
    return FINE, 0.0, 0.0


@inner
def look(state, n, p, source, offset):
    """One book of product p has changed: OPEN, UPDATE, CLOSE or a refusal; returns the number of events.

    Where an episode ends for another cause than its edge, the books that are left may open one at once.
    """
    product = state.products[p]
    is_open = state.episodes[p].open == 1
    if is_open:
        cause = ended(state, p)
        if cause != CAUSE_NONE:
            n = close(state, n, p, cause, source, offset)
            is_open = False
    if not is_open and product.count < 2:
        return n
    usable, bid, ask, any_bid, any_ask, barred = gather(state, p)
    legs, size, gross, net, notional = 0, 0, 0.0, 0.0, 0.0
    if bid > ask:
        legs, size, gross, net, notional = sweep(
            state.usable[:usable],
            state.books,
            state.keys,
            state.sizes,
            state.instruments,
            product.price_unit,
            product.size_unit,
            product.max_notional,
            0.0 if is_open else product.min_net_quote,
            state.found,
            state.scratch,
        )
    what = OPEN
    reason, value, limit = FINE, 0.0, 0.0
    if is_open:
        if legs == 0 or BPS * net / notional < product.close_bps:
            return close(state, n, p, EDGE_GONE, source, offset)
        if state.clock[0].gate == 0 or not moved(state, p, legs, size, BPS * net / notional):
            return n
        what = UPDATE
    elif bid > ask:
        barred = -1
        reason, value, limit = why_not(state, p, legs, net, notional)
    elif any_bid > any_ask and barred >= 0:
        reason, value, limit = why_barred(state, barred)
    else:
        return n
    if reason != FINE:
        return refuse(state, n, p, reason, barred, value, limit, source, offset)
    return publish(state, n, what, p, source, offset, legs, size, gross, net, notional)


@kernel
def sweep_deadlines(state, n, source, offset):
    """Close what has expired or rests on a book that fell silent; sets the next deadline."""
    nearest = FOREVER
    for p in range(len(state.episodes)):
        if state.episodes[p].open == 0:
            continue
        cause = ended(state, p)
        if cause != CAUSE_NONE:
            n = close(state, n, p, cause, source, offset)
        else:
            nearest = min(nearest, deadline_of(state, p))
    state.clock[0].deadline = nearest
    return n


@kernel
def halt(state, n, offset):
    """Close every open episode that a kill now covers, or all while the gate is shut."""
    for p in range(len(state.episodes)):
        if state.episodes[p].open == 0:
            continue
        if is_halted(state, p) or state.clock[0].gate == 0 or broken_leg(state, p) == HALTED:
            n = close(state, n, p, HALTED, CONTROL, offset)
    return n


@kernel
def refresh(state):
    """Bring every fused book up to date after their channels were changed from outside."""
    for b in range(len(state.books)):
        fuse(state.channels, state.books, state.instruments, state.keys, state.sizes, b)
        net_tops(state, b)
