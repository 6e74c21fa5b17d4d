"""Lines of connections: what each becomes, and what is said of one that is none."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from streams.errors import UserError
from streams.feeds import fields
from streams.feeds.captures import CONNECTED, Capture, Raw

STAMP = 1_618_678_132_000_000_000
LINES = b"""wss://ws.kraken.com <-> 1618678132.3858151

wss://ws.kraken.com <- 1618678132.8253062: {"event":"subscribe"}
1618678132.8258188: {"event":"systemStatus","at":"a -> 1: b"}
https://api.x.com/depth?symbol=A%2FB&limit=10 -> 1618678133: {"bids": [], "n": 1}
1618678134.5: [1, 2]
configuration: {"trades":["A"]}
1618678135000000000 {"of": "ns"}
"""


def read(path: Path, text: bytes) -> list[Raw]:
    path.write_bytes(text)
    return list(Capture(path, "stamped_lines"))


def test_lines_of_a_connection(tmp_path: Path) -> None:
    found = read(tmp_path / "c", LINES)
    url = "https://api.x.com/depth?symbol=A%2FB&limit=10"
    assert found == [
        Raw(1, STAMP + 385_815_100, CONNECTED),
        Raw(4, STAMP + 825_818_800, b'{"event":"systemStatus","at":"a -> 1: b"}'),
        Raw(5, STAMP + 1_000_000_000, b'{"rest":"%s","body":{"bids": [], "n": 1}}' % url.encode()),
        Raw(6, STAMP + 2_500_000_000, b"[1, 2]"),
        Raw(8, STAMP + 3_000_000_000, b'{"of": "ns"}'),
    ]
    body, query = fields.answer(orjson.loads(found[2].message))
    assert (body, query) == ({"bids": [], "n": 1}, {"symbol": "A/B", "limit": "10"})
    assert fields.answer([1, 2]) == ([1, 2], {})


@pytest.mark.parametrize(
    "line",
    [
        b"hello",
        b"{}",
        b"-1618678134.5: {}",
        b"1618678134.5",
        b"0: {}",
        b"1e9: {}",
        b"https://x.com => 1618678134.5: {}",
        b"wss://x.com <- {}",
        b"\xff\xfe: {}",
        b"0 {}",
        b"9999999999999999999999 {}",
    ],
)
def test_a_line_that_is_none_is_named(tmp_path: Path, line: bytes) -> None:
    with pytest.raises(UserError, match=r"c, line 2: (not of the form|0 is no time)"):
        read(tmp_path / "c", b"1618678134.5: {}\n" + line + b"\n")


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("1970-01-01T00:00:01Z", 1_000_000_000),
        ("1970-01-01T00:00:01.5Z", 1_500_000_000),
        ("1970-01-01T00:00:01.123456789123Z", 1_123_456_789),
        ("1970-01-01T00:00:01", 1_000_000_000),
        ("1970-01-01T02:00:01+02:00", 1_000_000_000),
    ],
)
def test_times_as_texts(text: str, ns: int) -> None:
    assert fields.iso(text) == ns


@pytest.mark.parametrize(
    "text", ["", "Z", "1969-12-31T23:59:59Z", "9999-01-01T00:00:00Z", "1970-01-01T00:00:01.x"]
)
def test_texts_that_are_no_times(text: str) -> None:
    with pytest.raises((TypeError, ValueError)):
        fields.iso(text)
