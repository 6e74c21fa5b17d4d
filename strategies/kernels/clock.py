"""Stream time: the largest receive time believed so far. No record alone may move it far."""

from __future__ import annotations

from strategies.kernels.jit import inner
from strategies.kernels.layout import N_REASONS

BELIEVED, AHEAD, TURNED_BACK = 0, 1, 2


@inner
def advance(clock, receive_time):
    """Take a record's receive time in; AHEAD where it was too far ahead to be believed alone.

    A jump beyond `jump_limit` waits for a second record near it, and so does the very first record:
    one flipped bit must not become the clock. TURNED_BACK where that one was wrong: what was dated by it
    must be dated anew (`turn_back`).
    """
    limit = clock.jump_limit
    if clock.time == 0:
        clock.time = receive_time
        clock.provisional = 1
        return BELIEVED
    if receive_time > clock.time + limit:
        near = clock.pending != 0 and abs(receive_time - clock.pending) <= limit
        if near or clock.provisional == 1:
            clock.time = receive_time
            clock.provisional = 0 if near else 1
            clock.pending = 0
            return BELIEVED
        clock.pending = receive_time
        return AHEAD
    if clock.provisional == 1:
        if receive_time < clock.time - limit:
            clock.time = receive_time
            return TURNED_BACK
        clock.provisional = 0
    clock.pending = 0
    if receive_time > clock.time:
        clock.time = receive_time
    return BELIEVED


@inner
def turn_back(state):
    """Nothing may lie ahead of a clock that was turned back: it would never grow old."""
    now = state.clock[0].time
    state.clock[0].deadline = now
    for b in range(len(state.channels)):
        for level in range(2):
            channel = state.channels[b, level]
            channel.alive_time = min(channel.alive_time, now)
            channel.receive_time = min(channel.receive_time, now)
    for p in range(len(state.episodes)):
        state.episodes[p].opened_time = min(state.episodes[p].opened_time, now)
        for reason in range(N_REASONS):
            state.refused_time[p, reason] = min(state.refused_time[p, reason], now)
