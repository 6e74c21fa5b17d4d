"""Random records of any schema, their encoding in blocks, and columns as dicts: all slow and obvious."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
from fastavro.schema import expand_schema
from hypothesis import settings
from hypothesis import strategies as st

from schemas.catalog import header, names, schema
from schemas.columns import Columns

LONGS = st.one_of(st.integers(-(2**63), 2**63 - 1), st.sampled_from([-(2**63), 2**63 - 1, 0, -1, 63, 64]))
INTS = st.one_of(st.integers(-(2**31), 2**31 - 1), st.sampled_from([-(2**31), 2**31 - 1]))
DOUBLES = st.floats(allow_nan=True, allow_infinity=True)

# All types that columns can hold, in places where no schema of ours has them.
EVERY_TYPE: dict[str, Any] = {
    "type": "record",
    "name": "EveryType",
    "namespace": "interlayer.test",
    "fields": [
        {"name": "nothing", "type": "null"},
        {"name": "flag", "type": "boolean"},
        {"name": "single", "type": "float"},
        {"name": "raw", "type": "bytes"},
        {"name": "last_null", "type": ["long", "null"]},
        {
            "name": "maybe",
            "type": ["null", {"type": "record", "name": "Inner", "fields": [
                {"name": "text", "type": "string"},
                {"name": "numbers", "type": {"type": "array", "items": "long"}},
            ]}],
        },
        {"name": "again", "type": "Inner"},
        {
            "name": "mixed",
            "type": {"type": "array", "items": {"type": "record", "name": "Element", "fields": [
                {"name": "count", "type": "int"},
                {"name": "maybe_text", "type": ["null", "string"]},
                {"name": "flag", "type": "boolean"},
                {"name": "price", "type": ["double", "null"]},
                {"name": "end", "type": "float"},
            ]}},
        },
        {"name": "texts", "type": {"type": "array", "items": "string"}},
        {"name": "optional_list", "type": ["null", {"type": "array", "items": ["null", "int"]}]},
        {"name": "end", "type": "long"},
    ],
}  # fmt: skip
SCHEMAS = {name: schema(name) for name in names()} | {"EveryType": EVERY_TYPE}


def few(examples: int) -> settings:
    """So many examples, so that all schemas take seconds; HYPOTHESIS_PROFILE=search tries many more."""
    return settings() if "HYPOTHESIS_PROFILE" in os.environ else settings(max_examples=examples)


def expanded(name: str) -> Any:
    """The schema with all its types written out in their places."""
    return expand_schema(json.loads(json.dumps(SCHEMAS[name])))


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Values of one type."""
    if isinstance(kind, list):
        return st.one_of([values(branch) for branch in kind])
    if isinstance(kind, dict) and kind["type"] == "record":
        return st.fixed_dictionaries({field["name"]: values(field["type"]) for field in kind["fields"]})
    if isinstance(kind, dict) and kind["type"] == "enum":
        return st.sampled_from(kind["symbols"])
    if isinstance(kind, dict) and kind["type"] == "array":
        return st.lists(values(kind["items"]), max_size=4)
    if isinstance(kind, dict):
        return values(kind["type"])
    return {
        "null": st.none(),
        "boolean": st.booleans(),
        "int": INTS,
        "long": LONGS,
        "float": st.floats(width=32),
        "double": DOUBLES,
        "bytes": st.binary(max_size=12),
        "string": st.text(max_size=8),
    }[kind]


RECORDS = {name: values(expanded(name)) for name in SCHEMAS}


def message(name: str, record: dict[str, Any], head: bytes | None = None) -> bytes:
    """A record as fastavro writes it, single-object encoded unless `head` is given."""
    out = io.BytesIO()
    out.write(header(SCHEMAS[name]) if head is None else head)
    out.seek(0, io.SEEK_END)
    fastavro.schemaless_writer(out, fastavro.parse_schema(SCHEMAS[name]), record)
    return out.getvalue()


def long(value: int) -> bytes:
    """Zigzag varint."""
    rest = (value << 1) ^ (value >> 63)
    out = bytearray()
    while rest > 0x7F:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    return bytes([*out, rest])


def in_blocks(kind: Any, value: Any, choose: Callable[[int], int]) -> bytes:
    """A value whose arrays are cut into blocks; `choose(n)` picks a number from 0 to n.

    Blocks come with a count below zero and their size in bytes, or with a plain count.
    """
    if isinstance(kind, list):
        at = next(i for i, branch in enumerate(kind) if (branch == "null") == (value is None))
        return long(at) + in_blocks(kind[at], value, choose)
    if isinstance(kind, dict) and kind["type"] == "record":
        return b"".join(in_blocks(f["type"], value[f["name"]], choose) for f in kind["fields"])
    if isinstance(kind, dict) and kind["type"] == "enum":
        return long(kind["symbols"].index(value))
    if isinstance(kind, dict) and kind["type"] == "array":
        out, rest = b"", list(value)
        while rest:
            size = 1 + choose(len(rest) - 1)
            body = b"".join(in_blocks(kind["items"], element, choose) for element in rest[:size])
            out += long(-size) + long(len(body)) + body if choose(1) else long(size) + body
            rest = rest[size:]
        return out + long(0)
    out = io.BytesIO()
    fastavro.schemaless_writer(out, kind, value)
    return out.getvalue()


def as_dict(name: str, columns: Columns, row: int) -> dict[str, Any]:
    """One decoded record."""
    record, width = _value(expanded(name), columns, columns.rows[row], 0)
    assert width == columns.rows.shape[1]
    assert isinstance(record, dict)
    return record


def _value(kind: Any, columns: Columns, cells: Any, slot: int) -> tuple[Any, int]:
    """(value, slots taken) of what starts at `cells[slot]`, by the table in docs/decisions/0001-plan.md."""
    if isinstance(kind, list):
        branch = int(cells[slot])
        other = next(k for k in kind if k != "null")
        value, width = _value(other, columns, cells, slot + 1)
        if kind[branch] == "null":
            assert not cells[slot + 1 : slot + 1 + width].any(), "the payload of null is zeros"
        return (None if kind[branch] == "null" else value), 1 + width
    if isinstance(kind, dict) and kind["type"] == "record":
        record, at = {}, slot
        for field in kind["fields"]:
            record[field["name"]], width = _value(field["type"], columns, cells, at)
            at += width
        return record, at - slot
    if isinstance(kind, dict) and kind["type"] == "enum":
        return kind["symbols"][cells[slot]], 1
    if isinstance(kind, dict) and kind["type"] == "array":
        start, count = int(cells[slot]), int(cells[slot + 1])
        elements, at = [], start
        for _ in range(count):
            element, width = _value(kind["items"], columns, columns.items, at)
            elements.append(element)
            at += width
        return elements, 2
    start = int(cells[slot]) if kind != "null" else 0
    if kind in ("string", "bytes"):
        raw = columns.data[start : start + int(cells[slot + 1])].tobytes()
        return (raw.decode() if kind == "string" else raw), 2
    if kind in ("float", "double"):
        return float(cells[slot : slot + 1].view(np.float64)[0]), 1
    return {"null": lambda: (None, 0), "boolean": lambda: (bool(start), 1)}.get(kind, lambda: (start, 1))()


def schema_files() -> list[Path]:
    """The .avsc files in the repository."""
    return sorted((Path(__file__).parents[2] / "schemas").glob("*.avsc"))
