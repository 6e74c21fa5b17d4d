"""Stream time: the largest receive time believed so far. No record alone may move it far."""

from __future__ import annotations

from numba import njit


@njit(cache=True, nogil=True)
def advance(clock, receive_time):
    """Take a record's receive time in; returns 1 where it was too far ahead to be believed alone.

    A jump beyond `jump_limit` waits for a second record near it, and so does the very first record:
    one flipped bit must not become the clock.
    """
    limit = clock.jump_limit
    if clock.time == 0:
        clock.time = receive_time
        clock.provisional = 1
        return 0
    if receive_time > clock.time + limit:
        near = clock.pending != 0 and abs(receive_time - clock.pending) <= limit
        if near or clock.provisional == 1:
            clock.time = receive_time
            clock.provisional = 0 if near else 1
            clock.pending = 0
            return 0
        clock.pending = receive_time
        return 1
    if clock.provisional == 1:
        if receive_time < clock.time - limit:
            clock.time = receive_time
            return 0
        clock.provisional = 0
    clock.pending = 0
    if receive_time > clock.time:
        clock.time = receive_time
    return 0
