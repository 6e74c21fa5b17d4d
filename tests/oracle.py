"""The slow twin of the decoder: what is a well-formed record, by `avro` and fastavro together.

A value is accepted where both read it, to its last byte and to the same record. Two rules are added
where both are laxer than the decoder: a boolean is 0 or 1, an int fits 32 bits.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterable
from typing import Any

import avro.errors
import avro.io
import avro.schema
import fastavro

from schemas.catalog import header, schema, version, versions

Record = dict[str, Any]

# What the two libraries raise on bytes that are no record of the schema.
REFUSALS = (
    avro.errors.AvroException,
    fastavro.read.SchemaResolutionError,
    EOFError,
    IndexError,
    KeyError,
    MemoryError,
    OverflowError,
    TypeError,
    ValueError,
)


class RefusedError(Exception):
    """The bytes break a rule that a library does not hold."""


class StrictDecoder(avro.io.BinaryDecoder):
    """avro's decoder with the two rules."""

    def read_boolean(self) -> bool:
        byte = self.read(1)
        if byte not in (b"\x00", b"\x01"):
            raise RefusedError("boolean")
        return byte == b"\x01"

    def read_int(self) -> int:
        value = self.read_long()
        if not -(2**31) <= value < 2**31:
            raise RefusedError("int")
        return value

    def skip_long(self) -> None:
        """The size of a block, which avro passes over unread."""
        self.read_long()


class Reader:
    """Bodies written with one schema, read as another (by default the same)."""

    def __init__(self, writer: dict[str, Any], reader: dict[str, Any] | None = None) -> None:
        self.same = reader is None
        writer_avro = avro.schema.parse(json.dumps(writer))
        reader_avro = avro.schema.parse(json.dumps(reader or writer))
        self.avro = avro.io.DatumReader(writer_avro, reader_avro)
        self.writer = fastavro.parse_schema(writer)
        self.reader = None if reader is None else fastavro.parse_schema(reader)

    def read(self, body: bytes) -> Record | None:
        """The record, None where it is refused."""
        strict, fast = io.BytesIO(body), io.BytesIO(body)
        try:
            record = self.avro.read(StrictDecoder(strict))
            twin = fastavro.schemaless_reader(fast, self.writer, self.reader)
        except (*REFUSALS, RefusedError):
            return None
        if strict.tell() != len(body) or fast.tell() != len(body):
            return None
        assert same(record, twin), "avro and fastavro read different records"
        assert isinstance(record, dict)
        return record


class Oracle:
    """Messages of record `name` (or of a schema), either framing, committed previous versions included.

    `ids` are the Confluent ids of the current schema.
    """

    def __init__(self, name: str | dict[str, Any], ids: Iterable[int] = ()) -> None:
        current = schema(name) if isinstance(name, str) else name
        self.readers = {header(current): Reader(current)}
        for number in ids:
            self.readers[b"\x00" + number.to_bytes(4, "big")] = self.readers[header(current)]
        for number in versions(name) if isinstance(name, str) else ():
            older = version(current["name"], number)
            self.readers.setdefault(header(older), Reader(older, current))

    def read(self, value: bytes | None) -> Record | None:
        """The record in the current schema, None where it must be refused."""
        for size in (10, 5):
            if value is not None and value[:size] in self.readers:
                return self.readers[value[:size]].read(value[size:])
        return None


def same(one: Any, other: Any) -> bool:
    """Equality to the bit for floats: a NaN equals itself, 0.0 is not -0.0."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return (math.isnan(one) and math.isnan(other)) or (
            one == other and math.copysign(1, one) == math.copysign(1, other)
        )
    return type(one) is type(other) and bool(one == other)
