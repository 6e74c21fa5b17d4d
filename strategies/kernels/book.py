"""Depth of one side: sorted levels with signed keys, the best one last.

`keys` and `sizes` are the int64 rows of one (book, side), `count` the levels in use. A key is the price
for bids and minus the price for asks, so a larger key is always the better one.
"""

from __future__ import annotations

from strategies.kernels.jit import inner
from strategies.kernels.layout import NONE


@inner
def find(keys, count, key):
    """Index of the first level whose key is at least `key`; `count` if there is none.

    Gallops from the best level, since most updates lie near the top.
    """
    high = count
    step = 1
    low = count - 1
    while low >= 0 and keys[low] >= key:
        high = low
        low -= step
        step += step
    if low < -1:
        low = -1
    while high - low > 1:
        middle = (high + low) >> 1
        if keys[middle] >= key:
            high = middle
        else:
            low = middle
    return high


@inner
def remove_worst(keys, sizes, count, keep):
    """Cut the side to its `keep` best levels; returns the count and the best key cut off (or NONE)."""
    surplus = count - keep
    if surplus <= 0:
        return count, NONE
    cut = keys[surplus - 1]
    for i in range(keep):
        keys[i] = keys[i + surplus]
        sizes[i] = sizes[i + surplus]
    return keep, cut


@inner
def set_level(keys, sizes, count, key, size):
    """Set one level to an absolute size, 0 removes it; removing an absent level is normal.

    The caller sees to it that one more level fits. Returns the new count.
    """
    at = find(keys, count, key)
    present = at < count and keys[at] == key
    if size == 0:
        if present:
            count -= 1
            for i in range(at, count):
                keys[i] = keys[i + 1]
                sizes[i] = sizes[i + 1]
    elif present:
        sizes[at] = size
    else:
        for i in range(count, at, -1):
            keys[i] = keys[i - 1]
            sizes[i] = sizes[i - 1]
        keys[at] = key
        sizes[at] = size
        count += 1
    return count


@inner
def apply_delta(keys, sizes, count, horizon, items, start, n, sign, depth, capacity, venue_cuts):
    """Apply `n` levels (price, size) of `items`; returns (count, horizon).

    Levels at or below the horizon are unknown and stay so until the next snapshot: once our own limit
    has cut a level off, what lies there cannot be told. A venue that cuts its own book resends what
    comes back, so its book is cut after the whole message (Kraken v2), without a horizon unless the
    message alone was too much for `capacity`.
    """
    for i in range(n):
        key = sign * items[start + 2 * i]
        if key <= horizon:
            continue
        if count == capacity:
            count, horizon = remove_worst(keys, sizes, count, depth)
            if key <= horizon:
                continue
        count = set_level(keys, sizes, count, key, items[start + 2 * i + 1])
    if venue_cuts != 0:
        count, _ = remove_worst(keys, sizes, count, depth)
    return count, horizon


@inner
def load_snapshot(keys, sizes, items, start, n, sign, depth, capacity, venue_cuts):
    """Replace the side by `n` levels of `items`, best first as a rule; returns (count, horizon).

    Levels of size 0 are left out. Levels beyond `depth` are cut off. A snapshot that fills `depth` may
    have been cut to it before it came (a feed's key frames are): the horizon lies right below its worst.
    """
    ordered = True
    for i in range(1, n):
        if sign * items[start + 2 * i] >= sign * items[start + 2 * i - 2]:
            ordered = False
            break
    if not ordered:
        count, horizon = apply_delta(keys, sizes, 0, NONE, items, start, n, sign, depth, capacity, venue_cuts)
        if count >= depth and horizon == NONE and venue_cuts == 0:
            horizon = keys[0] - 1
        return count, horizon
    used = 0
    for i in range(n):
        if items[start + 2 * i + 1] > 0:
            used += 1
    keep = min(used, depth)
    horizon = NONE
    at = keep
    for i in range(n):
        size = items[start + 2 * i + 1]
        if size == 0:
            continue
        key = sign * items[start + 2 * i]
        if at == 0:
            horizon = key
            break
        at -= 1
        keys[at] = key
        sizes[at] = size
    if used == depth:
        horizon = keys[0] - 1
    return keep, horizon if venue_cuts == 0 else NONE


@inner
def frame_agrees(keys, sizes, count, horizon, items, start, n, sign, depth, venue_cuts):
    """True where a key frame of `n` levels, best first, shows what the side holds, as far as both can know.

    The frame may be cut to `depth` levels or more, and so is ours where the venue cuts; ours knows nothing
    at or below its horizon.
    """
    shared = 0
    for i in range(n):
        size = items[start + 2 * i + 1]
        if size == 0:
            continue
        key = sign * items[start + 2 * i]
        at = count - 1 - shared
        if at < 0:
            return (horizon != NONE and key <= horizon) or (venue_cuts != 0 and shared >= depth)
        if keys[at] != key or sizes[at] != size:
            return False
        shared += 1
    return shared == count or shared >= depth
