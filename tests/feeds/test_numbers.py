"""Decimals into integers: exactly, or refused."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.feeds.numbers import MAX_INTEGER, Scale
from streams.feeds.protocol import MessageError

WRITTEN = st.one_of(
    st.from_regex(r"[0-9]{1,20}(\.[0-9]{0,12})?", fullmatch=True),
    st.from_regex(r"-?[0-9]{0,8}\.?[0-9]{0,8}([eE][+-]?[0-9]{1,3})?", fullmatch=True),
    st.sampled_from(["", ".", "-", "nan", "inf", "-0", "1_0", "1e400", "1e-400", "٣", " 1", "0x1", "1" * 65]),
)
STEPS = st.sampled_from([Decimal(s) for s in ("0.01", "0.05", "1", "5", "100", "0.00000001", "0.5", "25")])


def oracle(written: str, step: Decimal, multiples: bool) -> int | None:
    """The same by exact fractions, from the definition."""
    if not written.isascii() or "_" in written or written != written.strip() or len(written) > 64:
        return None
    try:
        value = Fraction(written)
    except (ValueError, ZeroDivisionError):
        return None
    if len(str(value)) > 120:
        return None
    digits = step.normalize().as_tuple()
    unit = Fraction(10) ** int(digits.exponent)
    if (value / unit).denominator != 1 or not 0 <= value / unit <= MAX_INTEGER:
        return None
    if multiples and (value / Fraction(step)).denominator != 1:
        return None
    return int(value / unit)


@given(WRITTEN, STEPS, st.booleans())
def test_equals_exact_fractions_or_is_refused(written: str, step: Decimal, price: bool) -> None:
    scale = Scale("price" if price else "size", step, "here")
    expected = oracle(written, step, multiples=price)
    for _ in range(2):  # a remembered answer is the same
        if expected is None:
            with pytest.raises(MessageError):
                scale(written)
        else:
            assert scale(written) == expected


def test_known_answers() -> None:
    price, size = Scale("price", Decimal("0.01"), "v s"), Scale("size", Decimal("0.00001"), "v s")
    assert price("61837.63000000") == 6183763
    assert size("8e-05") == 8
    assert Scale("price", Decimal("100"), "v s")("61800") == 618
    assert Scale("price", Decimal("0.05"), "v s")("0.15") == 15
    assert price(Fraction(25518, 5)) == 510360
    exact = Scale("size", Decimal("0.00000001"), "v s")
    assert exact(Fraction(451967, 3125000)) == 14462944
    with pytest.raises(MessageError, match="does not fit the lot"):
        size(Fraction(451967, 3125000))


def test_finer_than_the_tick_is_reported_with_the_tick_and_where() -> None:
    with pytest.raises(MessageError, match=r"price 61837.635 does not fit the tick 0.01 of binance BTCUSDT"):
        Scale("price", Decimal("0.01"), "binance BTCUSDT")("61837.635")
    with pytest.raises(MessageError, match=r"price 0.11 does not fit the tick 0.05"):
        Scale("price", Decimal("0.05"), "v s")("0.11")
    # An old resting order need not be a multiple of today's lot.
    assert Scale("size", Decimal("0.05"), "v s")("0.11") == 11


@pytest.mark.parametrize("value", [1.5, 3, None, True, ["1"], {"a": 1}])
def test_what_is_no_text_is_refused(value: Any) -> None:
    with pytest.raises(MessageError, match="not written as a text"):
        Scale("price", Decimal("0.5"), "v s")(value)
