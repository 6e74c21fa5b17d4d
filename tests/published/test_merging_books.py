"""Size across venues by merging books: the golden value of the derivation.

[D] no paper gives a number; derived from the formula (sort asks by price x (1 + fee), bids by
price x (1 - fee), match while it pays).
"""

from __future__ import annotations

from fractions import Fraction

import pytest

from tests.naive import Book, merge_books
from tests.strategies.sweep_books import arrays, edge, run

BP = Fraction(1, 10_000)
# prices in 0.001, sizes in 0.1: A 100.00 x 2 and 100.02 x 3; B 100.01 x 1; C 100.05 x 2.5 and 100.03 x 2;
# D 100.015 x 4. B and D pay 1 bp.
BOOKS = [
    Book(asks=[(100_000, 20), (100_020, 30)]),
    Book(asks=[(100_010, 10)], fee=BP),
    Book(bids=[(100_050, 25), (100_030, 20)]),
    Book(bids=[(100_015, 40)], fee=BP),
]


def test_order_after_fees_is_not_the_order_before() -> None:
    assert BOOKS[1].asks[0][0] < BOOKS[0].asks[1][0]
    assert BOOKS[1].net("buy", 100_010) == Fraction("100020.001")
    assert BOOKS[3].net("sell", 100_015) == Fraction("100004.9985")


def test_merging_books() -> None:
    result = run(arrays(BOOKS), price_unit=1e-3, size_unit=1e-1)
    assert result.size == 45
    assert result.plan.sizes == {("buy", 0): 45, ("sell", 2): 45}
    assert result.plan.limits == {("buy", 0): 100_020, ("sell", 2): 100_030}
    assert result.gross == pytest.approx(0.135, abs=1e-12)
    assert result.net == pytest.approx(0.135, abs=1e-12)
    assert result.notional == pytest.approx(200.00 + 250.05, rel=1e-12)
    assert edge(arrays(BOOKS)) == pytest.approx(100.05 / 100.00 - 1, rel=1e-9)


def test_merging_books_twin() -> None:
    plan = merge_books(BOOKS)
    assert plan.sizes == {("buy", 0): 45, ("sell", 2): 45}
    assert plan.net(BOOKS) == 1350  # 0.135 in 1e-4


@pytest.mark.parametrize(
    ("budget", "size"), [(200.00, 20), (200.01, 20), (210.002, 21), (225.005, 22), (1e9, 45)]
)
def test_budget_stops_the_walk(budget: float, size: int) -> None:
    """A lot of 0.1 costs 10.000 up to 2.0, then 10.002."""
    result = run(arrays(BOOKS), price_unit=1e-3, size_unit=1e-1, max_notional=budget)
    assert result.size == size
    assert result.notional <= budget * (1 + 1e-12)
