"""What comes over the wire costs no more than it must: no memory is kept, no depth of nesting is followed."""

from __future__ import annotations

import tracemalloc

import pytest

from streams.feeds.protocol import MessageError
from streams.feeds.registry import FEEDS
from tests.feeds.conformance import Row, Trial, rows, story, whole

MESSAGES = 1_100  # of each of two rounds; venues that number by connection may keep 1,000 books or times
GROWTH = 64 * 1024  # bytes by which the second round may need more; one small book is some 2,000
ROWS = rows()


def strange(row: Row, number: int) -> bytes:
    """A whole book of a symbol that nobody asked for, another one each time."""
    known, other = row.symbol.encode(), f"{row.symbol}X{number}".encode()
    raw = row.encode(whole(0, number))
    for before in (b'"', b":", b"/", b"="):
        for after in (b'"', b"&", b"@", b"."):
            raw = raw.replace(before + known + after, before + other + after)
    return raw


def spoilt(row: Row, number: int) -> bytes:
    """A book with a price that is none, another one each time."""
    return row.encode(whole(0, number)).replace(b"45283.5", f"45283.{number}x".encode())


def hear(trial: Trial, raw: bytes) -> None:
    try:
        trial.feed.receive(raw, trial.now)
    except MessageError:
        return


@pytest.mark.parametrize("row", ROWS, ids=[row.feed for row in ROWS])
def test_strangers_and_nonsense_leave_nothing_behind(row: Row) -> None:
    trial = Trial(row)
    trial.say(story(row)[0])
    tracemalloc.start()
    try:
        peaks = [peak(trial, row, range(1 + n * MESSAGES, 1 + (n + 1) * MESSAGES)) for n in range(2)]
    finally:
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < GROWTH


def peak(trial: Trial, row: Row, numbers: range) -> int:
    tracemalloc.reset_peak()
    for number in numbers:
        hear(trial, strange(row, number))
        if number % 4 == 0:
            hear(trial, spoilt(row, number))
    return tracemalloc.get_traced_memory()[1]


HOSTILE = {
    "nested lists": b"[" * 200_000,
    "nested objects": b'{"a":' * 200_000 + b"1" + b"}" * 200_000,
    "a number of 100,000 digits": b'{"offset": ' + b"1" * 100_000 + b"}",
    "an exponent": b'{"price": 1e999999999}',
    "no number": b'{"price": NaN}',
    "a text that never ends": b'{"a": "' + b"x" * 1_000_000,
    "a text of 1 MB": b'"' + b"x" * 1_000_000 + b'"',
    "no UTF-8": b'{"a": "\xff\xfe"}',
    "a mark of UTF-16": "\ufeff{}".encode("utf-16"),
    "a mark of UTF-8": b"\xef\xbb\xbf{}",
    "zeros": bytes(1_000),
    "one half of a pair": b'{"channel": "\\ud800", "type": "\\ud800"}',
}


@pytest.mark.parametrize("feed", FEEDS)
@pytest.mark.parametrize("raw", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_bytes_give_no_book(feed: str, raw: bytes) -> None:
    try:
        assert not list(FEEDS[feed]().parse(raw))
    except MessageError as fault:
        reason = str(fault)
    else:
        return
    assert 0 < len(reason) < 300
