"""What changes in a schema stays readable, both ways, by everybody who speaks an older version."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import avro.schema
import pytest
from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType

from schemas.catalog import Schema, names, schema, version, versions


def without_docs(node: Any) -> Any:
    """A schema without its prose, which may be improved at any time."""
    if isinstance(node, dict):
        return {key: without_docs(value) for key, value in node.items() if key != "doc"}
    return [without_docs(part) for part in node] if isinstance(node, list) else node


def incompatible(one: Schema, other: Schema) -> list[str]:
    """Why one of the two cannot read what the other wrote, by Avro's own checker."""
    found = []
    for reader, writer in ((one, other), (other, one)):
        pair = (avro.schema.parse(json.dumps(reader)), avro.schema.parse(json.dumps(writer)))
        result = ReaderWriterCompatibilityChecker().get_compatibility(*pair)
        if result.compatibility is not SchemaCompatibilityType.compatible:
            found += [
                f"{where}: {what}" for where, what in zip(result.locations, result.messages, strict=False)
            ]
    return found


def logical_types(node: Any, path: str = "") -> dict[str, str]:
    """Path -> logicalType; the compatibility checker does not see that millis became micros."""
    found: dict[str, str] = {}
    if isinstance(node, dict):
        if "logicalType" in node:
            found[path] = str(node["logicalType"])
        inner = f"{path}/{node['name']}" if "name" in node else path
        for key in ("type", "items", "values", "fields"):
            found |= logical_types(node.get(key), inner)
    elif isinstance(node, list):
        for part in node:
            found |= logical_types(part, path)
    return found


def undocumented(node: Any, path: str = "") -> Iterator[str]:
    """Fields and named types without a `doc`."""
    if isinstance(node, dict):
        path = f"{path}/{node['name']}" if "name" in node else path
        if "name" in node and not str(node.get("doc", "")).strip():
            yield path
        for key in ("type", "items", "values", "fields"):
            yield from undocumented(node.get(key), path)
    elif isinstance(node, list):
        for part in node:
            yield from undocumented(part, path)


def faults(name: str, current: Schema, committed: list[Schema]) -> list[str]:
    """All that is wrong with the versions of a schema."""
    found = [f"{path} has no doc" for path in undocumented(current)]
    if not committed or without_docs(committed[-1]) != without_docs(current):
        found.append(
            f"{name}.avsc changed: commit it as schemas/previous/{name}.{len(committed) + 1}.avsc as well"
        )
    for one, other in combinations([*committed, current], 2):
        found += incompatible(one, other)
        before, after = logical_types(one), logical_types(other)
        found += [
            f"{path}: logicalType {before.get(path)} became {after.get(path)}"
            for path in sorted({*before, *after})
            if before.get(path) != after.get(path)
        ]
    return found


@pytest.mark.parametrize("name", names())
def test_every_schema_and_all_its_versions(name: str) -> None:
    numbers = versions(name)
    assert numbers == tuple(range(1, len(numbers) + 1))
    assert faults(name, schema(name), [version(name, number) for number in numbers]) == []


def changed(change: str) -> Schema:
    """The schema of RiskEvent with one change."""
    out = copy.deepcopy(schema("RiskEvent"))
    by_name = {field["name"]: field for field in out["fields"]}
    match change:
        case "nothing":
            pass
        case "doc":
            by_name["limit"]["doc"] = "Said better."
        case "no doc":
            del by_name["limit"]["doc"]
        case "type":
            by_name["suppressed"]["type"] = "string"
        case "wider":
            by_name["partition"]["type"] = "long"
        case "gone":
            out["fields"].remove(by_name["detail"])
        case "gone with default":
            out["fields"].remove(by_name["limit"])
        case "new":
            out["fields"].append({"name": "more", "type": "long", "doc": "More."})
        case "new with default":
            out["fields"].append({"name": "more", "type": "long", "doc": "More.", "default": 0})
        case "logical":
            by_name["time_ns"]["type"] = {"type": "long", "logicalType": "timestamp-micros"}
        case _:
            raise AssertionError(change)
    return out


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ("nothing", []),
        ("doc", []),
        ("no doc", ["has no doc"]),
        ("type", ["changed", "reader type: string not compatible with writer type: long"]),
        (
            "wider",
            ["changed", "reader type: int not compatible with writer type: long"],
        ),  # the older reader cannot read a long as an int
        ("gone", ["changed", "detail"]),
        ("gone with default", ["changed"]),
        ("new", ["changed", "more"]),
        ("new with default", ["changed"]),
        ("logical", ["changed", "time_ns: logicalType None became timestamp-micros"]),
    ],
)
def test_the_check_sees_what_it_must(change: str, wanted: list[str]) -> None:
    found = faults("RiskEvent", changed(change), [schema("RiskEvent")])
    assert bool(found) == bool(wanted), found
    assert all(any(word in fault for fault in found) for word in wanted), found
    if wanted == ["changed"]:
        assert len(found) == 1
        assert faults("RiskEvent", changed(change), [schema("RiskEvent"), changed(change)]) == []


def test_a_schema_never_committed_is_told_its_file() -> None:
    assert faults("Journal", schema("Journal"), []) == [
        "Journal.avsc changed: commit it as schemas/previous/Journal.1.avsc as well"
    ]
