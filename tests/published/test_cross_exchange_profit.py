"""Profit through the depth of two exchanges: maxme/bitcoin-arbitrage, arbitrage/test/arbitrage_test.py.

[V] its numbers, reproduced. Erratum: its profits are int(100 x profit), cut off after float arithmetic;
159 is 1.60 exactly.
"""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import pytest

from tests.data import recording
from tests.naive import Book, Level, merge_books
from tests.strategies.sweep_books import arrays, edge, run

# prices in 0.1
ASKS = [(328, 4), (329, 8), (330, 2), (336, 3)]
BIDS = [(332, 2), (331, 3), (326, 5), (323, 10)]
DEAR_ASKS = [(342, 1), (343, 2), (345, 3), (350, 3)]


def best_levels(asks: int, bids: int) -> list[Book]:
    """Two exchanges: buy on the first, sell on the second, as many levels as named."""
    return [Book(asks=ASKS[:asks]), Book(bids=BIDS[:bids])]


@pytest.mark.parametrize(
    ("asks", "bids", "volume", "profit_x100"),
    [(1, 1, 2, 80), (3, 2, 5, 160), (4, 4, 5, 160)],
    ids=["best level only", "ask level 2, bid level 1", "all levels: the third bid does not pay"],
)
def test_cross_exchange_profit(asks: int, bids: int, volume: int, profit_x100: int) -> None:
    books = best_levels(asks, bids)
    result = run(arrays(books), price_unit=0.1)
    assert result.size == volume
    assert result.gross == pytest.approx(profit_x100 / 100, abs=1e-12)
    assert merge_books(books).gross * 10 == profit_x100


def test_not_crossed_is_nothing() -> None:
    books = [Book(asks=DEAR_ASKS), Book(bids=BIDS)]
    assert run(arrays(books)).size == 0
    assert edge(arrays(books)) < 0
    assert not merge_books(books).sizes


@pytest.mark.recording
def test_embedded_numbers_are_the_published() -> None:
    cases: list[dict[str, Any]] = json.loads(recording("vectors/book_vectors.json").read_text())[
        "cross_exchange_depth_profit"
    ]
    crossed, apart = cases

    def tenths(levels: list[list[float]]) -> list[Level]:
        return [(int(10 * Fraction(str(price))), int(size)) for price, size in levels]

    assert tenths(crossed["buy_asks"]) == ASKS
    assert tenths(crossed["sell_bids"]) == BIDS
    assert tenths(apart["buy_asks"]) == DEAR_ASKS
    assert tenths(apart["sell_bids"]) == BIDS
    assert apart["volume"] == apart["profit"] == 0
    for name, (asks, bids) in {
        "best_level_only": (1, 1),
        "through_ask_level2_bid_level1": (3, 2),
    }.items():
        published = crossed[name]
        exact = merge_books(best_levels(asks, bids))
        assert exact.size("buy") == published["volume"]
        assert exact.gross * 10 - published["profit_x100_int"] in (0, 1)  # 1: cut off, see above
