"""What a simulated market shows at each moment, and the updates of its feeds, as columns.

A book is a pure function of the venue's time (`ladder`); a feed samples it now and then and sends what
changed. So both feeds of a book tell of the same market, out of step, and no event is ever queued.

Times are nanoseconds since the market's origin. All kernels stand in this one file, because numba's
cache does not see an edit in another one, and it infers their types.
"""

# mypy: disable-error-code="no-untyped-def,no-untyped-call"

from __future__ import annotations

import numpy as np
from numba import njit

# Slots of a BookUpdate's row, as of docs/decisions/0001-plan.md; a test holds them equal to the decoder's.
VENUE, SYMBOL, LEVEL, KIND, STATE, CHECKSUM, KEY_FRAME, RECORDED = 0, 2, 4, 5, 6, 7, 8, 9
SESSION, SEQUENCE, FIRST_ID, LAST_ID, PREVIOUS_ID = 10, 11, 12, 14, 16
EVENT_TIME, RECEIVE_TIME, PRICE_EXPONENT, SIZE_EXPONENT, BIDS, ASKS = 18, 20, 21, 22, 23, 25
WIDTH = 27
QUOTE, SNAPSHOT, DELTA, CLEAR, HEARTBEAT = 0, 1, 2, 3, 4
SYNCED, GAP = 0, 1

WALK_STEP_NS = 10_000_000  # the efficient price moves by at most one notch in this time
NOISE_STEP_NS = 50_000_000  # a venue's own opinion of the price changes this often
STEP_NS = 10_000  # a venue's update ids rise by 1 in this time
HEARTBEAT_NS = 500_000_000
LOST_UPDATES = 3
FAR = 2**62  # no price

# What is injected: codes of streams.simulator.schedule.Kind.
NOTHING, DISPLACED, CROSSED, GAP_SEEN, GAP_LOST, SILENT, QUIET = 0, 1, 2, 3, 4, 5, 6

# What a channel is in the middle of.
FRESH, FLOWING, DOWN, GAPPED, LOSING, CROSSING = 0, 1, 2, 3, 4, 5

BOOK = np.dtype(
    [
        ("asset", "i8"),
        ("price", "f8"),  # in units of 10^price_exponent, before the walk
        ("tick", "i8"),  # the same units
        ("grid", "i8"),  # distance of the levels behind the best
        ("lot", "i8"),  # in units of 10^size_exponent
        ("lots", "i8"),  # least size of a level, in lots; the largest is twice that
        ("levels", "i8"),
        ("half_spread", "f8"),  # fraction of the price
        ("noise", "f8"),  # fraction of the price
        ("life", "i8"),  # a level's size lasts this many steps
        ("seed", "i8"),
        ("first_id", "i8"),  # update id at step 0; -1: the venue gives none
        ("clock", "i8"),  # what the venue's clock shows at time 0, since 1970
        ("event_times", "i8"),  # bit 1: on quotes; bit 2: on depth
        ("price_exponent", "i8"),
        ("size_exponent", "i8"),
        ("venue", "i8"),  # start and length of the names
        ("venue_length", "i8"),
        ("symbol", "i8"),
        ("symbol_length", "i8"),
        ("phase", "i8"),  # its phases: first and count
        ("phases", "i8"),
    ]
)
CHANNEL = np.dtype(
    [
        ("book", "i8"),
        ("level", "i8"),  # 0: l1, 1: l2
        ("latency", "i8"),
        ("jitter", "i8"),
        ("interval", "i8"),  # mean time between two looks at the book
        ("next", "i8"),  # receive time of the next look
        ("looks", "i8"),
        ("event", "i8"),  # venue's time of the last look that was sent
        ("step", "i8"),
        ("session", "i8"),
        ("sequence", "i8"),
        ("frame", "i8"),  # when the next key frame is due
        ("sent", "i8"),
        ("mode", "i8"),
    ]
)
PHASE = np.dtype(
    [
        ("start", "i8"),  # a stretch of a book's venue time in which something is injected
        ("shown", "i8"),  # the stray order stands from here to the end
        ("end", "i8"),
        ("kind", "i8"),
        ("side", "i8"),  # 0: a bid that is too dear, 1: an ask that is too cheap
        ("offset", "f8"),  # of the stray order from the efficient price at `shown`, fraction, signed
        ("shift", "f8"),  # how far the other side makes way, fraction
        ("size", "i8"),  # of the stray order, in units of 10^size_exponent
    ]
)


