"""May this record be applied? The feed's session and sequence decide, and nothing is believed for ever.

A flipped bit in a sequence or a session must not lock a book out, nor hide an update that was missed:
- a sequence that ran ahead is unmasked by the next record below the run it started;
- a record that has the last one's number and is not the same is no duplicate;
- a session is doubted while only one record speaks for it and an older one goes on; once it has fallen
  silent, an older one may take over.
"""

from __future__ import annotations

from strategies.kernels.jit import inner
from strategies.kernels.layout import EMPTY, GAP, STALE, SYNCED

IGNORE, APPLY, BREAK, REPEATED = 0, 1, 2, 3
ODD = 0x5851F42D4C957F2D  # Knuth's multiplier (MMIX): spreads every bit over the upper half


@inner
def weigh(items, start, count):
    """Sum of `count` levels, each number with an odd weight of its own: one change always shows."""
    total = 0
    for i in range(2 * count):
        total += items[start + i] * ((2 * i + 1) * ODD)
    return total


@inner
def digest_of(record, items):
    """A number that differs, but for 1 in 2^64, where two records of one sequence differ."""
    value = weigh(items, record.bid_start, record.bid_count)
    value = value * ODD + weigh(items, record.ask_start, record.ask_count)
    value = value * ODD + record.receive_time
    value = value * ODD + record.event_time
    value = value * ODD + record.update_id
    value = value * ODD + record.bid_count * 65_536 + record.ask_count
    small = record.kind + 8 * record.state + 64 * record.checksum
    return value * ODD + small + 512 * record.key_frame + 1_024 * record.recorded


@inner
def is_known(channel):
    """True where the channel holds a book: stale is silent, but nothing was missed."""
    return channel.state == SYNCED or channel.state == STALE


@inner
def adopt(channel, record, digest):
    """Start a new unbroken run with this record."""
    channel.session = record.session
    channel.sequence = record.sequence
    channel.run_start = record.sequence
    channel.digest = digest


@inner
def start_over(channel, record, digest):
    """Start a new run with a record that says all: what was held misses something, and is not compared."""
    adopt(channel, record, digest)
    channel.state = GAP


@inner
def admit_older(channel, record, digest, full, now, max_age):
    """Decide on a record of a session older than the channel's."""
    if full == 1 and now - channel.alive_time > max_age:
        start_over(channel, record, digest)
        return APPLY
    if channel.sequence == channel.run_start and record.receive_time >= channel.session:
        adopt(channel, record, digest)
        return REPEATED
    channel.duplicates += 1
    return IGNORE


@inner
def admit(channel, record, digest, full, now, max_age):
    """Decide on a record: APPLY it, IGNORE it, or BREAK or REPEATED (untrusted until the next full one).

    `full` is 1 for records that say all there is to know (snapshot, quote, clear); `digest` is the
    record's. REPEATED: this number was taken by another record, or two feeds run. Counts what it saw.
    """
    if channel.state == EMPTY or record.session > channel.session:
        if full == 1:
            start_over(channel, record, digest)
            return APPLY
        return IGNORE if channel.state == EMPTY else BREAK
    if record.session < channel.session:
        return admit_older(channel, record, digest, full, now, max_age)
    sequence = record.sequence
    if sequence == channel.sequence + 1:
        channel.sequence = sequence
        channel.digest = digest
        return APPLY
    if sequence > channel.sequence:
        if full == 1:
            channel.gaps += 1
            start_over(channel, record, digest)
            return APPLY
        return BREAK
    if sequence == channel.sequence and digest != channel.digest:
        adopt(channel, record, digest)
        return REPEATED
    if sequence >= channel.run_start:
        channel.duplicates += 1
        return IGNORE
    adopt(channel, record, digest)
    return BREAK


@inner
def break_run(channel):
    """The book is untrusted until the next full record; counts the first break of a run."""
    if is_known(channel):
        channel.gaps += 1
    channel.state = GAP
