"""A batch of messages into arrays, without a Python object per record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from schemas import kernels
from schemas.batch import Bytes, Ints, Messages
from schemas.catalog import Schema, fingerprint, schema
from schemas.encoder import Encoder
from schemas.kernels import CONFLUENT_BYTES, SINGLE_OBJECT_BYTES, frozen
from schemas.program import Array, Program, compile_program
from schemas.reasons import Reason
from schemas.writers import Check, Lookup, Writers

__all__ = ["Columns", "Decoder", "Encoder", "warm"]


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
    """Decodes the records of one schema into the slots of docs/decisions/0001-plan.md.

    `slots` maps a field to its first slot, `width` is the number of slots. Single-object encoding is
    read always; `ids` are the Confluent ids of this very schema, and `lookup` tells the writer's
    schema of an id not met before (None where there is none; what it raises, `decode` raises).
    Records of committed previous versions, or of a looked-up schema, are converted one by one.

    Raises UnsupportedSchemaError where columns cannot hold the schema.
    """

    def __init__(
        self,
        schema: Schema | str,
        ids: Iterable[int] = (),
        lookup: Lookup | None = None,
    ) -> None:
        self._program: Program = compile_program(schema)
        self.slots: Mapping[str, int] = self._program.slots
        self.width: int = self._program.width
        self.fingerprint: int = fingerprint(schema)
        self._signed = int(np.uint64(self.fingerprint).astype(np.int64))
        self._ids = np.array(sorted(ids), np.int64)
        self._writers = Writers(schema, lookup, _checker)

    def array(self, name: str) -> Array:
        """Width and slots of the elements of array `name`."""
        return self._program.arrays[name]

    def decode(self, messages: Messages) -> Columns:
        """Decode all messages; no byte of one can change what comes of another.

        Raises ValueError where `starts` and `lengths` point outside of `data`.
        """
        columns = self._decode(messages)
        unknown = np.flatnonzero(columns.status == Reason.UNKNOWN_SCHEMA)
        if len(unknown) and self._writers:
            return self._convert(messages, columns, unknown)
        return columns

    def body(self, message: bytes | None) -> bytes | Reason:
        """The body of one message in this schema, without its header, or why it is refused."""
        columns = self.decode(Messages.of([message]))
        reason = Reason(int(columns.status[0]))
        if reason != Reason.OK or message is None:
            return reason
        # A converted record stands after the original.
        current = columns.data[len(message) :].tobytes() or message
        return current[SINGLE_OBJECT_BYTES if current[:1] == b"\xc3" else CONFLUENT_BYTES :]

    def _decode(self, messages: Messages) -> Columns:
        n, width = len(messages), self.width
        data = frozen(messages.data, np.uint8)
        starts, lengths = frozen(messages.starts, np.int64), frozen(messages.lengths, np.int64)
        slots, least = self._program.density
        # Never touched, never resident: the pages that no element fills cost no memory.
        room = int(np.clip(lengths, 0, len(data)).sum()) * slots // least + 1
        out = np.empty(n * width + room, np.int64)
        status = np.empty(n, np.int64)
        used = kernels.decode(
            data, starts, lengths, self._program.table, width, self._signed, self._ids, out, status
        )
        if used < 0:
            raise ValueError(f"message {-1 - used} does not lie within the {len(data)} bytes of the buffer")
        return Columns(out[: n * width].reshape(n, width), out[n * width : used], status, data)

    def _convert(self, messages: Messages, columns: Columns, unknown: Ints) -> Columns:
        """Decode once more, the records at `unknown` as converted from their writer's schema."""
        verdicts = {int(i): self._writers.convert(messages[i] or b"") for i in unknown}
        found = {i: verdict for i, verdict in verdicts.items() if isinstance(verdict, bytes)}
        if found:
            added = Messages.of(list(found.values()))
            starts, lengths = messages.starts.copy(), messages.lengths.copy()
            at = np.fromiter(found, np.int64, len(found))
            starts[at], lengths[at] = added.starts + len(messages.data), added.lengths
            columns = self._decode(Messages(np.concatenate([messages.data, added.data]), starts, lengths))
        for i, verdict in verdicts.items():
            if isinstance(verdict, Reason):
                columns.status[i] = verdict
        return columns


def warm() -> None:
    """Compile the kernels, or load them from numba's cache, by decoding and encoding one record."""
    record = schema("BookUpdate")
    decoder, encoder = Decoder(record), Encoder(record)
    rows = np.zeros((1, encoder.width), np.int64)
    decoder.decode(encoder.encode(rows, np.zeros(0, np.int64), np.zeros(0, np.uint8)))


def _checker(schema: Schema) -> Check:
    """The test whether a message is a well-formed record of `schema`, by the kernel that reads all others."""
    decoder = Decoder(schema)

    def check(message: bytes) -> Reason:
        return Reason(int(decoder._decode(Messages.of([message])).status[0]))

    return check