SETTING = np.dtype(
    [
        ("origin", "i8"),  # time 0, since 1970 (one row, the same for all channels)
        ("recorded", "i8"),
        ("frame_ns", "i8"),  # between two key frames
        ("notch", "f8"),  # largest step of an efficient price, fraction
    ]
)


@njit(cache=True, nogil=True)
def mix(a, b):
    """A pseudo-random integer, 0 to 2^53 - 1, that depends on `a` and `b` alone (splitmix64)."""
    x = a * -7046029254386353131 + b * -7723592293110705685 + 2685821657736338717
    x = (x ^ ((x >> 30) & 0x3FFFFFFFF)) * -4658895280553007687
    x = (x ^ ((x >> 27) & 0x1FFFFFFFFF)) * -7723592293110705685
    return (x ^ ((x >> 31) & 0x1FFFFFFFF)) & 0x1FFFFFFFFFFFFF


@njit(cache=True, nogil=True)
def uniform(a, b):
    """The same as a float, 0 to below 1."""
    return mix(a, b) / 9007199254740992.0


@njit(cache=True, nogil=True)
def phase_at(book, phases, time):
    """Index of the phase that holds at the venue's `time`, -1 for none. Phases do not overlap."""
    low, high = book.phase, book.phase + book.phases
    while low < high:
        middle = (low + high) >> 1
        if phases[middle].end <= time:
            low = middle + 1
        else:
            high = middle
    if low < book.phase + book.phases and phases[low].start <= time:
        return low
    return -1


@njit(cache=True, nogil=True)
def level_size(book, side, price, step):
    """Size at a price: drawn anew once in `life` steps, each price at a step of its own."""
    place = book.seed + 2 * price + side
    age = (step + mix(place, 1) % book.life) // book.life
    return (book.lots + mix(place, 2 + age) % (book.lots + 1)) * book.lot


