"""The interpreter that walks a compiled schema over the bytes of a batch.

Positions are indices into `data`. A helper that fails returns a position below zero: minus the code
of `schemas.reasons.Reason`. No helper reads at or after `end`, the end of its own record.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
from numba import njit

from schemas.batch import Bytes, Ints
from schemas.program import ARRAY, ARRAY_END, BOOLEAN, BYTES, DOUBLE, FLOAT, LONGS, UNION, VARINT
from schemas.reasons import Reason

Cell: TypeAlias = Any  # an int64, or the Python int it came from
Pair: TypeAlias = tuple[Any, Any]
Number = TypeVar("Number", bound=np.generic)
Function = TypeVar("Function", bound=Callable[..., Any])

# numba counts references to every array that a helper is given, and an atomic addition or two a field
# made a delta of 20 levels take 1.0 us instead of 0.23. No kernel here makes or keeps an array, so
# nothing needs counting.
kernel: Callable[[Function], Function] = njit(cache=True, nogil=True, _nrt=False)  # type: ignore[call-overload]  # its stubs lack _nrt
inlined: Callable[[Function], Function] = njit(  # type: ignore[call-overload]  # likewise
    cache=True, nogil=True, _nrt=False, forceinline=True
)

OK = int(Reason.OK)
TRUNCATED = int(Reason.TRUNCATED)
BAD_VARINT = int(Reason.BAD_VARINT)
BAD_UNION = int(Reason.BAD_UNION)
BAD_BOOLEAN = int(Reason.BAD_BOOLEAN)
BAD_UTF8 = int(Reason.BAD_UTF8)
NEGATIVE_LENGTH = int(Reason.NEGATIVE_LENGTH)
TRAILING_BYTES = int(Reason.TRAILING_BYTES)
UNKNOWN_SCHEMA = int(Reason.UNKNOWN_SCHEMA)
TOO_MANY_ITEMS = int(Reason.TOO_MANY_ITEMS)
NULL_VALUE = int(Reason.NULL_VALUE)

LOW_63 = 2**63 - 1
SINGLE_OBJECT_BYTES = 10  # C3 01 and the fingerprint
CONFLUENT_BYTES = 5  # 0 and the id

TOP_BITS = -0x7F7F7F7F7F7F7F80  # 0x80 in each of eight bytes, as an int64
LOW_BITS = 0x7F7F7F7F7F7F7F7F
ONES = 0x0101010101010101
BYTES_BY_STOP = 0x0102030405060708  # times 1 << 8k it has k + 1 in its top byte


def frozen(array: npt.NDArray[Number], kind: type[Number]) -> npt.NDArray[Number]:
    """Contiguous and read-only, so that the kernels are compiled for one type."""
    view = np.ascontiguousarray(array, kind).view()
    view.flags.writeable = False
    return view


@inlined
def read_word(data: Bytes, pos: Cell) -> Cell:
    """Eight bytes, little-endian; unsigned indices, so that LLVM sees one load of eight bytes."""
    at = np.uint64(pos)
    word = np.int64(data[at])
    word |= np.int64(data[at + np.uint64(1)]) << 8
    word |= np.int64(data[at + np.uint64(2)]) << 16
    word |= np.int64(data[at + np.uint64(3)]) << 24
    word |= np.int64(data[at + np.uint64(4)]) << 32
    word |= np.int64(data[at + np.uint64(5)]) << 40
    word |= np.int64(data[at + np.uint64(6)]) << 48
    word |= np.int64(data[at + np.uint64(7)]) << 56
    return word


@inlined
def unzigzag(value: Cell) -> Cell:
    """0, 1, 2, 3 ... to 0, -1, 1, -2 ...: the shift must not carry the sign along."""
    return ((value >> 1) & LOW_63) ^ -(value & 1)


@kernel
def read_long_slowly(data: Bytes, pos: Cell, end: Cell) -> Pair:
    """Zigzag varint at `pos`, byte by byte; return (value, next position).

    At most ten bytes, of which the tenth holds the one bit that is left of 64.
    """
    value = np.int64(0)
    shift = 0
    while pos < end:
        byte = np.int64(data[pos])
        pos += 1
        if shift == 63 and byte > 1:
            return np.int64(0), np.int64(-BAD_VARINT)
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return unzigzag(value), pos
        shift += 7
    return np.int64(0), np.int64(-TRUNCATED)


@inlined
def read_long(data: Bytes, pos: Cell, end: Cell) -> Pair:
    """Zigzag varint at `pos`; return (value, next position).

    Up to nine bytes are taken without a loop: the lowest clear top bit marks the last byte, and three
    steps close the gaps between groups of 7 bits. Loops of unforeseeable length cost 5 ns each.
    """
    if pos + 9 > end:
        return read_long_slowly(data, pos, end)
    word = read_word(data, pos)
    stops = ~word & TOP_BITS
    last = stops & -stops
    value = word & LOW_BITS & (last ^ (last - 1))
    value = (value & 0x007F007F007F007F) | ((value & 0x7F007F007F007F00) >> 1)
    value = (value & 0x00003FFF00003FFF) | ((value & 0x3FFF00003FFF0000) >> 2)
    value = (value & 0x000000000FFFFFFF) | ((value & 0x0FFFFFFF00000000) >> 4)
    taken = (((last >> 7) & ONES) * BYTES_BY_STOP) >> 56
    if stops == 0:
        byte = np.int64(data[pos + 8])
        if byte > 0x7F:
            return read_long_slowly(data, pos, end)
        value |= byte << 56
        taken = np.int64(9)
    return unzigzag(value), pos + taken


@kernel
def read_longs(data: Bytes, pos: Cell, end: Cell, out: Ints, used: Cell, count: Cell) -> Cell:
    """`count` varints into `out` from `used` on; return the next position."""
    for i in range(used, used + count):
        out[i], pos = read_long(data, pos, end)
        if pos < 0:
            return pos
    return pos


@inlined
def read_bits(data: Bytes, pos: Cell, size: Cell) -> Cell:
    """`size` bytes (at most 8), little-endian."""
    bits = np.int64(0)
    for i in range(size):
        bits |= np.int64(data[pos + i]) << (8 * i)
    return bits


@inlined
def check_utf8(data: Bytes, pos: Cell, end: Cell) -> bool:
    """Whether the bytes are UTF-8 as Unicode's table 3-7 has it: nothing overlong, no surrogates."""
    while pos < end:
        lead = data[pos]
        pos += 1
        if lead < 0x80:
            continue
        if lead < 0xC2 or lead > 0xF4:
            return False
        more = 1 if lead < 0xE0 else 2 if lead < 0xF0 else 3
        if pos + more > end:
            return False
        least = 0xA0 if lead == 0xE0 else 0x90 if lead == 0xF0 else 0x80
        most = 0x9F if lead == 0xED else 0x8F if lead == 0xF4 else 0xBF
        for i in range(pos, pos + more):
            if data[i] < least or data[i] > most:
                return False
            least, most = 0x80, 0xBF
        pos += more
    return True


