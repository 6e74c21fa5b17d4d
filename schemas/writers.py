"""Records of other writers' schemas, one by one: rare, so by fastavro's schema resolution."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import fastavro
from fastavro.schema import SchemaParseException, UnknownType

from schemas.catalog import Schema, header, writers
from schemas.reasons import Reason

SINGLE_OBJECT, CONFLUENT = b"\xc3\x01", b"\x00"
# Ids that a registry is asked for; a flood of corrupted ids must not become a flood of requests.
MAX_LOOKUPS = 1024

Check = Callable[[bytes], Reason]
Lookup = Callable[[int], Schema | None]


@dataclass(frozen=True, slots=True)
class Writer:
    """A writer's schema as fastavro wants it, its header, and the strict test of a message."""

    schema: Any
    header: bytes
    check: Check


class Writers:
    """The known writers whose schema is not the reader's.

    `checker` makes, for a schema, the test whether a single-object message is well-formed: fastavro
    alone would take a boolean of 2. It raises ValueError where it cannot test such a schema.
    """

    def __init__(
        self, schema: Schema | str, lookup: Lookup | None, checker: Callable[[Schema], Check]
    ) -> None:
        reader: Schema = json.loads(schema) if isinstance(schema, str) else schema
        self._reader = fastavro.parse_schema(reader)
        self._header = header(reader)
        self._checker = checker
        self._lookup = lookup
        self._older = writers(reader)
        self._known: dict[bytes, Writer | Reason] = {}  # by fingerprint or id, as they stand in a header

    def __bool__(self) -> bool:
        return bool(self._older) or self._lookup is not None

    def convert(self, message: bytes) -> bytes | Reason:
        """The message in the reader's schema, single-object encoded, or why it cannot be read.

        Raises what the lookup raises: a registry that does not answer makes no record unreadable.
        """
        size = 10 if message[:2] == SINGLE_OBJECT else 5 if message[:1] == CONFLUENT else 0
        if size == 0 or len(message) < size:
            return Reason.UNKNOWN_SCHEMA
        writer = self._writer(message[:size])
        return writer if isinstance(writer, Reason) else self._resolve(writer, message[size:])

    def _writer(self, head: bytes) -> Writer | Reason:
        if head not in self._known:
            if head[:2] == SINGLE_OBJECT:
                schema = self._older.get(int.from_bytes(head[2:], "little"))
            elif self._lookup is None or len(self._known) >= MAX_LOOKUPS:
                schema = None
            else:
                schema = self._lookup(int.from_bytes(head[1:], "big"))
            if schema is None and (self._lookup is None or head[:2] == SINGLE_OBJECT):
                return Reason.UNKNOWN_SCHEMA
            self._known[head] = self._prepared(schema)
        return self._known[head]

    def _prepared(self, schema: Schema | None) -> Writer | Reason:
        if schema is None:
            return Reason.UNKNOWN_SCHEMA
        try:
            return Writer(fastavro.parse_schema(schema), header(schema), self._checker(schema))
        except (SchemaParseException, UnknownType, ValueError, KeyError, TypeError):
            return Reason.SCHEMA_UNREADABLE  # a registry may hold anything under that id

    def _resolve(self, writer: Writer, body: bytes) -> bytes | Reason:
        if writer.header == self._header:
            return self._header + body
        reason = writer.check(writer.header + body)
        if reason != Reason.OK:
            return reason
        out = io.BytesIO()
        try:
            record = fastavro.schemaless_reader(io.BytesIO(body), writer.schema, self._reader)
            fastavro.schemaless_writer(out, self._reader, record)
        except (fastavro.read.SchemaResolutionError, ValueError, KeyError, TypeError, AttributeError):
            return Reason.SCHEMA_UNREADABLE  # an enum's symbol that is gone, a field without a default
        return self._header + out.getvalue()
