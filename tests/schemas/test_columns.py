"""The decoder against fastavro, avro and known answers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import kernels
from schemas.batch import Messages
from schemas.catalog import header
from schemas.columns import Decoder, warm
from schemas.program import UnsupportedSchemaError
from schemas.reasons import Reason
from tests.oracle import Oracle, same
from tests.schemas.records import (
    EVERY_TYPE,
    RECORDS,
    SCHEMAS,
    as_dict,
    expanded,
    few,
    in_blocks,
    long,
    message,
)

NAMES = sorted(SCHEMAS)
CONFLUENT_ID = 70_000
FRAME = b"\x00" + CONFLUENT_ID.to_bytes(4, "big")
DECODERS = {name: Decoder(SCHEMAS[name], ids=[5, CONFLUENT_ID]) for name in NAMES}
ORACLES = {name: Oracle(SCHEMAS[name], ids=[5, CONFLUENT_ID]) for name in NAMES}
FEW = few(40)


def agrees(name: str, values: list[bytes | None]) -> list[bool]:
    """Decode all in one batch and hold each to the oracle; return which were accepted."""
    columns = DECODERS[name].decode(Messages.of(values))
    for i, value in enumerate(values):
        wanted = ORACLES[name].read(value)
        word = Reason(int(columns.status[i])).word
        assert (word == "ok") == (wanted is not None), (word, value, wanted)
        if wanted is None:
            assert not columns.rows[i].any()
        else:
            assert same(as_dict(name, columns, i), wanted)
    return [bool(code == Reason.OK) for code in columns.status]


@pytest.mark.parametrize("name", NAMES)
@FEW
@given(data=st.data())
def test_random_records_of_both_framings(name: str, data: st.DataObject) -> None:
    records = data.draw(st.lists(RECORDS[name], max_size=5))
    heads = [data.draw(st.sampled_from([header(SCHEMAS[name]), FRAME])) for _ in records]
    values: list[bytes | None] = [message(name, r, h) for r, h in zip(records, heads, strict=True)]
    assert all(agrees(name, values))
    columns = DECODERS[name].decode(Messages.of(values))
    assert all(same(as_dict(name, columns, i), record) for i, record in enumerate(records))


@pytest.mark.parametrize("name", ["BookUpdate", "Signal", "EveryType"])
@FEW
@given(data=st.data())
def test_arrays_in_several_blocks(name: str, data: st.DataObject) -> None:
    records = data.draw(st.lists(RECORDS[name], min_size=1, max_size=4))
    kind = expanded(name)
    values: list[bytes | None] = [
        FRAME + in_blocks(kind, r, lambda n: data.draw(st.integers(0, n))) for r in records
    ]
    assert all(agrees(name, values))


@pytest.mark.parametrize("name", NAMES)
@few(8)
@given(data=st.data())
def test_cut_at_every_byte_only_the_cut_record_is_refused(name: str, data: st.DataObject) -> None:
    record, before, after = (data.draw(RECORDS[name]) for _ in range(3))
    whole = message(name, record)
    first, last = message(name, before), message(name, after)
    results = []
    # After the cut stand the very bytes that were cut off, then others: nobody may look at them.
    for rest in (whole, b"\x00" * len(whole), b"\xff" * len(whole)):
        parts = [first + whole[:cut] + rest[cut:] + last for cut in range(len(whole))]
        base = np.arange(len(whole)) * len(parts[0])
        starts = np.stack([base, base + len(first), base + len(first) + len(whole)], axis=1).ravel()
        lengths = [(len(first), cut, len(last)) for cut in range(len(whole))]
        messages = Messages(np.frombuffer(b"".join(parts), np.uint8), starts, np.array(lengths).ravel())
        columns = DECODERS[name].decode(messages)
        status = columns.status.reshape(-1, 3)
        assert not status[:, 0].any()
        assert status[:, 1].all()
        assert not status[:, 2].any()
        assert not columns.rows[1::3].any()
        for row in range(0, len(messages), max(3, len(messages) // 12 * 3)):
            assert same(as_dict(name, columns, row), before)
            assert same(as_dict(name, columns, row + 2), after)
        results.append((status, columns.rows, columns.items))
    for result in results[1:]:
        assert all(np.array_equal(one, other) for one, other in zip(results[0], result, strict=True))


@pytest.mark.parametrize("name", NAMES)
@FEW
@given(data=st.data())
def test_bit_flips_and_random_bytes_have_the_oracles_verdict(name: str, data: st.DataObject) -> None:
    values: list[bytes | None] = []
    for _ in range(6):
        value = bytearray(message(name, data.draw(RECORDS[name])))
        for _ in range(data.draw(st.integers(1, 3))):
            value[data.draw(st.integers(0, len(value) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        values.append(bytes(value))
    values.append(message(name, data.draw(RECORDS[name])) + data.draw(st.binary(max_size=2)))
    values += [FRAME + data.draw(st.binary(max_size=60)), data.draw(st.binary(max_size=12)), None]
    agrees(name, values)


def test_every_bit_of_a_book_update() -> None:
    level = {"price_ticks": 6_500_000, "size_lots": 1_234}
    record = dict.fromkeys(("first_update_id", "previous_update_id"), None) | {
        "venue": "binance", "symbol": "BTCÜSDT", "level": "l2", "kind": "delta", "state": "synced",
        "checksum": "absent", "key_frame": False, "recorded": True, "session": 1, "sequence": 2**40,
        "last_update_id": 7, "event_time_ns": 1_720_000_000_000_000_000,
        "receive_time_ns": 1_720_000_000_000_000_001, "price_exponent": -2, "size_exponent": -5,
        "bids": [level], "asks": [level, level],
    }  # fmt: skip
    whole = message("BookUpdate", record)
    flipped: list[bytes | None] = []
    for bit in range(8 * len(whole)):
        value = bytearray(whole)
        value[bit // 8] ^= 1 << bit % 8
        flipped.append(bytes(value))
    accepted = agrees("BookUpdate", flipped)
    assert 0 < sum(accepted) < len(accepted)


ONE_LONG = {"type": "record", "name": "OneLong", "fields": [{"name": "x", "type": "long"}]}


def status_of(kind: Any, *bodies: bytes) -> list[str]:
    """Words of the decoder's verdicts on records of one field of that type."""
    schema = {"type": "record", "name": "One", "fields": [{"name": "x", "type": kind}]}
    head = header(schema)
    columns = Decoder(schema).decode(Messages.of([head + body for body in bodies]))
    return [Reason(int(code)).word for code in columns.status]