@njit(cache=True, nogil=True)
def ladder(book, level, phases, walk, notch, step, prices, sizes):
    """The book at a venue's step, best first: fills int64 (2, levels + 1); returns the counts."""
    time = step * STEP_NS
    moved = 1.0 + walk[book.asset, time // WALK_STEP_NS] * notch
    opinion = 1.0 + book.noise * (2.0 * uniform(book.seed, time // NOISE_STEP_NS) - 1.0)
    middle = book.price * moved * opinion
    p = phase_at(book, phases, time)
    stray = 2  # no side
    shift = 0.0  # of the side that the stray order is not on
    if p >= 0:
        kind = phases[p].kind
        deep_only = kind in (GAP_SEEN, GAP_LOST)
        stands = kind in (DISPLACED, CROSSED) or (deep_only and level == 1)
        if stands and time >= phases[p].shown:
            stray = phases[p].side
            shift = phases[p].shift
    tick, grid = book.tick, book.grid
    counts = np.zeros(2, np.int64)
    for side in range(2):
        n = 0
        if stray == side:
            placed = 1.0 + walk[book.asset, phases[p].shown // WALK_STEP_NS] * notch
            prices[side, 0] = np.int64(book.price * placed * (1.0 + phases[p].offset) / tick + 0.5) * tick
            sizes[side, 0] = phases[p].size
            n = 1
        away = book.half_spread + (shift if side == 1 - stray else 0.0)
        if side == 0:
            best = np.int64(np.floor(middle * (1.0 - away) / tick)) * tick
            behind = (best - 1) // grid * grid
            pace = -grid
        else:
            best = np.int64(np.ceil(middle * (1.0 + away) / tick)) * tick
            behind = (best // grid + 1) * grid
            pace = grid
        for i in range(book.levels):
            price = best if i == 0 else behind + (i - 1) * pace
            if price <= 0:
                break
            prices[side, n] = price
            sizes[side, n] = level_size(book, side, price, step)
            n += 1
        counts[side] = n
    return counts


@njit(cache=True, nogil=True)
def write_full(items, m, prices, sizes, count):
    """All levels of one side."""
    for i in range(count):
        items[m] = prices[i]
        items[m + 1] = sizes[i]
        m += 2
    return m


@njit(cache=True, nogil=True)
def write_changes(items, m, side, old, new):
    """What turns one ladder's side into another's; both are (prices, sizes, counts)."""
    sign = 2 * side - 1
    i = j = 0
    while i < old[2][side] or j < new[2][side]:
        before = sign * old[0][side, i] if i < old[2][side] else FAR
        after = sign * new[0][side, j] if j < new[2][side] else FAR
        changed = before != after or old[1][side, i] != new[1][side, j]
        if changed:
            items[m] = sign * min(before, after)
            items[m + 1] = new[1][side, j] if after <= before else 0
            m += 2
        if before <= after:
            i += 1
        if after <= before:
            j += 1
    return m


@njit(cache=True, nogil=True)
def write_head(row, book, channel, kind, receive, setting):
    """Everything of a row but its ids and levels; takes the channel's next sequence."""
    channel.sequence += 1
    channel.sent = receive
    row[:] = 0
    row[VENUE], row[VENUE + 1] = book.venue, book.venue_length
    row[SYMBOL], row[SYMBOL + 1] = book.symbol, book.symbol_length
    row[LEVEL], row[KIND], row[RECORDED] = channel.level, kind, setting.recorded
    row[STATE] = GAP if channel.mode == GAPPED else SYNCED
    row[SESSION], row[SEQUENCE] = setting.origin + channel.session, channel.sequence
    row[RECEIVE_TIME] = setting.origin + receive
    row[PRICE_EXPONENT], row[SIZE_EXPONENT] = book.price_exponent, book.size_exponent


@njit(cache=True, nogil=True)
def write_ids(row, book, level, event, step, before):
    """Event time and ids as the venue gives them; `before` is the step of the update before, or -1."""
    if book.event_times >> level & 1 == 1:
        row[EVENT_TIME], row[EVENT_TIME + 1] = 1, book.clock + event
    if book.first_id >= 0:
        row[LAST_ID], row[LAST_ID + 1] = 1, book.first_id + step
        if before >= 0:
            row[FIRST_ID], row[FIRST_ID + 1] = 1, book.first_id + before + 1
            row[PREVIOUS_ID], row[PREVIOUS_ID + 1] = 1, book.first_id + before


@njit(cache=True, nogil=True)
def write_levels(row, items, m, prices, sizes, counts):
    """Both sides in full."""
    row[BIDS], row[BIDS + 1] = m, counts[0]
    m = write_full(items, m, prices[0], sizes[0], counts[0])
    row[ASKS], row[ASKS + 1] = m, counts[1]
    return write_full(items, m, prices[1], sizes[1], counts[1])


@njit(cache=True, nogil=True)
def write_quote(row, items, m, prices, sizes):
    """The best level of both sides."""
    row[BIDS], row[BIDS + 1], row[ASKS], row[ASKS + 1] = m, 1, m + 2, 1
    items[m], items[m + 1] = prices[0, 0], sizes[0, 0]
    items[m + 2], items[m + 3] = prices[1, 0], sizes[1, 0]
    return m + 4


@njit(cache=True, nogil=True)
def must_restart(channel, kind):
    """What ends a break, if it ends now: 0 nothing does, 1 a snapshot, 2 a key frame."""
    if channel.mode == FRESH:
        return 1
    if channel.mode == GAPPED and kind != GAP_SEEN:
        return 1
    if channel.mode == CROSSING and kind != CROSSED:
        return 1
    if channel.mode == LOSING and kind != GAP_LOST:
        return 2
    return 0


@njit(cache=True, nogil=True)
def breaks_off(channel, kind):
    """The mode that an injection puts a flowing depth channel into, or FLOWING."""
    if kind == GAP_SEEN:
        return GAPPED
    if kind == GAP_LOST:
        return LOSING
    if kind == CROSSED:
        return CROSSING
    return FLOWING


@njit(cache=True, nogil=True)
def look(channel, books, phases, walk, setting, rows, items, n, m, work):
    """One look of a channel at its book: appends 0 to 2 rows; returns (rows, items) used."""
    book = books[channel.book]
    receive = channel.next
    salt = book.seed * 2 + channel.level
    channel.looks += 1
    channel.next += np.int64(channel.interval * (0.25 + 1.5 * uniform(salt, 2 * channel.looks)))
    delay = channel.latency + np.int64(channel.jitter * uniform(salt, 2 * channel.looks + 1))
    event = max(receive - delay, channel.event + 1)
    step = event // STEP_NS
    p = phase_at(book, phases, event)
    kind = phases[p].kind if p >= 0 else NOTHING
    if kind == SILENT:
        channel.mode = DOWN
        return n, m
    if channel.mode == DOWN:
        channel.session, channel.sequence, channel.mode = receive, 0, FRESH
    if channel.mode != FRESH and (kind == QUIET or step == channel.step):
        if receive - channel.sent >= HEARTBEAT_NS:
            write_head(rows[n], book, channel, HEARTBEAT, receive, setting)
            n += 1
        return n, m
    prices, sizes = work[0], work[1]
    if channel.level == 0:
        if channel.mode == FLOWING and receive >= channel.frame:
            ladder(book, 0, phases, walk, setting.notch, channel.step, prices, sizes)
            write_head(rows[n], book, channel, QUOTE, receive, setting)
            write_ids(rows[n], book, 0, channel.event, channel.step, -1)
            rows[n, KEY_FRAME] = 1
            m = write_quote(rows[n], items, m, prices, sizes)
            n += 1
            channel.frame += setting.frame_ns
        ladder(book, 0, phases, walk, setting.notch, step, prices, sizes)
        channel.mode = FLOWING
        write_head(rows[n], book, channel, QUOTE, receive, setting)
        write_ids(rows[n], book, 0, event, step, -1)
        m = write_quote(rows[n], items, m, prices, sizes)
        channel.event, channel.step = event, step
        return n + 1, m
    return look_deep(
        channel, book, kind, receive, event, step, phases, walk, setting, rows, items, n, m, work
    )


@njit(cache=True, nogil=True)
def look_deep(channel, book, kind, receive, event, step, phases, walk, setting, rows, items, n, m, work):
    """The same for the depth: a snapshot, a key frame, a delta, or the news of a gap."""
    prices, sizes, new_prices, new_sizes = work[0], work[1], work[2], work[3]
    restart = must_restart(channel, kind)
    if restart != 0:
        counts = ladder(book, 1, phases, walk, setting.notch, step, prices, sizes)
        channel.mode = FLOWING
        write_head(rows[n], book, channel, SNAPSHOT, receive, setting)
        write_ids(rows[n], book, 1, event, step, -1)
        rows[n, KEY_FRAME] = restart - 1
        m = write_levels(rows[n], items, m, prices, sizes, counts)
        channel.event, channel.step = event, step
        return n + 1, m
    if channel.mode == FLOWING:
        channel.mode = breaks_off(channel, kind)
        if channel.mode == LOSING:
            channel.sequence += LOST_UPDATES
            channel.event, channel.step = event, step
            return n, m
        if channel.mode == GAPPED:
            write_head(rows[n], book, channel, CLEAR, receive, setting)
            channel.event, channel.step = event, step
            return n + 1, m
    counts = ladder(book, 1, phases, walk, setting.notch, channel.step, prices, sizes)
    if channel.mode == FLOWING and receive >= channel.frame:
        write_head(rows[n], book, channel, SNAPSHOT, receive, setting)
        write_ids(rows[n], book, 1, channel.event, channel.step, -1)
        rows[n, KEY_FRAME] = 1
        m = write_levels(rows[n], items, m, prices, sizes, counts)
        channel.frame += setting.frame_ns
        n += 1
    new_counts = ladder(book, 1, phases, walk, setting.notch, step, new_prices, new_sizes)
    start = m
    old, new = (prices, sizes, counts), (new_prices, new_sizes, new_counts)
    m = write_changes(items, m, 0, old, new)
    middle = m
    m = write_changes(items, m, 1, old, new)
    if m == start:
        return n, m
    row = rows[n]
    write_head(row, book, channel, DELTA, receive, setting)
    write_ids(row, book, 1, event, step, channel.step)
    row[BIDS], row[BIDS + 1] = start, (middle - start) // 2
    row[ASKS], row[ASKS + 1] = middle, (m - middle) // 2
    channel.event, channel.step = event, step
    return n + 1, m


@njit(cache=True, nogil=True)
def run(until, books, channels, phases, walk, setting, rows, owners, items, work):
    """All updates received before `until`, channel after channel; rows (n, WIDTH), owners (n,) their books.

    Returns (rows used, items used, done); with done == 0 the buffers are full: empty them, call again.
    """
    n = m = 0
    most = 4 * work.shape[1] * work.shape[2] * 2
    for c in range(len(channels)):
        while channels[c].next < until:
            if n + 2 > len(rows) or m + most > len(items):
                return n, m, 0
            before = n
            n, m = look(channels[c], books, phases, walk, setting[0], rows, items, n, m, work)
            owners[before:n] = channels[c].book
    return n, m, 1
