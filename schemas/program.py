"""An .avsc compiled into a table that one interpreter walks (`schemas.kernels`).

Compiling to a table instead of to Python source keeps the interpreter an ordinary function, which
numba caches; functions made by `exec` are compiled anew in every process.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
from fastavro.schema import expand_schema

from schemas.catalog import Schema
from schemas.reasons import Reason

# Opcodes; a row of the table is (opcode, slot, a, b, c).
END = 0  # of the record
VARINT = 1  # a, b: least and largest value; c: code where it lies outside
BOOLEAN = 2
FLOAT = 3
DOUBLE = 4
BYTES = 5  # a: 1 for a string, whose UTF-8 is checked
UNION = 6  # a: index of null; b: slots of the payload; c: next row where the value is null
ARRAY = 7  # a: slots of an element; b: least bytes of one; c: row after the body
ARRAY_END = 8  # a: row of the ARRAY
LONGS = 9  # an array whose elements are `a` longs and nothing else; b as in ARRAY

INT_MIN, INT_MAX = -(2**31), 2**31 - 1
LONG_MIN, LONG_MAX = -(2**63), 2**63 - 1


class UnsupportedSchemaError(ValueError):
    """A schema uses what the columns cannot hold (maps, fixed, recursion, arrays within arrays)."""


@dataclass(frozen=True, slots=True)
class Array:
    """How the elements of one array lie in `items`: `width` int64 each, `slots` as in a record."""

    width: int
    slots: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Program:
    """What a schema compiles to.

    `table` is int64 of shape (rows, 5); `width` the slots of a record; `slots` maps a field to its
    first slot and `arrays` an array's field to its elements. `density` is the largest number of
    item slots that one byte of input can fill, as (numerator, denominator).
    """

    table: npt.NDArray[np.int64]
    width: int
    slots: Mapping[str, int]
    arrays: Mapping[str, Array]
    density: tuple[int, int]


def compile_program(schema: Schema | str) -> Program:
    """Compile the schema of a record.

    Raises UnsupportedSchemaError where the columns cannot hold it.
    """
    expanded: Any = expand_schema(json.loads(schema) if isinstance(schema, str) else schema)
    if not isinstance(expanded, dict) or expanded.get("type") != "record":
        raise UnsupportedSchemaError("columns are made of records; the schema's outermost type is none")
    build = _Build()
    width, _ = build.add(expanded, "", 0)
    build.rows.append([END, 0, 0, 0, 0])
    density = max(build.densities, key=lambda d: d[0] / d[1], default=(0, 1))
    table = np.array(build.rows, np.int64)
    table.flags.writeable = False
    return Program(table, width, MappingProxyType(build.slots), MappingProxyType(build.arrays), density)


class _Build:
    """Rows of the table as they are appended, depth first, in the order of the bytes."""

    def __init__(self, inside: str = "") -> None:
        self.inside = inside  # name of the array whose elements these are
        self.rows: list[list[int]] = []
        self.slots: dict[str, int] = {}
        self.arrays: dict[str, Array] = {}
        self.densities: list[tuple[int, int]] = []

    def add(self, kind: Any, name: str, slot: int) -> tuple[int, int]:
        """Append the rows of type `kind` from `slot` on; return (slots taken, least bytes)."""
        if isinstance(kind, list):
            return self._union(kind, name, slot)
        if isinstance(kind, str):
            return self._primitive(kind, name, slot)
        if kind["type"] == "record":
            return self._record(kind, name, slot)
        if kind["type"] == "enum":
            last = len(kind["symbols"]) - 1
            self.rows.append([VARINT, slot, 0, last, Reason.BAD_ENUM])
            return 1, 1
        if kind["type"] == "array":
            return self._array(kind["items"], name, slot)
        return self._primitive(kind["type"], name, slot)

    def _path(self, name: str) -> str:
        return f"{self.inside}[].{name}".rstrip(".") if self.inside else name

    def _primitive(self, kind: str, name: str, slot: int) -> tuple[int, int]:
        if kind == "null":
            return 0, 0
        rows = {
            "int": ([VARINT, slot, INT_MIN, INT_MAX, Reason.BAD_VARINT], 1, 1),
            "long": ([VARINT, slot, LONG_MIN, LONG_MAX, Reason.BAD_VARINT], 1, 1),
            "boolean": ([BOOLEAN, slot, 0, 0, 0], 1, 1),
            "float": ([FLOAT, slot, 0, 0, 0], 1, 4),
            "double": ([DOUBLE, slot, 0, 0, 0], 1, 8),
            "bytes": ([BYTES, slot, 0, 0, 0], 2, 1),
            "string": ([BYTES, slot, 1, 0, 0], 2, 1),
        }
        if kind not in rows:
            raise UnsupportedSchemaError(f"{self._path(name)}: columns cannot hold type {kind!r}")
        row, taken, least = rows[kind]
        self.rows.append([int(cell) for cell in row])
        return taken, least

    def _record(self, kind: Any, name: str, slot: int) -> tuple[int, int]:
        taken = least = 0
        for field in kind["fields"]:
            inner = f"{name}.{field['name']}" if name else field["name"]
            self.slots[inner] = slot + taken
            slots, size = self.add(field["type"], inner, slot + taken)
            taken, least = taken + slots, least + size
        return taken, least

    def _union(self, branches: list[Any], name: str, slot: int) -> tuple[int, int]:
        if len(branches) != 2 or branches.count("null") != 1:
            raise UnsupportedSchemaError(
                f"{name}: of unions only those of null and one other type can be held"
            )
        null = branches.index("null")
        row = [UNION, slot, null, 0, 0]
        self.rows.append(row)
        taken, _ = self.add(branches[1 - null], name, slot + 1)
        row[3], row[4] = taken, len(self.rows)
        return 1 + taken, 1

    def _array(self, element: Any, name: str, slot: int) -> tuple[int, int]:
        if self.inside:
            raise UnsupportedSchemaError(f"{self._path(name)}: an array within an array cannot be held")
        inner = _Build(inside=name)
        width, least = inner.add(element, "", 0)
        if least == 0:
            raise UnsupportedSchemaError(f"{self._path(name)}: an element that takes no bytes cannot be held")
        self.arrays[name] = Array(width, MappingProxyType(inner.slots))
        self.densities.append((width, least))
        if all(row[0] == VARINT and row[2] == LONG_MIN for row in inner.rows):
            self.rows.append([LONGS, slot, width, least, 0])
            return 2, 1
        start = len(self.rows)
        for row in inner.rows:
            if row[0] == UNION:
                row[4] += start + 1
        end = start + len(inner.rows) + 2
        self.rows += [[ARRAY, slot, width, least, end], *inner.rows, [ARRAY_END, 0, start, 0, 0]]
        return 2, 1