@pytest.mark.parametrize(
    ("kind", "body", "word"),
    [
        ("long", b"", "truncated"),
        ("long", b"\x80", "truncated"),
        ("long", b"\xff" * 9 + b"\x01", "ok"),  # the least long
        ("long", b"\xfe" + b"\xff" * 8 + b"\x01", "ok"),  # the largest
        ("long", b"\xff" * 9 + b"\x02", "bad_varint"),
        ("long", b"\xff" * 9 + b"\x81\x00", "bad_varint"),
        ("long", b"\x82" + b"\x80" * 8 + b"\x00", "ok"),  # 1, needlessly long
        ("long", b"\x02\x00", "trailing_bytes"),
        ("int", long(2**31 - 1), "ok"),
        ("int", long(2**31), "bad_varint"),
        ("int", long(-(2**31)), "ok"),
        ("int", long(-(2**31) - 1), "bad_varint"),
        ("boolean", b"\x02", "bad_boolean"),
        ("boolean", b"", "truncated"),
        ("double", b"\x00" * 7, "truncated"),
        ("float", b"\x00" * 3, "truncated"),
        ("string", long(-1), "negative_length"),
        ("string", long(-(2**63)), "negative_length"),
        ("bytes", long(2**63 - 1) + b"abc", "truncated"),
        ("bytes", long(2) + b"\xff\xfe", "ok"),
        ("string", long(2) + b"\xff\xfe", "bad_utf8"),
        ("string", long(3) + b"\xed\xa0\x80", "bad_utf8"),  # a surrogate
        (["null", "long"], long(0), "ok"),
        (["null", "long"], long(2), "bad_union"),
        (["null", "long"], long(-1), "bad_union"),
        ({"type": "enum", "name": "E", "symbols": ["a", "b"]}, long(1), "ok"),
        ({"type": "enum", "name": "E", "symbols": ["a", "b"]}, long(2), "bad_enum"),
        ({"type": "enum", "name": "E", "symbols": ["a", "b"]}, long(-1), "bad_enum"),
        ({"type": "array", "items": "long"}, long(2) + b"\x02", "too_many_items"),
        ({"type": "array", "items": "long"}, long(2**62) + b"\x02\x00", "too_many_items"),
        ({"type": "array", "items": "double"}, long(2**61) + b"\x00" * 9, "too_many_items"),
        ({"type": "array", "items": "long"}, long(-(2**63)) + b"\x02\x02\x00", "too_many_items"),
        ({"type": "array", "items": "long"}, long(-1) + b"\x02\x04\x00", "ok"),
        ({"type": "array", "items": "long"}, long(1) + b"\x02", "truncated"),
        ({"type": "array", "items": "string"}, long(1) + b"\x02a\x00", "ok"),
    ],
)
def test_known_verdicts(kind: Any, body: bytes, word: str) -> None:
    assert status_of(kind, body) == [word]
    # The same far from the end of the buffer, where eight bytes may be read at once.
    schema = {"type": "record", "name": "One", "fields": [{"name": "x", "type": kind}]}
    value = header(schema) + body
    data = np.frombuffer(value + b"\x02" * 32, np.uint8)
    columns = Decoder(schema).decode(Messages(data, np.array([0]), np.array([len(value)])))
    assert Reason(int(columns.status[0])).word == word


