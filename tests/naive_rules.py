"""The verdict on one message of a book topic, by a slow twin: the oracle's reading, then the rules."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from strategies.markets import Markets
from tests.oracle import Oracle

Record = dict[str, Any]
MAX = 2**53
UNREADABLE = "unreadable"


@dataclass
class NaiveRules:
    """Rules for one engine: `groups` of `markets`, and the limits an engine has."""

    markets: Markets
    groups: Iterable[str]
    ahead_ms: int = 5_000
    levels_limit: int = 5_000

    def __post_init__(self) -> None:
        self.oracle = Oracle("BookUpdate")
        self.books = {(g, i.venue, i.symbol): i for g in self.groups for i in self.markets.members(g)}

    def verdict(
        self, topic: str, key: bytes | None, value: bytes | None, timestamp_ms: int
    ) -> tuple[str, Record | None]:
        """("ok", record), ("unreadable", None), or the word of the first rule that is broken."""
        record = self.oracle.read(value)
        if record is None:
            return UNREADABLE, None
        checks = (self._place(topic, record), self._numbers(record), self._times(record, timestamp_ms))
        broken = next((c for c in (*checks, self._ids(record)) if c), None)
        if broken is None:
            broken = self._book(key, record)
        return (broken, None) if broken else ("ok", record)

    def _place(self, topic: str, r: Record) -> str | None:
        sides = (len(r["bids"]), len(r["asks"]))
        fits = {
            "quote": r["level"] == "l1" and max(sides) <= 1,
            "snapshot": r["level"] == "l2",
            "delta": r["level"] == "l2",
            "clear": sides == (0, 0),
            "heartbeat": sides == (0, 0),
        }[r["kind"]]
        if topic != f"book.{r['level']}" or not fits:
            return "wrong_topic"
        return "too_many_levels" if max(sides) > self.levels_limit else None

    def _numbers(self, r: Record) -> str | None:
        exponents = (r["price_exponent"], r["size_exponent"])
        return None if all(-18 <= e <= 18 for e in exponents) else "exponent_out_of_bounds"

    def _times(self, r: Record, timestamp_ms: int) -> str | None:
        if r["receive_time_ns"] <= 0 or (r["event_time_ns"] is not None and r["event_time_ns"] < 0):
            return "negative_time"
        if timestamp_ms >= 0 and r["receive_time_ns"] > (timestamp_ms + self.ahead_ms) * 10**6:
            return "receive_time_ahead"
        return "session_after_receive" if r["session"] > r["receive_time_ns"] else None

    def _ids(self, r: Record) -> str | None:
        ids = [r[name] for name in ("first_update_id", "last_update_id", "previous_update_id")]
        low = any(i is not None and i < -1 for i in ids)
        falls = ids[0] is not None and ids[1] is not None and ids[0] > ids[1]
        return "bad_sequence" if r["sequence"] < 1 or r["session"] < 0 or low or falls else None

    def _book(self, key: bytes | None, r: Record) -> str | None:
        if key is None:
            return "no_key"
        own = next(
            (i for (g, *n), i in self.books.items() if g.encode() == key and n == [r["venue"], r["symbol"]]),
            None,
        )
        if own is None:
            return "unknown_book"
        home = [i for i in self.books.values() if fungible(own, i, key.decode())]
        scales = [Fraction(10) ** e for e in (r["price_exponent"], r["size_exponent"])]
        finest = [min(finest_of(getattr(i, name)) for i in home) for name in ("tick", "lot")]
        for row in (*r["bids"], *r["asks"]):
            price, size = row["price_ticks"], row["size_lots"]
            if not 0 < price <= MAX:
                return "price_out_of_bounds"
            if not 0 <= size <= MAX:
                return "size_out_of_bounds"
            for value, scale, unit in zip((price, size), scales, finest, strict=True):
                units = value * scale / unit
                if units.denominator != 1 or (units > MAX and scale != unit):
                    return "off_grid"
        return None


def finest_of(step: Any) -> Fraction:
    """The power of ten that holds every multiple of a tick or lot: 0.05 -> 0.01."""
    unit = Fraction(10) ** 18
    while (Fraction(step) / unit).denominator != 1:
        unit /= 10
    return unit


def fungible(one: Any, other: Any, group: str) -> bool:
    """True where both are kept in the same units: compared with one another, or the very same book."""
    if one is other:
        return True
    home = all(i.kind == "spot" and i.groups[0] == group for i in (one, other))
    return home and (one.base, one.quote) == (other.base, other.quote)
