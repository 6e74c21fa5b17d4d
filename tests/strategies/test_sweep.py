"""The sweep kernel against its twins, on tiny adversarial books."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from strategies.kernels.curve import make_scratch
from strategies.kernels.layout import BOOK, INSTRUMENT
from tests.naive import Book, Plan, best_plans, brute_force, fill_in_units, in_play, merge_books
from tests.strategies.sweep_books import Result, arrays, edge, run

# Fees in 1/1024: float64 holds all prices after such a fee exactly, so that ties are ties in both.
one = st.just(1)
nothing = st.just(Fraction(0))
fees = st.sampled_from([Fraction(0), Fraction(1, 1024), Fraction(5, 1024), Fraction(20, 1024)])
costs = st.sampled_from([Fraction(0), Fraction(1, 2), Fraction(3), Fraction(10)])
least = st.sampled_from([Fraction(0), Fraction(100), Fraction(210), Fraction(430)])


@st.composite
def sides(draw: st.DrawFn, best: int, sign: int, max_size: int) -> list[tuple[int, int]]:
    """0 to 3 levels, from `best` outwards, dust among them."""
    steps = draw(st.lists(st.integers(1, 3), max_size=3))
    prices = [best + sign * sum(steps[:i]) for i in range(len(steps))]
    return [(price, draw(st.integers(1, max_size))) for price in prices]


@st.composite
def uncrossed(
    draw: st.DrawFn,
    lots: st.SearchStrategy[int] = one,
    fixed: st.SearchStrategy[Fraction] = nothing,
    minimum: st.SearchStrategy[Fraction] = nothing,
    fee: st.SearchStrategy[Fraction] = fees,
    max_size: int = 6,
) -> Book:
    """A book around 105 that does not cross itself; several do cross, often at equal prices."""
    bid = draw(st.integers(100, 110))
    ask = bid + draw(st.integers(1, 4))
    return Book(
        draw(sides(bid, -1, max_size)),
        draw(sides(ask, 1, max_size)),
        draw(fee),
        draw(lots),
        draw(fixed),
        draw(minimum),
    )


def market(max_books: int = 4, **kinds: object) -> st.SearchStrategy[list[Book]]:
    return st.lists(uncrossed(**kinds), max_size=max_books)  # type: ignore[arg-type]  # kinds are strategies of the right types


def check(found: Result, plan: Plan, books: list[Book]) -> None:
    """Sizes and limits of the twin exactly, its money to 1e-12."""
    assert found.plan.sizes == plan.sizes
    assert found.plan.limits == plan.limits
    assert found.costs == {leg: float(cost) for leg, cost in plan.costs.items()}
    check_money(found, plan, books)


def check_money(found: Result, plan: Plan, books: list[Book]) -> None:
    notional = plan.money("buy")
    assert found.notional == pytest.approx(notional, rel=1e-12)
    assert found.gross == pytest.approx(plan.gross, rel=1e-12, abs=1e-12 * notional)
    assert found.net == pytest.approx(float(plan.net(books)), rel=1e-12, abs=1e-12 * notional)


def check_feasible(found: Result, books: list[Book], max_notional: float | None = None) -> None:
    """Lots, minimum notionals and the budget hold for all legs jointly; as much is bought as sold."""
    plan = found.plan
    assert plan.size("buy") == plan.size("sell") == found.size
    used = [b for _, b in plan.sizes]
    assert len(set(used)) == len(used), "a book trades with itself"
    for (side, b), size in plan.sizes.items():
        assert size > 0
        assert size % books[b].lot == 0
        assert size <= sum(available for _, available in books[b].levels(side))
        assert found.costs[side, b] >= books[b].min_notional
    if max_notional is not None:
        assert found.notional <= max_notional * (1 + 1e-12)
    assert found.net > 0 or not plan.sizes


@given(market())
def test_single_lots_are_a_merge(books: list[Book]) -> None:
    found, twin = run(arrays(books)), merge_books(books)
    check(found, twin, books)
    assert (edge(arrays(books)) > 0) == bool(twin.sizes)


@given(market(), st.data())
def test_sizes_to_two_to_the_53(books: list[Book], data: st.DataObject) -> None:
    factor = data.draw(st.sampled_from([2**40, 2**50 + 1, (2**53) // 6]))
    huge = [
        Book([(p, s * factor) for p, s in b.bids], [(p, s * factor) for p, s in b.asks], b.fee) for b in books
    ]
    found, twin = run(arrays(huge)), merge_books(huge)
    assert found.plan.sizes == twin.sizes
    assert found.plan.limits == twin.limits
    check_money(found, twin, huge)


@given(market(), st.integers(1, 5), st.data())
def test_a_quote_over_depth_is_the_book_it_shows(books: list[Book], gone: int, data: st.DataObject) -> None:
    """Levels that the quote proves gone are better and larger than any real one, and never traded."""
    overlay = frozenset(data.draw(st.sets(st.integers(0, 3))))
    twin = merge_books(books)
    a = arrays(books, overlay=overlay, gone=gone)
    check(run(a), twin, books)
    assert edge(a) == edge(arrays(books))


@given(market(), st.permutations(range(4)))
def test_order_of_members_means_nothing(books: list[Book], order: list[int]) -> None:
    a = arrays(books)
    first = run(a)
    shuffled = run(
        a, members=np.array([b for b in order if b < len(books)], np.int64), scratch=make_scratch()
    )
    assert shuffled == first
    assert run(a) == first, "a second run differs"


@given(market(), st.integers(1, 3))
def test_only_members_take_part(books: list[Book], n: int) -> None:
    members = np.arange(min(n, len(books)), dtype=np.int64)
    check(run(arrays(books), members=members), merge_books(books[:n]), books)


@given(market(max_books=3, lots=st.just(1), max_size=4))
def test_no_vector_of_sizes_earns_more(books: list[Book]) -> None:
    assert run(arrays(books)).net == pytest.approx(float(brute_force(books)), rel=1e-12, abs=1e-9)


@given(market(max_books=3, max_size=9), st.integers(2, 4))
def test_one_common_lot_is_optimal(books: list[Book], lot: int) -> None:
    books = [Book(b.bids, b.asks, b.fee, lot) for b in books]
    found = run(arrays(books))
    check(found, fill_in_units(books, in_play(books), None), books)
    check_feasible(found, books)
    assert found.net == pytest.approx(float(brute_force(books)), rel=1e-12, abs=1e-9)


@given(market(max_books=4))
def test_one_unit_more_or_less_earns_less(books: list[Book]) -> None:
    """Optimality: the last unit pays, the next does not."""
    found = run(arrays(books))
    for change, pays in ((-1, True), (1, False)):
        size = found.size + change
        assume(found.size > 0)
        units = [
            sorted(
                (book.net(side, price) for book in books for price, n in book.levels(side) for _ in range(n)),
                reverse=side == "sell",
            )
            for side in ("buy", "sell")
        ]
        if size <= min(map(len, units)):
            other = sum(units[1][:size], Fraction(0)) - sum(units[0][:size], Fraction(0))
            assert (other < found.net - 1e-9) if pays else (other <= found.net + 1e-9)


@given(market(max_books=4), st.integers(50, 2_000))
def test_budget(books: list[Book], budget: int) -> None:
    found = run(arrays(books), max_notional=float(budget))
    check(found, fill_in_units(books, in_play(books), Fraction(budget)), books)
    check_feasible(found, books, budget)


@given(market(lots=st.sampled_from([1, 2, 4, 12]), max_size=14))
def test_unequal_lots_as_the_twin(books: list[Book]) -> None:
    found = run(arrays(books))
    twin = fill_in_units(books, in_play(books), None)
    check_feasible(found, books)
    if twin.holds(books):
        assert found.net == pytest.approx(float(twin.net(books)), rel=1e-12, abs=1e-9)


@given(market(max_books=3, lots=st.sampled_from([1, 2, 4]), max_size=5))
def test_unequal_lots_miss_little(books: list[Book]) -> None:
    """Never more than the optimum, and at most what one coarse lot could earn less."""
    found, best = run(arrays(books)), float(brute_force(books))
    check_feasible(found, books)
    assert found.net <= best + 1e-9
    if best > 0:
        bid = max(book.net("sell", book.bids[0][0]) for book in books if book.bids)
        ask = min(book.net("buy", book.asks[0][0]) for book in books if book.asks)
        assert found.net >= best - max(book.lot for book in books) * float(bid - ask) - 1e-9


@given(market(max_books=4, fixed=costs))
def test_fixed_costs_by_exhaustive_subsets(books: list[Book]) -> None:
    found = run(arrays(books))
    best, plans = best_plans(books)
    check_feasible(found, books)
    assert found.net == pytest.approx(float(best), rel=1e-12, abs=1e-9)
    if plans:
        assert found.plan.sizes in [plan.sizes for plan in plans]


@given(market(max_books=3, fixed=costs, max_size=4))
def test_fixed_costs_are_optimal(books: list[Book]) -> None:
    assert run(arrays(books)).net == pytest.approx(float(brute_force(books)), rel=1e-12, abs=1e-9)


@given(
    market(max_books=4, fixed=costs, minimum=least, lots=st.sampled_from([1, 1, 2])),
    st.one_of(st.none(), st.integers(200, 2_000)),
)
def test_everything_at_once(books: list[Book], budget: int | None) -> None:
    limit = 1e300 if budget is None else float(budget)
    found = run(arrays(books), max_notional=limit)
    best, plans = best_plans(books, None if budget is None else Fraction(budget))
    check_feasible(found, books, limit)
    assert found.net == pytest.approx(float(best), rel=1e-12, abs=1e-9)
    if plans:
        assert found.plan.sizes in [plan.sizes for plan in plans]


@given(
    market(max_books=3, fixed=costs, minimum=least, fee=st.sampled_from([Fraction(-3, 1024), Fraction(0)]))
)
def test_rebates_make_no_book_trade_with_itself(books: list[Book]) -> None:
    """A rebate of 3/1024 is worth 0.3: wide enough to close a spread of 1 with a crossed quote."""
    crossed = [Book(b.bids, [(p - 2, s) for p, s in b.asks], *_rest(b)) for b in books]
    found = run(arrays(crossed))
    best, plans = best_plans(crossed)
    check_feasible(found, crossed)
    assert found.net == pytest.approx(float(best), rel=1e-12, abs=1e-9)
    assert not plans or edge(arrays(crossed)) > 0


def _rest(b: Book) -> tuple[Fraction, int, Fraction, Fraction]:
    return b.fee, b.lot, b.fixed_cost, b.min_notional


@given(market(max_books=4, fixed=costs), st.integers(0, 40))
def test_less_than_least_net_is_nothing(books: list[Book], min_net: int) -> None:
    best, _ = best_plans(books)
    found = run(arrays(books), min_net=float(min_net))
    assert found.net == pytest.approx(float(best) if best >= min_net else 0.0, rel=1e-12, abs=1e-9)
    assert bool(found.plan.sizes) == (found.net > 0)


@given(st.lists(uncrossed(fixed=costs, minimum=least), min_size=7, max_size=10))
def test_many_legs_hold_and_never_beat_the_optimum(books: list[Book]) -> None:
    """Above 8 legs in play the worst is dropped first: feasible, and no better than without limits."""
    found = run(arrays(books))
    check_feasible(found, books)
    assert found.net <= float(merge_books(books).after_fees(books)) + 1e-9


@given(st.lists(uncrossed(), min_size=9, max_size=32))
def test_many_books_are_a_merge(books: list[Book]) -> None:
    check(run(arrays(books)), merge_books(books), books)


def test_units_are_those_of_the_product() -> None:
    books = [
        Book(asks=[(5_000_000, 150_000_000)]),
        Book(bids=[(5_010_000, 100_000_000)], fee=Fraction(1, 1000)),
    ]
    found = run(arrays(books), price_unit=1e-2, size_unit=1e-8, max_notional=25_000.0)
    assert found.size == 50_000_000
    assert found.notional == pytest.approx(25_000.0)
    assert found.gross == pytest.approx(50.0)
    assert found.net == pytest.approx(50.0 - 25.05)


def test_two_fine_books_fill_a_coarse_lot() -> None:
    books = [Book(asks=[(100, 10)], lot=10), Book(bids=[(101, 4)]), Book(bids=[(102, 6)])]
    assert run(arrays(books)).plan.sizes == {("buy", 0): 10, ("sell", 1): 4, ("sell", 2): 6}


def test_a_coarse_lot_is_left_where_it_spoils_more_than_it_earns() -> None:
    """Ten at 100 and 103 sold at 101.6 earn 1, the five at 100 sold at 101 earn 5."""
    books = [Book(asks=[(1000, 5), (1030, 5)]), Book(bids=[(1016, 10)], lot=10), Book(bids=[(1010, 5)])]
    assert run(arrays(books)).plan.sizes == {("buy", 0): 5, ("sell", 2): 5}


def test_a_leg_that_does_not_earn_its_fixed_cost_makes_room_for_the_next() -> None:
    """Gas of 5 on the better bid: its 3 more a unit are not worth it for 1 unit, and are for 2."""
    for size, leg in ((1, ("sell", 2)), (2, ("sell", 1))):
        books = [
            Book(asks=[(100, size)]),
            Book(bids=[(110, 9)], fixed_cost=Fraction(5)),
            Book(bids=[(107, 9)]),
        ]
        assert list(run(arrays(books)).plan.sizes) == [("buy", 0), leg]


@pytest.mark.parametrize("books", [[], [Book()], [Book(), Book(bids=[(1, 1)])], [Book(asks=[(1, 1)])]])
def test_nothing_to_match(books: list[Book]) -> None:
    assert run(arrays(books)) == Result(0, 0.0, 0.0, 0.0, Plan(), {})
    assert edge(arrays(books)) == -1.0


def test_a_walk_cut_short_still_holds() -> None:
    """Room for four pieces a side: each book gets its share, less is found, nothing wrong."""
    books = [Book(asks=[(100 + i, 1) for i in range(9)]), Book(bids=[(120 - i, 1) for i in range(9)])]
    found = run(arrays(books), scratch=make_scratch(capacity=4))
    check_feasible(found, books)
    assert 0 < found.size < run(arrays(books)).size == 9


def test_too_many_books_are_refused() -> None:
    n = 33
    with pytest.raises(ValueError, match="MAX_MEMBERS"):
        run(
            type(arrays([]))(
                np.arange(n),
                np.zeros(n, BOOK),
                np.zeros((n, 2, 1), np.int64),
                np.zeros((n, 2, 1), np.int64),
                np.zeros(n, INSTRUMENT),
            )
        )
