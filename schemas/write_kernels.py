"""The interpreter of `schemas.kernels` the other way: rows and elements into bytes.

Helpers return the next position in `out`, or minus the code of what is wrong with the value.
"""

from __future__ import annotations

import numpy as np

from schemas.batch import Bytes, Ints
from schemas.kernels import (
    BAD_BOOLEAN,
    BAD_UNION,
    BAD_UTF8,
    NEGATIVE_LENGTH,
    OK,
    TRUNCATED,
    Cell,
    Pair,
    check_utf8,
    inlined,
    kernel,
)
from schemas.program import ARRAY, ARRAY_END, BOOLEAN, BYTES, DOUBLE, FLOAT, LONGS, UNION, VARINT

FULL = 1000  # no reason, but: `out` has no room for the value
LONG_BYTES = 10  # the most that one varint takes
LOW_57 = 2**57 - 1


@inlined
def write_long(out: Bytes, pos: Cell, value: Cell) -> Cell:
    """Zigzag varint at `pos`, where ten bytes must be free; return the next position."""
    rest = (value << 1) ^ (value >> 63)
    while rest < 0 or rest > 0x7F:
        out[pos] = (rest & 0x7F) | 0x80
        rest = (rest >> 7) & LOW_57
        pos += 1
    out[pos] = rest
    return pos + 1


@inlined
def write_bytes(out: Bytes, pos: Cell, data: Bytes, start: Cell, length: Cell, text: Cell) -> Cell:
    """Length and bytes of a string (`text` = 1) or of bytes."""
    if start < 0 or length < 0:
        return np.int64(-NEGATIVE_LENGTH)
    if length > len(data) or start > len(data) - length:
        return np.int64(-TRUNCATED)
    if text == 1 and not check_utf8(data, start, start + length):
        return np.int64(-BAD_UTF8)
    if length > len(out) - pos - LONG_BYTES:
        return np.int64(-FULL)
    pos = write_long(out, pos, length)
    for i in range(length):
        out[pos + i] = data[start + i]
    return pos + length


@inlined
def write_longs(out: Bytes, pos: Cell, items: Ints, start: Cell, count: Cell) -> Cell:
    """`count` varints."""
    if count > (len(out) - pos) // LONG_BYTES:
        return np.int64(-FULL)
    for i in range(start, start + count):
        pos = write_long(out, pos, items[i])
    return pos


@inlined
def write_fixed(out: Bytes, pos: Cell, op: Cell, bits: Cell) -> Cell:
    """A boolean, or a float or double from the bits of a float64."""
    size = 1 if op == BOOLEAN else 4 if op == FLOAT else 8
    if op == BOOLEAN and (bits < 0 or bits > 1):
        return np.int64(-BAD_BOOLEAN)
    if op == FLOAT:
        bits = np.int64(np.float32(np.int64(bits).view(np.float64)).view(np.int32))
    for i in range(size):
        out[pos + i] = (bits >> (8 * i)) & 0xFF
    return pos + size


@inlined
def array_code(items: Ints, start: Cell, count: Cell, width: Cell) -> Cell:
    """OK where `count` elements from `start` on lie within `items`."""
    if start < 0 or count < 0:
        return NEGATIVE_LENGTH
    if count > len(items) or count * width > len(items) or start > len(items) - count * width:
        return TRUNCATED
    return OK


@inlined
def write_record(
    rows: Ints,
    row: Cell,
    items: Ints,
    data: Bytes,
    table: Ints,
    out: Bytes,
    pos: Cell,
) -> Cell:
    """The record whose slot 0 is `rows[row]`."""
    pc = 0
    left = np.int64(0)  # elements still to be written of the array we are in
    source, base = rows, row  # an element's fields come from `items`, all others from `rows`
    while True:
        op = table[pc, 0]
        slot = base + table[pc, 1]
        if pos > len(out) - LONG_BYTES:
            return np.int64(-FULL)
        if op == VARINT:
            value = source[slot]
            pos = write_long(out, pos, value)
            if value < table[pc, 2] or value > table[pc, 3]:
                pos = -table[pc, 4]
        elif op == BYTES:
            pos = write_bytes(out, pos, data, source[slot], source[slot + 1], table[pc, 2])
        elif op == UNION:
            branch = source[slot]
            pos = write_long(out, pos, branch)
            if branch < 0 or branch > 1:
                pos = np.int64(-BAD_UNION)
            if branch == table[pc, 2]:
                pc = table[pc, 4] - 1
        elif op in (LONGS, ARRAY):
            start, left = source[slot], source[slot + 1]
            width = table[pc, 2]
            code = array_code(items, start, left, width)
            if code != OK:
                return np.int64(-code)
            pos = write_long(out, pos, left)
            if op == LONGS and left > 0:
                pos = write_longs(out, pos, items, start, left * width)
                if pos >= 0 and pos < len(out):
                    pos = write_long(out, pos, np.int64(0))
                elif pos >= 0:
                    pos = np.int64(-FULL)
            elif op == ARRAY and left > 0:
                source, base = items, start
            elif op == ARRAY:
                pc = table[pc, 4] - 1
        elif op == ARRAY_END:
            left -= 1
            if left > 0:
                pc = table[pc, 2]
                base += table[pc, 2]
            else:
                pos = write_long(out, pos, left)
                source, base = rows, row
        elif op in (BOOLEAN, FLOAT, DOUBLE):
            pos = write_fixed(out, pos, op, source[slot])
        else:
            return pos
        if pos < 0:
            return pos
        pc += 1


@kernel
def encode(
    rows: Ints,
    width: Cell,
    items: Ints,
    data: Bytes,
    table: Ints,
    head: Bytes,
    out: Bytes,
    starts: Ints,
    lengths: Ints,
) -> Pair:
    """Encode all rows, each after a copy of `head`; return (code, row or bytes in use).

    `rows` is int64 of shape (n * width,). On any code but OK the second value is the row at fault.
    """
    pos = np.int64(0)
    for i in range(len(starts)):
        start = pos
        if pos > len(out) - len(head):
            return FULL, i
        for j in range(len(head)):
            out[pos + j] = head[j]
        pos = write_record(rows, i * width, items, data, table, out, pos + len(head))
        if pos < 0:
            return -pos, i
        starts[i] = start
        lengths[i] = pos - start
    return OK, pos
