"""The encoder against the decoder and fastavro."""

from __future__ import annotations

import io
from typing import Any

import fastavro
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import write_kernels
from schemas.batch import Messages
from schemas.catalog import header
from schemas.columns import Decoder, Encoder
from tests.oracle import same
from tests.schemas.records import EVERY_TYPE, RECORDS, SCHEMAS, expanded, few, in_blocks, message

NAMES = sorted(SCHEMAS)
NO_ITEMS, NO_DATA = np.zeros(0, np.int64), np.zeros(0, np.uint8)


def parts(messages: Messages) -> list[bytes | None]:
    return [messages[i] for i in range(len(messages))]


@pytest.mark.parametrize("name", NAMES)
@few(40)
@given(data=st.data())
def test_what_was_decoded_is_encoded_to_the_same_bytes(name: str, data: st.DataObject) -> None:
    records = data.draw(st.lists(RECORDS[name], max_size=5))
    values = [message(name, record) for record in records]
    columns = Decoder(SCHEMAS[name]).decode(Messages.of([*values]))
    assert not columns.status.any()
    encoded = Encoder(SCHEMAS[name]).encode(columns.rows, columns.items, columns.data)
    if name != "EveryType":
        assert parts(encoded) == values
        return
    # A NaN of 32 bits need not keep its payload through 64 and back.
    for value, record in zip(parts(encoded), records, strict=True):
        assert value is not None
        read = fastavro.schemaless_reader(io.BytesIO(value[10:]), SCHEMAS[name], None)
        assert same(read, record)


@few(40)
@given(data=st.data())
def test_blocks_become_one_block_and_confluents_header_is_written(data: st.DataObject) -> None:
    record = data.draw(RECORDS["Signal"])
    head = header(SCHEMAS["Signal"])
    cut = head + in_blocks(expanded("Signal"), record, lambda n: data.draw(st.integers(0, n)))
    columns = Decoder(SCHEMAS["Signal"]).decode(Messages.of([cut]))
    encoded = Encoder(SCHEMAS["Signal"], schema_id=258).encode(columns.rows, columns.items, columns.data)
    assert parts(encoded) == [message("Signal", record, b"\x00\x00\x00\x01\x02")]


def test_records_may_share_strings_and_levels() -> None:
    """So a simulator writes names once; and what outgrows the first guess of room is written all the same."""
    encoder = Encoder(SCHEMAS["BookUpdate"])
    slots, n = encoder.slots, 500
    rows = np.zeros((n, encoder.width), np.int64)
    rows[:, slots["venue"] + 1] = 7
    rows[:, slots["sequence"]] = np.arange(n)
    rows[:, slots["bids"] + 1] = 200
    items = np.full(400, 2**62, np.int64)
    messages = encoder.encode(rows, items, np.frombuffer(b"binance", np.uint8))
    columns = Decoder(SCHEMAS["BookUpdate"]).decode(messages)
    assert not columns.status.any()
    assert columns.rows[:, slots["sequence"]].tolist() == list(range(n))
    start, count = columns.rows[-1, slots["bids"] : slots["bids"] + 2]
    assert (columns.items[start : start + 2 * count] == 2**62).all()
    start, length = columns.rows[-1, slots["venue"] : slots["venue"] + 2]
    assert columns.data[start : start + length].tobytes() == b"binance"


@pytest.mark.parametrize("room", range(0, 400, 7))
def test_no_byte_is_written_beyond_the_room_there_is(room: int) -> None:
    """The kernel gets a window of a larger buffer, and what lies behind the window must stay as it was."""
    name = "EveryType"
    inner = {"text": "x" * 30, "numbers": [2**40] * 5}
    record = {
        "nothing": None, "flag": True, "single": 0.5, "raw": b"z" * 40, "last_null": 2**60, "maybe": inner,
        "again": inner, "texts": ["one", "two" * 9], "optional_list": [None, 5], "end": -1,
        "mixed": [{"count": 1, "maybe_text": "t", "flag": False, "price": 1.5, "end": 2.0}] * 3,
    }  # fmt: skip
    whole = message(name, record)
    columns = Decoder(EVERY_TYPE).decode(Messages.of([whole]))
    encoder = Encoder(EVERY_TYPE)
    encoder.encode(columns.rows, columns.items, columns.data)
    buffer = np.full(600, 0xA5, np.uint8)
    code, used = write_kernels.encode(
        columns.rows.reshape(-1), encoder.width, columns.items, columns.data, encoder._program.table,
        encoder._head, buffer[:room], np.zeros(1, np.int64), np.zeros(1, np.int64),
    )  # fmt: skip
    assert (buffer[room:] == 0xA5).all()
    if code == 0:
        assert buffer[:used].tobytes() == whole
    else:
        assert code == write_kernels.FULL
        assert room < len(whole) + 2 * write_kernels.LONG_BYTES + 64


@pytest.mark.parametrize(
    ("kind", "cells", "match"),
    [
        ("int", [2**31], "does not fit"),
        ("boolean", [2], "neither 0 nor 1"),
        ("boolean", [-1], "neither 0 nor 1"),
        ({"type": "enum", "name": "E", "symbols": ["a", "b"]}, [2], "symbols"),
        (["null", "long"], [2, 0], "branch"),
        ("string", [0, -1], "below zero"),
        ("string", [-1, 1], "below zero"),
        ("string", [3, 2], "ends before"),
        ("string", [2**62, 2**62], "ends before"),
        ("string", [0, 4], "UTF-8"),
        ({"type": "array", "items": "long"}, [0, 6], "ends before"),
        ({"type": "array", "items": "long"}, [5, 1], "ends before"),
        ({"type": "array", "items": "long"}, [0, -1], "below zero"),
        ({"type": "array", "items": "long"}, [2**62, 2**62], "ends before"),
        ({"type": "array", "items": "double"}, [1, 5], "ends before"),
    ],
)
def test_what_no_record_can_say_is_refused_with_its_row(kind: Any, cells: list[int], match: str) -> None:
    schema = {"type": "record", "name": "One", "fields": [{"name": "x", "type": kind}]}
    good = [0] * len(cells)
    with pytest.raises(ValueError, match=f"row 1 cannot be encoded: .*{match}"):
        Encoder(schema).encode(
            np.array([good, cells]), np.zeros(5, np.int64), np.frombuffer(b"abc\xff", np.uint8)
        )


def test_rows_of_another_width_are_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(2, 3\), expected \(n, 23\)"):
        Encoder(EVERY_TYPE).encode(np.zeros((2, 3), np.int64), NO_ITEMS, NO_DATA)


def test_nothing_is_encoded_to_nothing() -> None:
    encoder = Encoder(EVERY_TYPE)
    assert len(encoder.encode(np.zeros((0, encoder.width), np.int64), NO_ITEMS, NO_DATA)) == 0
