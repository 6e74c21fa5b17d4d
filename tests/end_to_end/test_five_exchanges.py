"""Full depth of five exchanges played through Kafka: the digits of the data README, and the exact twin.

Every pair, and all four venues together, without fees and with 10 bp per leg, are groups of their own in one
capture: the file's very levels, under names of their own.
"""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from streams.broker import Broker
from tests.data import recording
from tests.end_to_end.kit import all_topics, interlayer, records, running, until
from tests.naive import Book, Plan, merge_books
from tests.strategies.five_exchange import FILE, ExchangeBook, load
from tests.strategies.test_sweep_five_exchange import PAIRS, SIZE, TEN_BP

pytestmark = pytest.mark.recording
TICKS = {"bitfinex": "0.1", "bittrex": "0.001", "bitstamp": "0.01", "coinbase": "0.01"}
FEES = {"free": Fraction(0), "10bp": TEN_BP}

# The smallest change of size or edge is worth an UPDATE: what was said last is then the books' whole truth.
LIMITS = """
[limits]
max_notional = 1e9
min_net_edge_bps = 0.0
min_net_edge_quote = 0.0
close_edge_bps = 0.0
update_size_pct = 1e-9
update_edge_bps = 1e-9
"""


def scenarios() -> dict[str, tuple[str, ...]]:
    """Name of a group: the venues that stand in it."""
    chosen = {f"{buy}-{sell}": (buy, sell) for buy, sell, *_ in PAIRS} | {"all": tuple(TICKS)}
    return {f"{name}-{fee}": venues for name, venues in chosen.items() for fee in FEES}


def markets_file() -> str:
    """One group a scenario, a venue for each fee."""
    text = LIMITS
    for venue in TICKS:
        for name, fee in FEES.items():
            text += f'[venues.{venue}-{name}]\nlayer = "base"\ntaker_fee_bps = {float(fee * 10_000)}\n'
    for group, venues in scenarios().items():
        fee = group.rsplit("-", 1)[1]
        for venue in venues:
            text += (
                f'[[instruments]]\nvenue = "{venue}-{fee}"\nsymbol = "{group}/USD"\nkind = "spot"\n'
                f'base = "{group}"\nquote = "USD"\ntick = "{TICKS[venue]}"\nlot = "0.00000001"\n'
                'depth = 5000\nchannels = ["l2"]\n'
            )
    return text


def capture(path: Path) -> list[dict[str, Any]]:
    """The file's BTC/USD books once for each group that they stand in."""
    books = {b["venue"]: b for b in json.loads(path.read_text()) if (b["base"], b["quote"]) == ("BTC", "USD")}
    return [
        {**books[venue], "venue": f"{venue}-{group.rsplit('-', 1)[1]}", "base": group}
        for group, venues in scenarios().items()
        for venue in venues
    ]


@pytest.fixture(scope="module")
def said(
    kafka: Broker, prefix: str, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[dict[str, Any]]]:
    """Signals by group."""
    folder = tmp_path_factory.mktemp("depth")
    books = capture(recording(FILE))
    (folder / "markets.toml").write_text(markets_file())
    (folder / "books.json").write_text(json.dumps(books))
    all_topics(kafka, prefix, 4)
    flags = ["--markets", str(folder / "markets.toml")]
    address = ["--broker", f"kafka://{kafka.bootstrap}", "--prefix", prefix]
    with running(kafka, prefix, folder, *flags) as worker:
        worker.wait_ready()
        played = interlayer(
            "play", str(folder / "books.json"), "--venue", "plain_depth", "--speed", "max", *address, *flags
        )
        assert played.returncode == 0, played.stderr
        worker.wait_records(len(books))
        # Nothing follows: silence closes what is open.
        until(lambda: worker.stats()["open_episodes"] == 0, "what is open is closed")
        assert worker.end() == 0
    groups: dict[str, list[dict[str, Any]]] = {}
    for signal in records(kafka, prefix, "signal"):
        groups.setdefault(signal["group"], []).append(signal)
    assert records(kafka, prefix, "book.reject") == []
    return groups


@pytest.fixture(scope="module")
def venues() -> dict[str, ExchangeBook]:
    return load(recording(FILE), "BTC", "USD")


def last(signals: list[dict[str, Any]]) -> dict[str, Any]:
    """What was said last before the episode closed."""
    ordered = sorted(signals, key=lambda s: s["sequence"])
    assert [s["action"] for s in ordered] == ["open", *["update"] * (len(ordered) - 2), "close"]
    assert ordered[-1]["cause"] == "stale"
    return ordered[-2]


