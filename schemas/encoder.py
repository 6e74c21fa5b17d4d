"""Arrays into a batch of messages, without a Python object per record."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from schemas import write_kernels
from schemas.batch import Bytes, Ints, Messages
from schemas.catalog import Schema, header
from schemas.kernels import frozen
from schemas.program import Array, Program, compile_program
from schemas.reasons import Reason


class Encoder:
    """Encodes records of one schema from the slots that `schemas.columns.Decoder` decodes them to.

    Single-object encoding, or Confluent's where `schema_id` is given.

    Raises UnsupportedSchemaError where columns cannot hold the schema.
    """

    def __init__(self, schema: Schema | str, schema_id: int | None = None) -> None:
        self._program: Program = compile_program(schema)
        self.slots: Mapping[str, int] = self._program.slots
        self.width: int = self._program.width
        head = header(schema) if schema_id is None else b"\x00" + schema_id.to_bytes(4, "big")
        self._head = np.frombuffer(head, np.uint8)

    def array(self, name: str) -> Array:
        """Width and slots of the elements of array `name`."""
        return self._program.arrays[name]

    def encode(self, rows: Ints, items: Ints, data: Bytes) -> Messages:
        """Encode `rows`, int64 of shape (n, width), whose arrays lie in `items` and strings in `data`.

        Raises ValueError naming the row that no record of the schema can say.
        """
        n = len(rows)
        flat = frozen(rows, np.int64).reshape(-1)
        if flat.size != n * self.width:
            raise ValueError(f"rows have shape {rows.shape}, expected (n, {self.width})")
        items, data = frozen(items, np.int64), frozen(data, np.uint8)
        starts, lengths = np.empty(n, np.int64), np.empty(n, np.int64)
        # A guess that most batches fit in: half of what the numbers can take at most.
        room = n * (len(self._head) + 5 * self.width) + 5 * len(items) + len(data) + 64
        while True:
            out = np.empty(room, np.uint8)
            code, where = write_kernels.encode(
                flat, self.width, items, data, self._program.table, self._head, out, starts, lengths
            )
            if code == Reason.OK:
                return Messages(out[:where], starts, lengths)
            if code != write_kernels.FULL:
                raise ValueError(f"row {where} cannot be encoded: {Reason(int(code)).sentence}")
            room *= 2
