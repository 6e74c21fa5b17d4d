"""Bytes <-> records as dicts, for the few records that are no hot path."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, cast

import fastavro
from fastavro.validation import ValidationError, validate

from schemas.catalog import Schema, fingerprint, header, names, schema
from schemas.columns import Decoder
from schemas.reasons import Reason
from schemas.writers import Lookup

__all__ = ["Codec", "Record", "Unreadable", "decode", "encode", "fingerprint", "names", "schema"]

Record = dict[str, Any]


class Unreadable(ValueError):  # noqa: N818 - named for what the record is
    """A record cannot be read: `reason` is its code, `detail` a sentence for people."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason.word}: {detail}")
        self.reason = reason
        self.detail = detail


class Codec:
    """Records of one schema as dicts, single-object encoded, or Confluent-framed where `schema_id` is given.

    Reads both framings and committed previous versions; `ids` and `lookup` as of
    `schemas.columns.Decoder`, whose kernel judges here too: a record is refused by all or by none.

    Raises KeyError where no schema is called `name`.
    """

    def __init__(
        self, name: str, schema_id: int | None = None, ids: Iterable[int] = (), lookup: Lookup | None = None
    ) -> None:
        self.name = name
        self.schema: Schema = schema(name)
        self._parsed = fastavro.parse_schema(self.schema)
        self._header = header(self.schema) if schema_id is None else b"\x00" + schema_id.to_bytes(4, "big")
        known = {*ids} if schema_id is None else {*ids, schema_id}
        self._decoder = Decoder(self.schema, ids=known, lookup=lookup)

    def encode(self, record: Mapping[str, Any]) -> bytes:
        """Encode one record.

        Raises ValueError naming the field where the record does not fit the schema.
        """
        out = io.BytesIO()
        out.write(self._header)
        try:
            validate(record, self._parsed)
            fastavro.schemaless_writer(out, self._parsed, record, strict_allow_default=True)
        except (ValidationError, ValueError) as error:
            raise ValueError(f"this is no {self.name}: {error}") from None
        return out.getvalue()

    def decode(self, data: bytes | None) -> Record:
        """Decode one record. Raises Unreadable."""
        body = self._decoder.body(data)
        if isinstance(body, Reason):
            size = "no value" if data is None else f"{len(data)} bytes"
            raise Unreadable(body, f"{size} where a {self.name} should be: {body.sentence}")
        record = fastavro.schemaless_reader(io.BytesIO(body), self._parsed, None)
        return cast(Record, record)


@cache
def _codec(name: str) -> Codec:
    return Codec(name)


def encode(name: str, record: Mapping[str, Any]) -> bytes:
    """Encode one record of schema `name`, single-object. Raises as `Codec` and `Codec.encode`."""
    return _codec(name).encode(record)


def decode(name: str, data: bytes | None) -> Record:
    """Decode one single-object encoded record of schema `name`. Raises as `Codec` and `Codec.decode`."""
    return _codec(name).decode(data)
