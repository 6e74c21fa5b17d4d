"""Records of previous versions and of schemas from a registry are read as the current one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from schemas import catalog, writers
from schemas.batch import Messages
from schemas.catalog import Schema, header
from schemas.columns import Decoder
from schemas.reasons import Reason
from tests.schemas.records import long

SIDE = {"type": "enum", "name": "Side", "symbols": ["buy", "sell"]}
CURRENT: Schema = {
    "type": "record",
    "name": "Thing",
    "fields": [
        {"name": "text", "type": "string"},
        {"name": "side", "type": SIDE},
        {"name": "note", "type": ["null", "string"], "default": None},
        {"name": "many", "type": {"type": "array", "items": "long"}, "default": []},
    ],
}
FIRST: Schema = {
    "type": "record",
    "name": "Thing",
    "fields": [
        {"name": "gone", "type": "boolean"},
        {"name": "side", "type": {**SIDE, "symbols": ["buy", "hold", "sell"]}},
        {"name": "text", "type": "string"},
    ],
}
OTHER: Schema = {"type": "record", "name": "Thing", "fields": [{"name": "x", "type": "long"}]}


def old(side: int, gone: bytes = b"\x01", text: bytes = b"older") -> bytes:
    return gone + long(side) + long(len(text)) + text


def new(text: bytes) -> bytes:
    return long(len(text)) + text + b"\x00" + b"\x00" + long(1) + long(7) + b"\x00"


@pytest.fixture
def _committed(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = {1: FIRST, 2: OTHER, 3: CURRENT}
    monkeypatch.setattr(catalog, "versions", lambda name: tuple(kept) if name == "Thing" else ())
    monkeypatch.setattr(catalog, "version", lambda name, number: kept[number])


def texts(decoder: Decoder, values: list[bytes | None]) -> list[str]:
    """The text of each record, or the word of its reason."""
    columns = decoder.decode(Messages.of(values))
    out = []
    for row, code in zip(columns.rows, columns.status, strict=True):
        start, length = row[decoder.slots["text"] : decoder.slots["text"] + 2]
        side = int(row[decoder.slots["side"]])
        text = columns.data[start : start + length].tobytes().decode()
        out.append(f"{text}/{side}" if code == Reason.OK else Reason(int(code)).word)
        assert code == Reason.OK or not row.any()
    return out


@pytest.mark.usefixtures("_committed")
def test_previous_versions_among_current_records() -> None:
    decoder = Decoder(CURRENT)
    now, then, other = header(CURRENT), header(FIRST), header(OTHER)
    values = [
        now + new(b"a"), then + old(2), now + new(b"b"), then + old(1), then + old(2, gone=b"\x02"),
        then + old(2)[:-1], then + old(2) + b"x", other + long(5), None, now + new(b"c"), then + old(0),
        b"\xc3\x01" + b"\x00" * 8, then + old(2, text=b"\xff"),
    ]  # fmt: skip
    assert texts(decoder, values) == [
        "a/0", "older/1", "b/0", "schema_unreadable", "bad_boolean",
        "truncated", "trailing_bytes", "schema_unreadable", "null_value", "c/0", "older/0",
        "unknown_schema", "bad_utf8",
    ]  # fmt: skip
    columns = decoder.decode(Messages.of(values))
    start, count = columns.rows[9, decoder.slots["many"] : decoder.slots["many"] + 2]
    assert columns.items[start : start + count].tolist() == [7]


@pytest.mark.usefixtures("_committed")
def test_a_body_is_told_without_its_header() -> None:
    decoder = Decoder(CURRENT, ids=[4])
    assert decoder.body(header(CURRENT) + new(b"a")) == new(b"a")
    assert decoder.body(b"\x00\x00\x00\x00\x04" + new(b"a")) == new(b"a")
    assert decoder.body(header(FIRST) + old(0)) == long(5) + b"older\x00\x00\x00"
    assert decoder.body(header(FIRST)) is Reason.TRUNCATED
    assert decoder.body(None) is Reason.NULL_VALUE


def test_ids_are_looked_up_once_and_only_when_unknown() -> None:
    asked: list[int] = []
    answers: dict[int, Any] = {
        1: CURRENT, 2: FIRST, 3: OTHER, 5: {"type": "map", "values": "long"}, 6: {"type": "no such type"},
    }  # fmt: skip

    def lookup(number: int) -> Schema | None:
        asked.append(number)
        return answers.get(number)

    decoder = Decoder(CURRENT, ids=[9], lookup=lookup)

    def framed(number: int, body: bytes) -> bytes:
        return b"\x00" + number.to_bytes(4, "big") + body

    values = [
        framed(9, new(b"a")), framed(1, new(b"b")), framed(2, old(2)), framed(3, long(1)), framed(4, b""),
        framed(5, b"\x00"), framed(6, b"\x00"), framed(1, new(b"b")[:-1]),
    ]  # fmt: skip
    wanted = [
        "a/0", "b/0", "older/1", "schema_unreadable", "unknown_schema",
        "schema_unreadable", "schema_unreadable", "truncated",
    ]  # fmt: skip
    assert texts(decoder, values) == wanted
    assert texts(decoder, values) == wanted
    assert sorted(asked) == [1, 2, 3, 4, 5, 6]


def test_a_registry_that_fails_rejects_no_record() -> None:
    def lookup(number: int) -> Schema | None:
        raise RuntimeError("registry does not answer")

    with pytest.raises(RuntimeError, match="registry does not answer"):
        Decoder(CURRENT, lookup=lookup).decode(Messages.of([b"\x00\x00\x00\x00\x01"]))


def test_a_flood_of_corrupted_ids_is_no_flood_of_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writers, "MAX_LOOKUPS", 10)
    asked: list[int] = []

    def lookup(number: int) -> Schema | None:
        asked.append(number)
        return None

    decoder = Decoder(CURRENT, lookup=lookup)
    values: list[bytes | None] = [b"\x00" + i.to_bytes(4, "big") for i in range(50)]
    status = decoder.decode(Messages.of(values)).status
    assert np.array_equal(status, np.full(50, Reason.UNKNOWN_SCHEMA))
    assert len(asked) == 10