@inlined
def read_header(data: Bytes, pos: Cell, end: Cell, fingerprint: Cell, ids: Ints) -> Cell:
    """Skip either framing; return the position of the body."""
    if pos == end:
        return -TRUNCATED
    if data[pos] == 0xC3 and (pos + 1 == end or data[pos + 1] == 1):
        if pos + SINGLE_OBJECT_BYTES > end:
            return -TRUNCATED
        if read_bits(data, pos + 2, 8) == fingerprint:
            return pos + SINGLE_OBJECT_BYTES
    elif data[pos] == 0:
        if pos + CONFLUENT_BYTES > end:
            return -TRUNCATED
        number = np.int64(0)
        for i in range(pos + 1, pos + CONFLUENT_BYTES):
            number = number << 8 | np.int64(data[i])
        for known in ids:
            if known == number:
                return pos + CONFLUENT_BYTES
    return -UNKNOWN_SCHEMA


@inlined
def read_block(data: Bytes, pos: Cell, end: Cell, least: Cell) -> Pair:
    """Head of an array's block; return (elements in it, next position), 0 elements at the array's end.

    A count below zero is followed by the block's size in bytes, which only who skips it needs.
    """
    count, pos = read_long(data, pos, end)
    if pos < 0 or count == 0:
        return 0, pos
    if count < 0:
        _, pos = read_long(data, pos, end)
        if pos < 0:
            return 0, pos
        count = -count
    # The least long is its own negative, hence the first test.
    if count < 0 or count > end - pos or count * least > end - pos:
        return 0, -TOO_MANY_ITEMS
    return count, pos


@inlined
def read_array_of_longs(data: Bytes, pos: Cell, end: Cell, out: Ints, used: Cell, width: Cell) -> Pair:
    """All blocks of an array whose elements are `width` longs; return (elements, next position)."""
    total = 0
    while True:
        count, pos = read_block(data, pos, end, width)
        if pos < 0 or count == 0:
            return total, pos
        pos = read_longs(data, pos, end, out, used + total * width, count * width)
        if pos < 0:
            return total, pos
        total += count


