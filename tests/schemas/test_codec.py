"""Records as dicts, with and without a registry."""

from __future__ import annotations

import json
import struct
from typing import Any

import avro.schema
import pytest
from confluent_kafka.schema_registry import Schema as RegisteredSchema
from hypothesis import given
from hypothesis import strategies as st

from schemas import codec
from schemas.catalog import canonical, fingerprint, header, names, schema
from schemas.codec import Codec, Unreadable, decode, encode
from schemas.columns import Decoder
from schemas.reasons import Reason
from schemas.registry import RegistryCodec, RegistryError, registry_client
from tests.oracle import Oracle, same
from tests.schemas.records import RECORDS, few, message, schema_files

EVENT: dict[str, Any] = {
    "entry": "claim", "partition": 3, "writer": "wärter", "configuration": "c" * 16, "kernels": "k" * 16,
}  # fmt: skip


def test_every_schema_file_is_listed() -> None:
    assert list(names()) == [path.stem for path in schema_files()]
    assert {"BookUpdate", "Signal", "RiskEvent", "RiskCommand", "Reject", "Journal", "Execution"} <= {
        *names()
    }


@pytest.mark.parametrize("name", names())
def test_fingerprints_are_those_of_avro_and_of_fastavro(name: str) -> None:
    text = schema_files()[names().index(name)].read_text("utf-8")
    by_avro = avro.schema.parse(text).fingerprint("CRC-64-AVRO")
    assert fingerprint(schema(name)).to_bytes(8, "little") == by_avro
    assert fingerprint(text) == fingerprint(schema(name))
    assert header(text) == b"\xc3\x01" + by_avro


def test_fingerprint_of_the_specification() -> None:
    """The CRC-64-AVRO of `"int"`, as in Avro's own test suite (share/test/data/schema-tests.txt)."""
    assert fingerprint('"int"') == 0x7275D51A3F395C8F
    assert canonical({"type": "int", "doc": "x"}) == '"int"'


def test_no_two_records_share_a_fingerprint() -> None:
    assert len({fingerprint(schema(name)) for name in names()}) == len(names())


@pytest.mark.parametrize("name", names())
@few(25)
@given(data=st.data())
def test_records_come_back(name: str, data: st.DataObject) -> None:
    record = data.draw(RECORDS[name])
    encoded = encode(name, record)
    assert encoded == message(name, record)
    assert same(decode(name, encoded), record)
    assert same(Oracle(name).read(encoded), record)


def test_defaults_may_be_left_out() -> None:
    risk = decode("RiskEvent", encode("RiskEvent", {
        "event_id": "e", "reason": "r", "time_ns": 1, "group": "", "strategy": "", "product": "", "venue": "",
        "symbol": "", "suppressed": 0, "detail": "", "topic": "", "partition": -1, "offset": -1,
    }))  # fmt: skip
    assert risk["value"] is None
    assert risk["limit"] is None


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"partition": 2**31}, "partition is <2147483648>"),
        ({"partition": True}, "partition is <True>"),
        ({"partition": 1.0}, "partition is <1.0>"),
        ({"entry": "nap"}, "entry is <nap>"),
        ({"writer": None}, "writer"),
        ({"writer": "\ud800"}, "surrogates"),
        ({"unknown": 1}, "unknown"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_field(change: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=f"(?s)this is no Journal: .*{match}"):
        encode("Journal", EVENT | change)


def test_a_missing_field_is_refused() -> None:
    with pytest.raises(ValueError, match=r"(?s)this is no Journal: .*writer"):
        encode("Journal", {key: value for key, value in EVENT.items() if key != "writer"})


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (None, Reason.NULL_VALUE),
        (b"", Reason.TRUNCATED),
        (b"hello", Reason.UNKNOWN_SCHEMA),
        (encode("Journal", EVENT)[:-1], Reason.TRUNCATED),
        (encode("Journal", EVENT) + b"\x00", Reason.TRAILING_BYTES),
        (header(schema("Signal")), Reason.UNKNOWN_SCHEMA),
    ],
)
def test_what_cannot_be_read_says_why(data: bytes | None, reason: Reason) -> None:
    with pytest.raises(Unreadable) as caught:
        decode("Journal", data)
    assert caught.value.reason is reason
    assert reason.sentence in caught.value.detail
    assert "Journal" in caught.value.detail


def test_an_unknown_name_is_told_what_there_is() -> None:
    with pytest.raises(KeyError, match=r"no schema is called 'Jurnal'; there are .*Journal"):
        codec.schema("Jurnal")


def test_confluents_framing_without_a_registry() -> None:
    framed = Codec("Journal", schema_id=258)
    encoded = framed.encode(EVENT)
    assert encoded[:5] == b"\x00\x00\x00\x01\x02"
    assert framed.decode(encoded) == EVENT
    assert framed.decode(encode("Journal", EVENT)) == EVENT
    assert Codec("Journal", ids=[258]).decode(encoded) == EVENT
    with pytest.raises(Unreadable, match="unknown_schema"):
        decode("Journal", encoded)


def test_through_a_registry() -> None:
    registry = RegistryCodec("mock://through", "Journal", "journal")
    encoded = registry.encode(EVENT)
    assert encoded[:5] == struct.pack(">bI", 0, registry.schema_id)
    assert encoded[5:] == encode("Journal", EVENT)[10:]
    assert registry.decode(encoded) == EVENT
    assert registry.decode(encode("Journal", EVENT)) == EVENT
    assert registry.lookup(registry.schema_id) == schema("Journal")
    assert registry.lookup(registry.schema_id + 1) is None
    with pytest.raises(Unreadable, match="truncated"):
        registry.decode(encoded[:-1])
    with pytest.raises(Unreadable, match="null_value"):
        registry.decode(None)
    with pytest.raises(Unreadable, match="unknown_schema"):
        registry.decode(b"\x00\x00\x00\xff\xff" + encoded[5:])
    with pytest.raises(ValueError, match="partition is <True>"):
        registry.encode(EVENT | {"partition": True})


def test_an_older_writers_id_is_looked_up_in_the_registry() -> None:
    client = registry_client("mock://older")
    older = schema("Reject")
    older["fields"].append({"name": "gone", "type": "boolean", "doc": "Was dropped."})
    text = RegisteredSchema(json.dumps(older), "AVRO")
    number = client.register_schema("book.reject-value", text)
    registry = RegistryCodec("mock://older", "Reject", "book.reject", client=client)
    assert registry.schema_id != number
    record = {
        "topic": "book.l1", "partition": 1, "offset": 2, "reason": "truncated", "detail": "d",
        "timestamp_ms": 3, "size_bytes": 4, "value": b"\xff",
    }  # fmt: skip
    body = message("Reject", record)[10:] + b"\x01"
    framed = b"\x00" + number.to_bytes(4, "big") + body
    assert registry.decode(framed) == record
    decoder = Decoder(schema("Reject"), ids=[registry.schema_id], lookup=registry.lookup)
    assert decoder.body(framed) == body[:-1]
    with pytest.raises(Unreadable, match="bad_boolean"):
        registry.decode(framed[:-1] + b"\x02")


def test_a_registry_that_is_not_there_is_named_without_its_password() -> None:
    with pytest.raises(
        RegistryError, match=r"schema registry http://127.0.0.1:1, subject journal-value"
    ) as caught:
        RegistryCodec("http://somebody:secret@127.0.0.1:1", "Journal", "journal", max_retries=0)
    assert "secret" not in str(caught.value)