@pytest.mark.parametrize("value", [0, 1, -1, 63, -64, 64, 2**62, -(2**62), 2**63 - 1, -(2**63)])
@pytest.mark.parametrize("room", [0, 16])
def test_longs_near_and_far_from_the_records_end(value: int, room: int) -> None:
    schema = {
        "type": "record",
        "name": "Two",
        "fields": [{"name": "x", "type": "long"}, {"name": "rest", "type": "bytes"}],
    }
    body = long(value) + long(room) + b"\xff" * room
    columns = Decoder(schema).decode(Messages.of([header(schema) + body]))
    assert columns.status.tolist() == [0]
    assert columns.rows[0, 0] == value


def test_utf8_is_what_python_takes() -> None:
    edges = [0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF]
    leads = [0xE0, 0xE1, 0xEC, 0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xFF]
    texts = [bytes([a, b]) for a in range(256) for b in range(256)]
    texts += [bytes([a, b, c]) for a in leads for b in edges for c in edges]
    texts += [bytes([a, b, c, d]) for a in leads for b in edges for c in edges for d in edges]

    def wanted(text: bytes) -> str:
        try:
            text.decode()
        except UnicodeDecodeError:
            return "bad_utf8"
        return "ok"

    assert status_of("string", *(long(len(t)) + t for t in texts)) == [wanted(t) for t in texts]


def test_framing() -> None:
    decoder = Decoder(ONE_LONG, ids=[7])
    head = header(ONE_LONG)
    values: list[bytes | None] = [
        head + b"\x02", b"\x00\x00\x00\x00\x07\x02", b"\x00\x00\x00\x00\x08\x02", b"\x00\x07\x00\x00\x00\x02",
        head[:9] + bytes([head[9] ^ 1]) + b"\x02", b"\xc3\x02" + head[2:] + b"\x02", b"\x02", b"", b"\xc3",
        head[:9], b"\x00\x00", None,
    ]  # fmt: skip
    words = [Reason(int(code)).word for code in decoder.decode(Messages.of(values)).status]
    assert words == [
        "ok", "ok", "unknown_schema", "unknown_schema", "unknown_schema", "unknown_schema", "unknown_schema",
        "truncated", "truncated", "truncated", "truncated", "null_value",
    ]  # fmt: skip


def test_slots_are_as_the_plan_says() -> None:
    decoder = Decoder(EVERY_TYPE)
    wanted = {
        "nothing": 0, "flag": 0, "single": 1, "raw": 2, "last_null": 4, "maybe": 6, "maybe.text": 7,
        "maybe.numbers": 9, "again": 11, "again.text": 11, "again.numbers": 13, "mixed": 15, "texts": 17,
        "optional_list": 19, "end": 22,
    }  # fmt: skip
    assert dict(decoder.slots) == wanted
    assert decoder.width == 23
    mixed = decoder.array("mixed")
    assert mixed.width == 8
    assert dict(mixed.slots) == {"count": 0, "maybe_text": 1, "flag": 4, "price": 5, "end": 7}
    assert decoder.array("optional_list").width == 2


@pytest.mark.parametrize(
    "kind",
    [
        {"type": "map", "values": "long"},
        {"type": "fixed", "name": "F", "size": 4},
        ["null", "long", "string"],
        ["long", "string"],
        {"type": "array", "items": {"type": "array", "items": "long"}},
        {"type": "array", "items": "null"},
        ["null", "One"],
    ],
)
def test_what_columns_cannot_hold_is_refused_when_compiled(kind: Any) -> None:
    with pytest.raises(UnsupportedSchemaError, match="x"):
        Decoder({"type": "record", "name": "One", "fields": [{"name": "x", "type": kind}]})


def test_a_schema_that_is_no_record_is_refused() -> None:
    with pytest.raises(UnsupportedSchemaError, match="outermost"):
        Decoder({"type": "array", "items": "long"})


@pytest.mark.parametrize(("start", "length"), [(-1, 5), (0, 100), (2**62, 2**62)])
def test_messages_outside_of_their_buffer_are_a_fault_of_the_caller(start: int, length: int) -> None:
    messages = Messages(np.zeros(20, np.uint8), np.array([0, start]), np.array([3, length]))
    with pytest.raises(ValueError, match="message 1 does not lie within the 20 bytes"):
        Decoder(ONE_LONG).decode(messages)


def test_an_empty_batch() -> None:
    columns = DECODERS["BookUpdate"].decode(Messages.of([]))
    assert len(columns) == 0
    assert columns.rows.shape == (0, DECODERS["BookUpdate"].width)


def test_one_compiled_kernel_serves_every_schema_and_every_kind_of_buffer() -> None:
    warm()
    value = header(ONE_LONG) + b"\x02"
    for data in (np.frombuffer(value, np.uint8), np.array(list(value), np.uint8), np.repeat(
        np.frombuffer(value, np.uint8), 2)[::2]):  # fmt: skip
        columns = Decoder(ONE_LONG).decode(Messages(data, np.array([0]), np.array([len(value)])))
        assert columns.rows.tolist() == [[1]]
    assert len(kernels.decode.signatures) == 1  # type: ignore[attr-defined]  # numba's dispatcher
