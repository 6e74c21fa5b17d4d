"""Decimals as venues write them into integers of an instrument, exactly or not at all."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Literal

from strategies.markets import Instrument, exponent
from streams.feeds.protocol import Level, MessageError, Number, RawLevel

MAX_INTEGER = 2**53  # as of BookUpdate.avsc
MAX_TEXT = 64  # characters of a number; no venue writes more, and an exponent of a million must not be tried
NUMBER = re.compile(r"-?[0-9]*\.?[0-9]*([eE][+-]?[0-9]+)?")  # Decimal takes 1_0 and digits of all scripts
PLAIN_DIGITS = 30  # more are left to the decimal module
REMEMBERED = 100_000  # texts; a book's prices come again and again


class Scale:
    """Turns texts into units of the last digit of a tick or lot: 0.05 -> units of 0.01.

    Prices must be multiples of the tick. Sizes need not be of the lot, which binds orders: what rests in a
    book may be older than a lot (Binance spot, 2024: 25.426189 BTC with a lot of 0.00001).
    """

    def __init__(self, what: Literal["price", "size"], step: Decimal, where: str) -> None:
        self.exponent = exponent(step)
        self._what = what
        self._whole = int(step.scaleb(-self.exponent)) if what == "price" else 1
        self._where = f"{'tick' if what == 'price' else 'lot'} {step} of {where} in the markets file"
        self._known: dict[str, int] = {}

    def __call__(self, value: Number) -> int:
        """`value` in units of 10^exponent.

        Raises MessageError where it is no number, finer than that, negative, or too large for the record.
        """
        if type(value) is not str:
            if type(value) is Fraction:
                return self._exact(value, str(value)[:MAX_TEXT])
            raise MessageError(f"{self._what} {value!r:.80} is not written as a text")
        found = self._known.get(value)
        if found is None:
            found = self._new(value)
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[value] = found
        return found

    def _new(self, value: str) -> int:
        whole, _, part = value.partition(".")
        part = part.rstrip("0")
        missing = -self.exponent - len(part)
        digits = whole + part
        if missing >= 0 and len(digits) <= PLAIN_DIGITS and digits.isascii() and digits.isdecimal():
            return self._checked(int(digits) * 10**missing, value)
        try:
            return self._exact(_fraction(value), value)
        except (InvalidOperation, ValueError):
            raise MessageError(f"{self._what} {value!r:.80} is no decimal number") from None

    def _exact(self, value: Fraction, shown: str) -> int:
        scaled = value * Fraction(10) ** -self.exponent
        if scaled.denominator != 1:
            raise MessageError(f"{self._what} {shown} does not fit the {self._where}")
        return self._checked(scaled.numerator, shown)

    def _checked(self, units: int, shown: str) -> int:
        if units % self._whole:
            raise MessageError(f"{self._what} {shown} does not fit the {self._where}")
        if not 0 <= units <= MAX_INTEGER:
            raise MessageError(f"{self._what} {shown} is below 0 or above 2^53 units")
        return units


class Scales:
    """Prices and sizes of one instrument."""

    def __init__(self, instrument: Instrument) -> None:
        where = f"{instrument.venue} {instrument.symbol}"
        self.price = Scale("price", instrument.tick, where)
        self.size = Scale("size", instrument.lot, where)

    def levels(self, raw: Sequence[RawLevel]) -> list[Level]:
        """All levels as integers. Raises MessageError."""
        price, size = self.price, self.size
        try:
            found = [(price(level[0]), size(level[1])) for level in raw]
        except (IndexError, KeyError, TypeError):
            raise MessageError("a level is no pair of price and size") from None
        if any(level[0] == 0 for level in found):
            raise MessageError("a level has the price 0")
        return found


def _fraction(text: str) -> Fraction:
    if len(text) > MAX_TEXT or not NUMBER.fullmatch(text):
        raise ValueError
    number = Decimal(text)
    if not number.is_finite() or abs(number.adjusted()) > MAX_TEXT:
        raise ValueError
    return Fraction(number)
