"""Full depth of BTC/USD on four exchanges: pairs to the digits of the data README, jointly as the twin."""

from __future__ import annotations

from fractions import Fraction

import pytest

from tests.data import recording
from tests.naive import Book, Plan, merge_books
from tests.strategies.five_exchange import FILE, ExchangeBook, load
from tests.strategies.sweep_books import Result, arrays, edge, run

pytestmark = pytest.mark.recording
PRICE, SIZE = -3, -8
TEN_BP = Fraction(1, 1000)

# buy on, sell on: BTC and USD before fees, BTC and USD with 10 bp per leg
PAIRS = [
    ("bitstamp", "bitfinex", "75.490343", "1218.6060", "57.022622", "504.0032"),
    ("coinbase", "bitfinex", "75.433046", "997.4048", "47.527823", "355.1993"),
    ("bittrex", "bitfinex", "30.872177", "538.3433", "27.662335", "232.2149"),
    ("bitstamp", "coinbase", "6.928418", "5.2774", "0.000000", "0.0000"),
]


@pytest.fixture(scope="module")
def venues() -> dict[str, ExchangeBook]:
    return load(recording(FILE), "BTC", "USD")


def one_way(venues: dict[str, ExchangeBook], buy: str, sell: str, fee: Fraction) -> list[Book]:
    """Only the asks of `buy` and the bids of `sell`."""
    return [
        Book(asks=venues[buy].levels("asks", PRICE), fee=fee),
        Book(bids=venues[sell].levels("bids", PRICE), fee=fee),
    ]


def solve(books: list[Book]) -> tuple[Result, Plan]:
    """Kernel and twin, held equal: sizes and limits exactly, money to 1e-12 of the notional."""
    found = run(arrays(books), price_unit=10.0**PRICE, size_unit=10.0**SIZE)
    twin = merge_books(books)
    unit = Fraction(10) ** (PRICE + SIZE)
    assert found.plan.sizes == twin.sizes
    assert found.plan.limits == twin.limits
    assert found.size == twin.size("buy") == twin.size("sell")
    notional = float(twin.money("buy") * unit)
    assert found.notional == pytest.approx(notional, rel=1e-12)
    assert found.gross == pytest.approx(float(twin.gross * unit), abs=1e-12 * notional)
    assert found.net == pytest.approx(float(twin.net(books) * unit), abs=1e-12 * notional)
    return found, twin


def test_recording_is_what_its_readme_says(venues: dict[str, ExchangeBook]) -> None:
    assert {name: book.price_exponent for name, book in venues.items()} == {
        "bitfinex": -1,
        "bittrex": -3,
        "bitstamp": -2,
        "coinbase": -2,
    }
    for book in venues.values():
        assert book.size_exponent == SIZE
        assert list(book.bids) == sorted(book.bids, reverse=True)
        assert list(book.asks) == sorted(book.asks)
        assert book.bids[0][0] < book.asks[0][0]


@pytest.mark.parametrize(("buy", "sell", "btc", "usd", "btc_net", "usd_net"), PAIRS)
def test_pairs(
    venues: dict[str, ExchangeBook], buy: str, sell: str, btc: str, usd: str, btc_net: str, usd_net: str
) -> None:
    for fee, size, money in ((Fraction(0), btc, usd), (TEN_BP, btc_net, usd_net)):
        found, _ = solve(one_way(venues, buy, sell, fee))
        assert f"{found.size / 10**8:.6f}" == size
        assert f"{found.net:.4f}" == money


@pytest.mark.parametrize("fee", [Fraction(0), TEN_BP], ids=["no fees", "10 bp"])
def test_all_at_once(venues: dict[str, ExchangeBook], fee: Fraction) -> None:
    """More than the best pair, far less than their sum: the pairs share bitfinex's bids."""
    books = [
        Book(bids=v.levels("bids", PRICE), asks=v.levels("asks", PRICE), fee=fee) for v in venues.values()
    ]
    found, _ = solve(books)
    pairs = [solve(one_way(venues, buy, sell, fee))[0].net for buy, sell, *_ in PAIRS]
    assert max(pairs) < found.net < sum(pairs)
    assert edge(arrays(books)) > 0
