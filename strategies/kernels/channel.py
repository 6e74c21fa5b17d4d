"""May this record be applied? The feed's session and sequence decide, and nothing is believed for ever.

A flipped bit in a sequence or a session must not lock a book out: a number that ran ahead is unmasked
by the next record below the run it started, and a session that has fallen silent loses its book.
"""

from __future__ import annotations

from numba import njit

from strategies.kernels.layout import EMPTY, GAP, SYNCED

IGNORE, APPLY, BREAK = 0, 1, 2


@njit(cache=True, nogil=True)
def adopt(channel, session, sequence):
    """Start a new unbroken run with this record."""
    channel.session = session
    channel.sequence = sequence
    channel.run_start = sequence


@njit(cache=True, nogil=True)
def admit(channel, session, sequence, full, now, max_age):
    """Decide on a record: APPLY it, IGNORE it, or BREAK (untrusted until the next full one).

    `full` is 1 for records that say all there is to know (snapshot, quote, clear). Counts what it saw.
    """
    if channel.state == EMPTY or session > channel.session:
        if full == 1:
            adopt(channel, session, sequence)
            return APPLY
        return IGNORE if channel.state == EMPTY else BREAK
    if session < channel.session:
        if full == 1 and now - channel.alive_time > max_age:
            adopt(channel, session, sequence)
            return APPLY
        channel.duplicates += 1
        return IGNORE
    if sequence == channel.sequence + 1:
        channel.sequence = sequence
        return APPLY
    if sequence > channel.sequence:
        if full == 1:
            channel.gaps += 1
            adopt(channel, session, sequence)
            return APPLY
        return BREAK
    if sequence >= channel.run_start:
        channel.duplicates += 1
        return IGNORE
    adopt(channel, session, sequence)
    return BREAK


@njit(cache=True, nogil=True)
def break_run(channel):
    """The book is untrusted until the next full record; counts the first break of a run."""
    if channel.state == SYNCED:
        channel.gaps += 1
    channel.state = GAP
