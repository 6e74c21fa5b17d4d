"""One step of an engine: records of both topics in their merged order, through books and detection."""

from __future__ import annotations

from strategies.kernels.apply import FINE, apply
from strategies.kernels.clock import AHEAD, TURNED_BACK, advance, turn_back
from strategies.kernels.cross_venue import look, sweep_deadlines
from strategies.kernels.emit import refuse
from strategies.kernels.jit import inner, kernel
from strategies.kernels.layout import R_CLOCK_JUMP, R_DEPTH_LIMIT


@kernel
def interleave(first, i, second, j, order, first_alone, second_alone):
    """Order of the records of two sources by receive time; returns (taken, i, j).

    Records of one source keep their order. A record is taken while both sources have one waiting; a
    source may go on alone only where its flag says so. `order` receives 2 x index + source. Refused
    records carry receive time 0 and are taken at once. Ties go to the first source.
    """
    n = 0
    while True:
        has_first = i < len(first)
        has_second = j < len(second)
        if has_first and has_second:
            take_first = first[i].receive_time <= second[j].receive_time
        elif has_first and first_alone == 1:
            take_first = True
        elif has_second and second_alone == 1:
            take_first = False
        else:
            return n, i, j
        if take_first:
            order[n] = 2 * i
            i += 1
        else:
            order[n] = 2 * j + 1
            j += 1
        n += 1


@inner
def take(state, n, record, items, source):
    """One record: time, book, what it means for its product."""
    clock = state.clock[0]
    product = state.instruments[record.book].product
    verdict = advance(clock, record.receive_time)
    if verdict == TURNED_BACK:
        turn_back(state)
    elif verdict == AHEAD:
        ahead = record.receive_time - clock.time
        n = refuse(
            state, n, product, R_CLOCK_JUMP, record.book, ahead, clock.jump_limit, source, record.offset
        )
    if clock.time >= clock.deadline:
        n = sweep_deadlines(state, n, source, record.offset)
    changed, reason = apply(state, record, items)
    if reason != FINE:
        value, limit = state.books[record.book].state, 0
        if reason == R_DEPTH_LIMIT:
            limit = state.instruments[record.book].depth
            value = max(limit + 1, max(record.bid_count, record.ask_count))
        n = refuse(state, n, product, reason, record.book, value, limit, source, record.offset)
    if changed == 1:
        n = look(state, n, product, source, record.offset)
    return n


@kernel
def step(state, order, start, stop, records_l1, items_l1, records_l2, items_l2, room):
    """Take records `order[start:stop]`; returns (next position, number of events).

    Stops early where fewer than `room` events still fit, so that no output is ever dropped: the caller
    reads the events and goes on from there.
    """
    n = 0
    for at in range(start, stop):
        if n + room > len(state.events):
            return at, n
        code = order[at]
        source = code & 1
        if source == 0:
            if records_l1[code >> 1].status == 0:
                n = take(state, n, records_l1[code >> 1], items_l1, source)
        elif records_l2[code >> 1].status == 0:
            n = take(state, n, records_l2[code >> 1], items_l2, source)
    return stop, n
