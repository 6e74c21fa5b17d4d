"""The schema files that ship with this package: the current ones and all that came before."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

import fastavro
from fastavro.schema import to_parsing_canonical_form

Schema = dict[str, Any]


@cache
def names() -> tuple[str, ...]:
    """Names of all records, sorted."""
    return tuple(sorted(f.name[:-5] for f in files("schemas").iterdir() if f.name.endswith(".avsc")))


def schema(name: str) -> Schema:
    """The current schema of record `name`, as a fresh dict.

    Raises KeyError where no such record exists.
    """
    if name not in names():
        raise KeyError(f"no schema is called {name!r}; there are {', '.join(names())}")
    loaded: Schema = json.loads(files("schemas").joinpath(f"{name}.avsc").read_text("utf-8"))
    return loaded


@cache
def versions(name: str) -> tuple[int, ...]:
    """Numbers of the committed versions of record `name`, rising; the last one is the current schema."""
    prefix = f"{name}."
    found = (f.name for f in files("schemas").joinpath("previous").iterdir())
    return tuple(sorted(int(f[len(prefix) : -5]) for f in found if f.startswith(prefix)))


def version(name: str, number: int) -> Schema:
    """Committed version `number` of record `name`."""
    path = files("schemas").joinpath("previous", f"{name}.{number}.avsc")
    loaded: Schema = json.loads(path.read_text("utf-8"))
    return loaded


def canonical(schema: Schema | str) -> str:
    """Avro's parsing canonical form: what decides how bytes are read."""
    text: str = to_parsing_canonical_form(_parsed(schema))
    return text


def fingerprint(schema: Schema | str) -> int:
    """CRC-64-AVRO of the canonical form, as an unsigned 64-bit number."""
    digits = fastavro.schema.fingerprint(canonical(schema), "CRC-64-AVRO")
    # The hex digits are those of the little-endian bytes, as they stand in a header.
    return int.from_bytes(bytes.fromhex(digits), "little")


def header(schema: Schema | str) -> bytes:
    """The 10 bytes that open a single-object encoding."""
    return b"\xc3\x01" + fingerprint(schema).to_bytes(8, "little")


def writers(schema: Schema) -> dict[int, Schema]:
    """Fingerprint -> committed previous version of this schema's record, the current one left out."""
    own = fingerprint(schema)
    name = schema.get("name", "").rpartition(".")[2]
    older = [version(name, number) for number in versions(name)]
    return {key: old for old in older if (key := fingerprint(old)) != own}


def _parsed(schema: Schema | str) -> Any:
    loaded = json.loads(schema) if isinstance(schema, str) else schema
    return fastavro.parse_schema(loaded)
