"""Plain depth files: a JSON list of whole books, prices and sizes as exact ratios, without times.

Each element names its venue, base and quote; the symbol is `BASE/QUOTE`. Levels of one price are added up.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import orjson

from streams.feeds.protocol import Delta, MessageError, RawLevel, RawMessage, Snapshot, Verdict


class PlainDepth:
    """Elements of a depth file."""

    name = "plain_depth"
    shape = "json_list"

    def parse(self, raw: bytes) -> Iterable[RawMessage]:
        """One snapshot."""
        try:
            book = orjson.loads(raw)
            symbol = f"{book['base']}/{book['quote']}"
            bids, asks = _levels(book["bids"]), _levels(book["asks"])
            venue = str(book["venue"])
        except orjson.JSONDecodeError as fault:
            raise MessageError(f"no JSON: {fault.msg}, at its character {fault.pos + 1}") from None
        except KeyError as fault:
            raise MessageError(f"a book without {fault}") from None
        except (TypeError, ValueError, ZeroDivisionError) as fault:
            raise MessageError(f"no book with exact ratios: {fault}") from None
        yield Snapshot(symbol, bids, asks, venue=venue)

    def starts(self, last: int | None, delta: Delta) -> Verdict:
        """There are no deltas."""
        return Verdict.BREAK

    follows = starts


def _levels(raw: Any) -> list[RawLevel]:
    sizes: dict[Fraction, Fraction] = {}
    for level in raw:
        price = _ratio(level["price"])
        sizes[price] = sizes.get(price, Fraction(0)) + _ratio(level["qty"])
    return list(sizes.items())


def _ratio(value: Any) -> Fraction:
    return Fraction(value["numerator"], value["denominator"])
