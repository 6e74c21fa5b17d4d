"""The recording `five_exchange_depth`: full depth of several exchanges at one moment of 2019, as integers.

Source: runeksvendsen/order-graph eef0006c (CC0); prices and sizes there are exact rationals.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

Level = tuple[int, int]  # price, size, in the book's exponents
FILE = "five_exchange_depth/run1-1.json"


@dataclass(frozen=True)
class ExchangeBook:
    """One exchange's book, best level first: a price is `price x 10^price_exponent`, sizes alike."""

    venue: str
    base: str
    quote: str
    price_exponent: int
    size_exponent: int
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]

    def levels(self, side: str, price_exponent: int) -> list[Level]:
        """Levels of "bids" or "asks" with prices in another, finer exponent."""
        factor = 10 ** (self.price_exponent - price_exponent)
        chosen = self.bids if side == "bids" else self.asks
        return [(price * factor, size) for price, size in chosen]


def _exponent(values: list[Fraction]) -> int:
    """Largest exponent, at most 0, in which all values are whole."""
    exponent = 0
    while any((value * 10**-exponent).denominator != 1 for value in values):
        exponent -= 1
    return exponent


def _rational(value: dict[str, int]) -> Fraction:
    return Fraction(value["numerator"], value["denominator"])


def _book(raw: dict[str, Any]) -> ExchangeBook:
    sides = {
        side: [(_rational(level["price"]), _rational(level["qty"])) for level in raw[side]]
        for side in ("bids", "asks")
    }
    everything = sides["bids"] + sides["asks"]
    prices = _exponent([price for price, _ in everything])
    sizes = _exponent([size for _, size in everything])

    def whole(side: str) -> tuple[Level, ...]:
        return tuple((int(p * 10**-prices), int(q * 10**-sizes)) for p, q in sides[side])

    return ExchangeBook(raw["venue"], raw["base"], raw["quote"], prices, sizes, whole("bids"), whole("asks"))


def load(path: Path, base: str, quote: str) -> dict[str, ExchangeBook]:
    """Books of base/quote by venue, in the order of the file."""
    raw = json.loads(path.read_text())
    return {b["venue"]: _book(b) for b in raw if (b["base"], b["quote"]) == (base, quote)}