def size_of(signal: dict[str, Any], side: str) -> int:
    """Lots of one side's legs."""
    assert all(leg["size_exponent"] == SIZE for leg in signal["legs"])
    return sum(leg["size_lots"] for leg in signal["legs"] if leg["side"] == side)


def held_to_twin(
    signal: dict[str, Any], venues: dict[str, ExchangeBook], names: tuple[str, ...], fee: Fraction
) -> Plan:
    """Sizes and limits are the twin's exactly, money to 1e-12 of the notional."""
    (price,) = {leg["price_exponent"] for leg in signal["legs"]}
    books = [
        Book(bids=venues[v].levels("bids", price), asks=venues[v].levels("asks", price), fee=fee)
        for v in names
    ]
    twin = merge_books(books)
    legs = {(leg["side"], leg["venue"].rsplit("-", 1)[0]): leg for leg in signal["legs"]}
    assert {key: leg["size_lots"] for key, leg in legs.items()} == {
        (side, names[b]): size for (side, b), size in twin.sizes.items()
    }
    assert {key: leg["limit_price_ticks"] for key, leg in legs.items()} == {
        (side, names[b]): limit for (side, b), limit in twin.limits.items()
    }
    unit = Fraction(10) ** (price + SIZE)
    notional = float(twin.money("buy") * unit)
    assert signal["notional_quote"] == pytest.approx(notional, rel=1e-12)
    assert signal["gross_edge_quote"] == pytest.approx(float(twin.gross * unit), abs=1e-12 * notional)
    assert signal["net_edge_quote"] == pytest.approx(float(twin.net(books) * unit), abs=1e-12 * notional)
    for (side, b), cost in twin.costs.items():
        average = float(Fraction(cost, twin.sizes[side, b]) * Fraction(10) ** price)
        assert legs[side, names[b]]["expected_price"] == pytest.approx(average, rel=1e-12)
    return twin


@pytest.mark.parametrize("fee", FEES)
@pytest.mark.parametrize(("buy", "sell", "btc", "usd", "btc_net", "usd_net"), PAIRS)
def test_pairs_are_those_of_the_readme(
    said: dict[str, list[dict[str, Any]]],
    venues: dict[str, ExchangeBook],
    fee: str,
    buy: str,
    sell: str,
    btc: str,
    usd: str,
    btc_net: str,
    usd_net: str,
) -> None:
    size, money = (btc, usd) if fee == "free" else (btc_net, usd_net)
    signals = said.get(f"{buy}-{sell}-{fee}", [])
    if Fraction(money) == 0:
        assert signals == []
        return
    signal = last(signals)
    assert {(leg["side"], leg["venue"]) for leg in signal["legs"]} == {
        ("buy", f"{buy}-{fee}"), ("sell", f"{sell}-{fee}")
    }  # fmt: skip
    assert size_of(signal, "buy") == size_of(signal, "sell")
    assert f"{size_of(signal, 'buy') / 10**8:.6f}" == size
    assert f"{signal['net_edge_quote']:.4f}" == money
    held_to_twin(signal, venues, (buy, sell), FEES[fee])


@pytest.mark.parametrize("fee", FEES)
def test_all_together_are_the_exact_twin(
    said: dict[str, list[dict[str, Any]]], venues: dict[str, ExchangeBook], fee: str
) -> None:
    signal = last(said[f"all-{fee}"])
    held_to_twin(signal, venues, tuple(TICKS), FEES[fee])
    pairs = [
        last(s)["net_edge_quote"] for g, s in said.items() if g.endswith(fee) and not g.startswith("all")
    ]
    assert max(pairs) < signal["net_edge_quote"] < sum(pairs)


def test_a_signal_names_what_it_was_made_from(
    said: dict[str, list[dict[str, Any]]], kafka: Broker, prefix: str
) -> None:
    signal = last(said["all-free"])
    assert signal["recorded"] is True
    assert {(i["topic"], i["venue"]) for i in signal["inputs"]} == {
        (f"{prefix}book.l2", leg["venue"]) for leg in signal["legs"]
    }
    assert all(i["event_time_ns"] is None for i in signal["inputs"])
    assert signal["trigger"]["offset"] == max(i["offset"] for i in signal["inputs"])
