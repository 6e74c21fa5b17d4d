"""The shape of recordings of Lighter: a JSON list of `{captured_at, data}`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import IO, Any

import orjson

from streams.feeds.protocol import MessageError

QUARTER_NS = 900 * 1_000_000_000  # zones lie on quarters of an hour


def messages(file: IO[bytes]) -> Iterator[tuple[int, int, bytes]]:
    """The place of each message in the list, from 1, its receive time in ns, and itself.

    `captured_at` is the recorder's wall clock and names no zone: the zone is what brings the first message
    that has a `timestamp` nearest to it, in quarters of an hour. Raises MessageError.
    """
    try:
        elements = orjson.loads(file.read())
    except orjson.JSONDecodeError as fault:
        raise MessageError(f"line {fault.lineno}: no JSON: {fault.msg}") from None
    if not isinstance(elements, list):
        raise MessageError("line 1: no JSON list")
    zone_ns = _zone(elements)
    for number, element in enumerate(elements, 1):
        if not isinstance(element, dict) or "data" not in element:
            raise MessageError(f"line {number}: no object with `captured_at` and `data`")
        yield number, _captured(element, number) - zone_ns, orjson.dumps(element["data"])


def _zone(elements: list[Any]) -> int:
    for number, element in enumerate(elements, 1):
        data = element.get("data") if isinstance(element, dict) else None
        sent = data.get("timestamp") if isinstance(data, dict) else None
        if type(sent) is int and 0 < sent < 2**42:
            return round((_captured(element, number) - sent * 1_000_000) / QUARTER_NS) * QUARTER_NS
    return 0


def _captured(element: dict[str, Any], number: int) -> int:
    try:
        time = datetime.fromisoformat(element["captured_at"])
        whole = int(time.replace(microsecond=0, tzinfo=UTC).timestamp())
    except (KeyError, TypeError, ValueError):
        raise MessageError(f"line {number}: its `captured_at` is no time") from None
    return whole * 1_000_000_000 + time.microsecond * 1_000
