"""A batch of messages into arrays, and back, without a Python object per record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from schemas import kernels
from schemas.batch import Bytes, Ints, Messages
from schemas.catalog import Schema, fingerprint
from schemas.program import Array, compile_program


@dataclass(frozen=True, slots=True)
class Columns:
    """n records: `rows` int64 (n, slots), `items` int64 (m,), `status` int64 (n,).

    `status` holds codes of `schemas.reasons.Reason`; the row of a refused record is all zeros.
    Strings and bytes are (start, length) in `data`, which is the buffer of the messages, longer
    only where records of older writers had to be converted.
    """

    rows: Ints
    items: Ints
    status: Ints
    data: Bytes

    def __len__(self) -> int:
        return len(self.rows)


class Decoder:
    """Decodes the records of one schema, as of docs/decisions/0001-plan.md.

    `slots` maps a field to its first slot. `ids` are the Confluent ids of this very schema.
    """

    def __init__(self, schema: Schema | str, ids: Iterable[int] = ()) -> None:
        program = compile_program(schema)
        self.slots: Mapping[str, int] = program.slots
        self.width: int = program.width
        self.fingerprint: int = fingerprint(schema)
        self._program = program
        self._signed = int(np.uint64(self.fingerprint).astype(np.int64))
        self._ids = np.array(sorted(ids), np.int64)

    def array(self, name: str) -> Array:
        """Width and slots of the elements of array `name`."""
        return self._program.arrays[name]

    def decode(self, messages: Messages) -> Columns:
        """Decode all messages."""
        n, width = len(messages), self.width
        data, starts, lengths = _frozen(messages)
        slots, least = self._program.density
        room = int(np.maximum(lengths, 0).sum()) * slots // least + 1
        out = np.empty(n * width + room, np.int64)
        status = np.empty(n, np.int64)
        scratch = np.empty(1, np.float32), np.empty(1, np.float64)
        used = kernels.decode(
            data, starts, lengths, self._program.table, width, self._signed, self._ids, out, status, *scratch
        )
        rows, items = out[: n * width].reshape(n, width), out[n * width : used]
        return Columns(rows, items, status, data)


def _frozen(messages: Messages) -> tuple[Bytes, Ints, Ints]:
    """The arrays of `messages`, contiguous and read-only, so that the kernel is compiled for one type."""
    data = np.ascontiguousarray(messages.data, np.uint8).view()
    starts = np.ascontiguousarray(messages.starts, np.int64).view()
    lengths = np.ascontiguousarray(messages.lengths, np.int64).view()
    for array in (data, starts, lengths):
        array.flags.writeable = False
    return data, starts, lengths
