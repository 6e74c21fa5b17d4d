"""Reading JSON as venues write it: exact numbers, ids, times, and faults that say what is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NoReturn
from urllib.parse import parse_qsl, urlsplit

import orjson

from streams.feeds.protocol import Delta, MessageError, RawLevel, RawMessage, Verdict

S, MS, US = 1_000_000_000, 1_000_000, 1_000  # ns
LAST_NS = 2**62
MAX_ID = 2**53  # as of BookUpdate.avsc
ID_DIGITS = 16  # of 2^53


def read(
    raw: bytes, reader: Callable[[Any], Iterable[RawMessage]], *, exact: bool = False
) -> list[RawMessage]:
    """What `reader` makes of one JSON message. Raises MessageError for whatever it cannot read.

    `exact`: numbers with a fraction reach the reader as the text they were written in, not as floats.
    """
    message = _exact_json(raw) if exact else _json(raw)
    try:
        return list(reader(message))
    except MessageError:
        raise
    except KeyError as fault:
        raise MessageError(f"field {fault} is missing") from None
    except (AttributeError, IndexError, TypeError, ValueError) as fault:
        raise MessageError(f"a field has the wrong type: {fault}") from None


def _json(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as fault:
        raise MessageError(f"no JSON: {fault.msg}, at its character {fault.pos + 1}") from None


def _exact_json(raw: bytes) -> Any:
    try:
        return json.loads(raw, parse_float=str, parse_constant=_no_constant)
    except (ValueError, RecursionError) as fault:
        raise MessageError(f"no JSON: {fault!s:.80}") from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def number(value: Any) -> str:
    """A price or size that is written as a text, or as a number and read with `exact`."""
    if type(value) is int:
        return str(value)
    if type(value) is not str:
        raise TypeError(f"{value!r:.40} is no number")
    return value


def whole(value: Any) -> int:
    """An id, written as a number or as its digits."""
    if type(value) is str and value.isascii() and value.isdecimal() and len(value) <= ID_DIGITS:
        value = int(value)
    if type(value) is not int or not 0 <= value < MAX_ID:
        raise ValueError(f"{value!r:.40} is no id")
    return value


def name(value: Any) -> str:
    """A symbol or channel."""
    if not isinstance(value, str) or not value:
        raise TypeError(f"{value!r:.40} is no symbol or channel")
    return value


def time(value: Any, unit_ns: int) -> int:
    """A time since 1970 in `unit_ns` as ns."""
    found = whole(value) * unit_ns
    if found > LAST_NS:
        raise ValueError(f"{value!r:.40} is no time")
    return found


def pairs(rows: Any, price: str | int = 0, size: str | int = 1) -> list[RawLevel]:
    """Levels that are lists or objects as (price, size); they must be a list of such."""
    if not isinstance(rows, list):
        raise TypeError(f"{rows!r:.40} is no list of levels")
    kind: type = dict if isinstance(price, str) else list
    if not all(isinstance(row, kind) for row in rows):
        raise TypeError("a level is no pair of price and size")
    return [(number(row[price]), number(row[size])) for row in rows]


def table(value: Any) -> Mapping[str, Any]:
    """A JSON object."""
    if not isinstance(value, dict):
        raise TypeError(f"{value!r:.40} is no JSON object")
    return value


def rows(value: Any) -> Sequence[Any]:
    """A JSON list."""
    if not isinstance(value, list):
        raise TypeError(f"{value!r:.40} is no JSON list")
    return value


def iso(value: Any) -> int:
    """2023-10-06T17:35:55.440295Z as ns; digits beyond ns are cut."""
    stamp = name(value).removesuffix("Z")
    head, dot, part = stamp.partition(".")
    if dot and not (part.isascii() and part.isdecimal()):
        raise ValueError(f"{stamp:.40} is no time")
    time = datetime.fromisoformat(head)
    seconds = int((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp())
    found = seconds * S + int(part[:9].ljust(9, "0"))
    if not 0 <= found <= LAST_NS:
        raise ValueError(f"{stamp:.40} is no time")
    return found


def answer(message: Any) -> tuple[Any, Mapping[str, str]]:
    """A message, and the query of the question where it is the answer to one (else empty).

    An answer comes as {"rest": URL, "body": ANSWER}, because many do not say what was asked.
    """
    if isinstance(message, dict) and message.keys() == {"rest", "body"}:
        return message["body"], dict(parse_qsl(urlsplit(name(message["rest"])).query))
    return message, {}


def in_range(last: int | None, delta: Delta) -> Verdict:
    """Ids without holes: `first` is at most one more than the last one applied; it may reach further back."""
    first, final = delta.first_update_id, delta.last_update_id
    if last is None or first is None or final is None:
        return Verdict.BREAK
    if final <= last:
        return Verdict.OLD
    return Verdict.FITS if first <= last + 1 else Verdict.BREAK


def chained(last: int | None, delta: Delta) -> Verdict:
    """Each names the one before it, and ids only rise."""
    previous, final = delta.previous_update_id, delta.last_update_id
    if last is None or final is None:
        return Verdict.BREAK
    if final <= last:
        return Verdict.OLD
    return Verdict.FITS if previous == last else Verdict.BREAK


def chain_starts(last: int | None, delta: Delta) -> Verdict:
    """As `chained`, but a snapshot may have been taken within what the update spans."""
    previous, final = delta.previous_update_id, delta.last_update_id
    if last is None or final is None:
        return Verdict.BREAK
    if final <= last:
        return Verdict.OLD
    return Verdict.FITS if previous is not None and previous <= last else Verdict.BREAK
