"""Write down what a step puts out: signals with their legs and inputs, and refusals at a bounded rate."""

from __future__ import annotations

from strategies.kernels.jit import inner
from strategies.kernels.layout import L1, L2, NONE, REFUSAL


@inner
def name_inputs(state, leg):
    """Note which records the leg's book rests on: its depth, and its quote where that rules the top."""
    b = leg.book
    leg.l1_offset = -1
    leg.l2_offset = -1
    if state.books[b].overlay == 1:
        quote = state.channels[b, L1]
        leg.l1_offset = quote.offset
        leg.l1_event_time = quote.event_time
        leg.l1_receive_time = quote.receive_time
    if state.instruments[b].has_l2 == 1:
        depth = state.channels[b, L2]
        leg.l2_offset = depth.offset
        leg.l2_event_time = depth.event_time
        leg.l2_receive_time = depth.receive_time


@inner
def copy_legs(source, target, n):
    """Copy n legs."""
    for i in range(n):
        target[i] = source[i]


@inner
def blank(state, n, what, p, source, offset):
    """Event n with what all events have in common."""
    event = state.events[n]
    event.what = what
    event.code = 0
    event.product = p
    event.book = -1
    event.source = source
    event.offset = offset
    event.time = state.clock[0].time
    event.open_source = state.episodes[p].open_source
    event.open_offset = state.episodes[p].open_offset
    event.sequence = 0
    event.legs = 0
    event.size = 0
    event.gross = 0.0
    event.net = 0.0
    event.notional = 0.0
    event.value = 0.0
    event.limit = 0.0
    event.suppressed = 0
    event.recorded = 0
    return event


@inner
def is_recorded(state, p):
    """1 where a book of the product is fed from a recording."""
    product = state.products[p]
    for i in range(product.first, product.first + product.count):
        if state.books[state.members[i]].recorded == 1:
            return 1
    return 0


@inner
def signal(state, n, what, cause, p, source, offset, legs, size, gross, net, notional):
    """Emit one step of an episode under the group's next sequence; returns the number of events."""
    event = blank(state, n, what, p, source, offset)
    group = state.groups[state.products[p].group]
    group.sequence += 1
    event.sequence = group.sequence
    event.code = cause
    event.legs = legs
    event.size = size
    event.gross = gross
    event.net = net
    event.notional = notional
    event.recorded = is_recorded(state, p)
    copy_legs(state.legs[p], state.event_legs[n], legs)
    for i in range(legs):
        name_inputs(state, state.event_legs[n, i])
    return n + 1


@inner
def refuse(state, n, p, reason, b, value, limit, source, offset):
    """Emit a refusal, or count it where the last one of this reason is too recent."""
    now = state.clock[0].time
    last = state.refused_time[p, reason]
    if last != NONE and now - last < state.products[p].refusal_interval:
        state.refused_count[p, reason] += 1
        return n
    event = blank(state, n, REFUSAL, p, source, offset)
    event.code = reason
    event.book = b
    event.value = value
    event.limit = limit
    event.suppressed = state.refused_count[p, reason]
    state.refused_time[p, reason] = now
    state.refused_count[p, reason] = 0
    return n + 1
