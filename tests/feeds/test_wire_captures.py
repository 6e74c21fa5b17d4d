"""Captures of connections through the feeds: every checksum again, and depth against the venue's own quotes.

Source and figures: the README of the recordings.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pytest

from strategies.markets import Instrument, Markets, Venue
from streams.errors import UserError
from streams.feeds.book import Book
from streams.feeds.captures import Capture
from streams.feeds.protocol import Channel, Checksum, FeedState, Update, UpdateKind
from streams.play import Playback, sources
from tests.data import recording

pytestmark = pytest.mark.recording

KRAKEN = (
    "ADA/XBT", "ETH/CHF", "GRT/ETH", "KSM/XBT", "OCEAN/XBT", "OMG/USD", "SC/EUR", "WAVES/EUR",
    "XBT/CHF", "XMR/USD",
)  # fmt: skip
COINBASE = (
    "BAND-BTC", "BAND-GBP", "CRV-EUR", "DASH-BTC", "NMR-EUR", "NU-GBP", "SKL-BTC", "SKL-GBP", "SKL-USD",
    "YFI-BTC",
)  # fmt: skip
FOLDER = "venue_wire_captures"


def files(*names: str) -> list[Path]:
    return [recording(f"{FOLDER}/{name}") for name in names]


def answers(name: str) -> Iterator[Any]:
    """What the venue said of its instruments."""
    for raw in Capture(recording(f"{FOLDER}/{name}"), "stamped_lines"):
        if raw.message:
            yield orjson.loads(raw.message)["body"]


def markets(found: Mapping[str, tuple[str, str]], **more: Any) -> Markets:
    """Instruments by symbol, with tick and lot."""
    base: dict[str, Any] = {"kind": "spot", "base": "BTC", "quote": "USD", "depth": 5_000}
    return Markets(
        venues={"v": Venue(layer="base", taker_fee_bps=10.0)},
        instruments=tuple(
            Instrument(
                venue="v",
                symbol=symbol,
                **{**base, "tick": Decimal(tick), "lot": Decimal(lot), **more},
            )
            for symbol, (tick, lot) in sorted(found.items())
        ),
    )


def play(paths: Sequence[Path], feed: str, described: Markets) -> tuple[list[Update], Playback]:
    playback = Playback(sources(paths, [f"v={feed}"], [], described), described)
    return list(playback), playback


@cache
def kraken() -> tuple[list[Update], Playback]:
    (pairs,) = (body["result"] for body in answers("KRAKEN.0"))
    found = {
        pair["wsname"]: (f"1e-{pair['pair_decimals']}", f"1e-{pair['lot_decimals']}")
        for pair in pairs.values()
        if "wsname" in pair
    }
    described = markets({symbol: found[symbol] for symbol in KRAKEN}, venue_cuts=True, depth=1_000)
    return play(files("KRAKEN.ws.50.0"), "kraken_v1", described)


def test_every_checksum_of_kraken_comes_out() -> None:
    told, playback = kraken()
    deltas = Counter(u.checksum for u in told if u.kind is UpdateKind.DELTA)
    assert deltas == {Checksum.RIGHT: 4_269}
    assert {u.state for u in told} == {FeedState.SYNCED}
    assert [book["gaps"] for book in playback.books()] == [0] * 10
    assert sum(book["snapshots"] for book in playback.books()) == 10


@cache
def okx() -> tuple[list[Update], Playback]:
    found = {
        item["instId"]: (item["tickSz"], item["lotSz"])
        for body in answers("OKX.0")
        for item in body["data"]
        if item["instId"] in ("BTC-USD-220527", "UNI-USD-SWAP", "BTC-USDT")
    }
    return play(files("OKX.ws.1.0"), "okx", markets(found))


def test_every_checksum_of_okx_comes_out() -> None:
    told, playback = okx()
    assert Counter(u.checksum for u in told if u.channel is Channel.L2 and not u.key_frame) == {
        Checksum.RIGHT: 290
    }
    assert Counter(u.checksum for u in told if u.kind is UpdateKind.DELTA) == {Checksum.RIGHT: 287}
    assert [book["gaps"] for book in playback.books()] == [0] * 3


@pytest.mark.parametrize(
    ("name", "feed", "agreed"),
    [
        ("BINANCE", "binance_spot", 159),
        ("BINANCE_US", "binance_us", 316),
        ("BINANCE_FUTURES", "binance_usdm", 744),
    ],
)
def test_depth_of_the_binance_family_agrees_with_its_quotes(name: str, feed: str, agreed: int) -> None:
    """After each diff, the last bookTicker with u <= the diff's u shows the book's top."""
    described = markets(binance(name))
    told, playback = play(files(f"{name}.http.0.0", f"{name}.ws.1.0"), feed, described)
    assert {u.state for u in told if u.channel is Channel.L2 and u.kind is UpdateKind.DELTA} == {
        FeedState.SYNCED
    }
    assert sum(book["gaps"] for book in playback.books()) == 0
    assert compare(told) == Counter({True: agreed})


def test_binance_coinm_agrees_with_its_quotes() -> None:
    """The inverse contract of the recording of three markets; sizes are contracts of 100 USD."""
    paths = [recording("binance_three_markets/coinm/btcusd_perp_20240808.gz")]
    told, playback = play(
        paths, "binance_coinm", markets({"BTCUSD_PERP": ("0.1", "1")}, inverse=True, kind="perpetual")
    )
    (book,) = playback.books()
    assert (book["state"], book["gaps"]) == ("synced", 0)
    found = compare(told)
    assert found == {True: book["deltas"]}
    assert book["deltas"] > 26_800  # of 26,847, the first of them older than the snapshot


def test_coinbase_exchange_never_crosses() -> None:
    """Nothing is numbered there: that the books stay sane is all there is to see."""
    found = {item["id"]: (item["quote_increment"], "1e-8") for body in answers("COINBASE.0") for item in body}
    told, playback = play(
        files("COINBASE.ws.28.0"), "coinbase_exchange", markets({s: found[s] for s in COINBASE})
    )
    assert Counter(u.kind for u in told if not u.key_frame and u.kind is not UpdateKind.HEARTBEAT) == {
        UpdateKind.SNAPSHOT: 10,
        UpdateKind.DELTA: 9_719,
    }
    assert {book["state"] for book in playback.books()} == {"synced"}
    assert compare(told) == Counter()


def test_a_retired_protocol_is_refused_with_the_reason() -> None:
    for name in ("BYBIT.ws.25.0", "BYBIT.ws.26.0"):
        described = markets({"BTCUSD": ("0.5", "1")})
        with pytest.raises(UserError, match=rf"{name}, line \d+: .*Bybit's API v2, which is no longer there"):
            play(files(name), "bybit", described)


def binance(name: str) -> dict[str, tuple[str, str]]:
    (info,) = answers(f"{name}.0")
    found = {}
    for symbol in info["symbols"]:
        filters = {f["filterType"]: f for f in symbol["filters"]}
        step = filters["LOT_SIZE"]["stepSize"] if name == "BINANCE_FUTURES" else "0.00000001"
        # Orders may be older, and finer, than the tick: NKNUSDT has 0.25974 with a tick of 0.0001.
        found[symbol["symbol"]] = ("0.00000001", step)
    return found


def compare(told: Sequence[Update]) -> Counter[bool]:
    """For each diff with a quote before it: is the top of the book that quote?"""
    quotes: dict[int, list[tuple[int, Any]]] = {}
    for u in told:
        if u.kind is UpdateKind.QUOTE and not u.key_frame:
            quotes.setdefault(u.instrument, []).append((u.last_update_id or 0, (u.bids[0], u.asks[0])))
    ids = {instrument: [i for i, _ in known] for instrument, known in quotes.items()}
    books: dict[int, Book] = {}
    found: Counter[bool] = Counter()
    for u in told:
        if u.kind is UpdateKind.SNAPSHOT and not u.key_frame:
            books[u.instrument] = Book(u.bids, u.asks)
        elif u.kind is UpdateKind.DELTA:
            book = books[u.instrument]
            book.apply(u.bids, u.asks)
            assert not book.crossed()
            at = bisect_right(ids.get(u.instrument, []), u.last_update_id or 0)
            if at:
                found[book.top() == quotes[u.instrument][at - 1][1]] += 1
    return found