@inlined
def read_bytes(data: Bytes, pos: Cell, end: Cell, text: Cell) -> Pair:
    """Length and bytes of a string (`text` = 1) or of bytes; return (length, next position)."""
    length, pos = read_long(data, pos, end)
    if pos < 0:
        return 0, pos
    if length < 0:
        return 0, -NEGATIVE_LENGTH
    if length > end - pos:
        return 0, -TRUNCATED
    if text == 1 and not check_utf8(data, pos, pos + length):
        return 0, -BAD_UTF8
    return length, pos + length


@inlined
def read_fixed(data: Bytes, pos: Cell, end: Cell, op: Cell) -> Pair:
    """A boolean, or the float64 bits of a float or double."""
    size = 1 if op == BOOLEAN else 4 if op == FLOAT else 8
    if size > end - pos:
        return 0, -TRUNCATED
    bits = read_bits(data, pos, size)
    if op == BOOLEAN and bits > 1:
        return 0, -BAD_BOOLEAN
    if op == FLOAT:
        bits = np.float64(np.int32(bits).view(np.float32)).view(np.int64)
    return bits, pos + size


@inlined
def read_record(
    data: Bytes,
    pos: Cell,
    end: Cell,
    table: Ints,
    out: Ints,
    row: Cell,
    origin: Cell,
    used: Cell,
) -> Pair:
    """One record's body into `out` from `row` on, elements from `used` on; return (position, used).

    Where an array starts is told from `origin` on.
    """
    pc = 0
    left = 0  # elements still to come in the current block
    base = row  # where slot 0 is: of the record, or of the element we are in
    array = row  # slot of the array we are in
    while True:
        op = table[pc, 0]
        slot = base + table[pc, 1]
        if op == VARINT:
            value, pos = read_long(data, pos, end)
            if pos >= 0 and (value < table[pc, 2] or value > table[pc, 3]):
                pos = -table[pc, 4]
            out[slot] = value
        elif op == BYTES:
            length, pos = read_bytes(data, pos, end, table[pc, 2])
            out[slot] = pos - length
            out[slot + 1] = length
        elif op == UNION:
            branch, pos = read_long(data, pos, end)
            if pos >= 0 and (branch < 0 or branch > 1):
                pos = np.int64(-BAD_UNION)
            out[slot] = branch
            if branch == table[pc, 2]:
                for i in range(slot + 1, slot + 1 + table[pc, 3]):
                    out[i] = 0
                pc = table[pc, 4] - 1
        elif op == LONGS:
            count, pos = read_array_of_longs(data, pos, end, out, used, table[pc, 2])
            out[slot] = used - origin
            out[slot + 1] = count
            used += count * table[pc, 2]
        elif op in (ARRAY, ARRAY_END):
            if op == ARRAY:
                array = slot
                out[array] = used - origin
                out[array + 1] = 0
                left, pos = read_block(data, pos, end, table[pc, 3])
            else:
                pc = table[pc, 2]
                out[array + 1] += 1
                used += table[pc, 2]
                left -= 1
                if left == 0:
                    left, pos = read_block(data, pos, end, table[pc, 3])
            base = used
            if left == 0:
                base = row
                pc = table[pc, 4] - 1
        elif op in (BOOLEAN, FLOAT, DOUBLE):
            out[slot], pos = read_fixed(data, pos, end, op)
        else:
            return pos, used
        if pos < 0:
            return pos, used
        pc += 1


@inlined
def decode(
    data: Bytes,
    starts: Ints,
    lengths: Ints,
    table: Ints,
    width: Cell,
    fingerprint: Cell,
    ids: Ints,
    out: Ints,
    status: Ints,
) -> Cell:
    """Decode all records; return the slots of `out` in use, or -1 - i where record i is not within `data`.

    `out` is int64: n rows of `width` slots, then the elements; it must hold `Program.density` slots
    more for every byte. A refused record leaves its row zero and takes no elements.
    """
    origin = len(starts) * width
    used = origin
    for i in range(len(starts)):
        row = i * width
        after = used
        if lengths[i] < 0:
            pos = np.int64(-NULL_VALUE)
        else:
            # Not start + length, which may pass the largest int64.
            if starts[i] < 0 or starts[i] > len(data) or lengths[i] > len(data) - starts[i]:
                return -1 - i
            end = starts[i] + lengths[i]
            pos = read_header(data, starts[i], end, fingerprint, ids)
            if pos >= 0:
                pos, after = read_record(data, pos, end, table, out, row, origin, used)
                if pos >= 0 and pos != end:
                    pos = np.int64(-TRAILING_BYTES)
        status[i] = OK
        if pos < 0:
            status[i] = -pos
            out[row : row + width] = 0
            after = used
        used = after
    return used
