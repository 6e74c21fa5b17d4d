"""What is particular to a venue and no story of the kit tells: published checksums, resets, cuts."""

from __future__ import annotations

import json
import zlib
from decimal import Decimal
from typing import Any

import pytest

from strategies.markets import Instrument, Markets
from strategies.markets import Venue as Place
from streams.errors import UserError
from streams.feeds.feed import Feed
from streams.feeds.kraken import Kraken
from streams.feeds.kraken_v1 import KrakenV1
from streams.feeds.numbers import Scales
from streams.feeds.protocol import Channel, Checksum, FeedState, Rung, UpdateKind
from streams.feeds.registry import FEEDS
from tests.data import recording
from tests.feeds.conformance import FIRST, STATES, Row, Told, Trial, rows, told, whole
from tests.feeds.kit import START

KIT = {row.feed: row for row in rows()}


def rungs(levels: list[list[str]], tick: str) -> list[Rung]:
    one = Instrument(
        venue="kraken", symbol="BTC/USD", kind="spot", base="BTC", quote="USD", tick=Decimal(tick),
        lot=Decimal("0.00000001"),
    )  # fmt: skip
    scales = Scales(one)
    return [Rung(p, s, scales.price(p), scales.size(s)) for p, s in levels]


@pytest.mark.recording
@pytest.mark.parametrize(
    ("venue", "name", "tick"),
    [
        (KrakenV1(), "kraken_ws_v1_doc", "0.00001"),
        (Kraken(), "kraken_ws_v1_doc", "0.00001"),
        (Kraken(), "kraken_ws_v2_doc", "0.1"),
        (KrakenV1(), "kraken_ws_v2_doc", "0.1"),
    ],
)
def test_the_published_checksums_of_kraken(venue: Kraken | KrakenV1, name: str, tick: str) -> None:
    case = json.loads(recording("vectors/book_vectors.json").read_text())[name]
    bids, asks = rungs(case["bids"], tick), rungs(case["asks"], tick)
    assert venue.checksum(bids, asks) == case["expected"]


def test_the_books_of_kraken_are_cut_as_the_venue_cuts_them() -> None:
    """A level that falls out is removed unseen; what comes up again is told again."""
    trial = Trial(KIT["kraken"], depth=2)
    asks = (("45285.2", "0.001"), ("45286.4", "1.540"))
    two = (("45283.5", "0.100"), ("45283.4", "1.545"))
    better = ("45284.0", "0.020")
    encode = KIT["kraken"].encode
    trial.say(encode(Told(0, 0, True, two, asks, (two, asks))))
    after = (better, two[0])
    trial.say(encode(Told(1, 1, False, (better,), (), (after, asks))))
    assert [p for p, _ in trial.text()[0]] == [Decimal("45284.0"), Decimal("45283.5")]
    # 45283.4 is gone; with the best one goes too, and another comes up.
    last = (("45283.5", "0.100"), ("45280.0", "3.000"))
    changes = (("45284.0", "0.000"), ("45280.0", "3.000"))
    trial.say(encode(Told(2, 2, False, changes, (), (last, asks))))
    assert trial.state is FeedState.SYNCED
    assert [p for p, _ in trial.text()[0]] == [Decimal("45283.5"), Decimal("45280.0")]


@pytest.mark.parametrize("name", ["kraken", "kraken_v1"])
def test_who_cuts_must_be_known_to_cut(name: str) -> None:
    one = Instrument(
        venue="k", symbol="BTC/USD", kind="spot", base="BTC", quote="USD", tick=Decimal("0.1"),
        lot=Decimal("0.001"),
    )  # fmt: skip
    described = Markets(venues={"k": Place(layer="base", taker_fee_bps=1.0)}, instruments=(one,))
    with pytest.raises(UserError, match=r"k BTC/USD: this venue cuts its books .* set venue_cuts = true"):
        Feed(FEEDS[name](), described, "k")


@pytest.mark.parametrize("name", ["kraken", "okx"])
def test_a_verdict_is_published_with_each_update(name: str) -> None:
    row = [r for r in rows() if r.feed == name][-1]
    trial = Trial(row)
    said = [u for number in range(3) for u in trial.say(row.encode(told(row, number)))]
    assert [u.checksum for u in said] == [Checksum.RIGHT] * 3
    wrong = Told(3, 3, False, (("45200.0", "1.000"),), (), STATES[3])
    (lost,) = trial.say(row.encode(wrong))
    assert (lost.kind, lost.state, lost.checksum) == (UpdateKind.CLEAR, FeedState.GAP, Checksum.WRONG)


def test_spreads_of_kraken_v1_are_quotes() -> None:
    """The example of docs.kraken.com, "spot-ws-spread": bid, ask, time, size of the bid, of the ask."""
    raw = b'[0,["5698.40000","5700.00000","1542057299.545897","1.012","0.987"],"spread","BTC/USD"]'
    (quote,) = Trial(KIT["kraken_v1"]).say(raw)
    assert (quote.bids, quote.asks) == ([(56_984, 1_012)], [(57_000, 987)])
    assert quote.event_time_ns == 1_542_057_299_545_897_000


def test_versions_of_kraken_are_told_apart() -> None:
    with pytest.raises(UserError, match="choose --venue kraken_v1"):
        Trial(KIT["kraken"]).say(b'[992,{"as":[],"bs":[]},"book-10","BTC/USD"]')


# --- OKX ----------------------------------------------------------------------------------------------------


def okx(previous: int, final: int, bids: Any = (), *, action: str = "update", **more: Any) -> bytes:
    data = {"asks": [], "bids": bids, "ts": "1652459225464", "seqId": final, "prevSeqId": previous, **more}
    arg = {"channel": "books", "instId": "BTC-USD"}
    return json.dumps({"arg": arg, "action": action, "data": [data]}).encode()


def synced_okx() -> Trial:
    trial = Trial(KIT["okx"])
    trial.say(okx(-1, 100, [["45283.5", "1", "0", "1"]], action="snapshot", checksum=0))
    assert trial.state is FeedState.SYNCED
    return trial


def test_okx_heartbeats_and_numbers_that_begin_anew() -> None:
    trial = synced_okx()
    trial.say(okx(100, 100))
    (anew,) = trial.say(okx(100, 3, [["45283.4", "2", "0", "1"]]))
    # To readers a lower id is a contradiction, except of a whole book.
    assert (anew.kind, anew.last_update_id, len(anew.bids)) == (UpdateKind.SNAPSHOT, 3, 2)
    trial.say(okx(3, 5, [["45283.3", "2", "0", "1"]]))
    assert (trial.state, len(trial.depth.bids)) == (FeedState.SYNCED, 3)


@pytest.mark.parametrize("updates", [0, 1])
def test_okx_numbers_that_began_anew_unseen_are_a_gap_and_not_old(updates: int) -> None:
    trial = synced_okx()
    for _ in range(updates):
        trial.say(okx(100, 110, [["45283.4", "2", "0", "1"]]))
    trial.say(okx(3, 5, [["45283.3", "2", "0", "1"]]))
    assert trial.state is FeedState.GAP


def test_okx_without_a_snapshot_in_the_stream_starts_from_an_answer() -> None:
    trial = Trial(KIT["okx"])
    trial.say(okx(-1, 100, action="snapshot", checksum=0))  # empty: none
    trial.say(okx(100, 110, [["45283.4", "2", "0", "1"]]))
    trial.say(okx(110, 120, [["45283.3", "2", "0", "1"]]))
    url = "https://www.okx.com/api/v5/market/books?instId=BTC-USD&source=0"
    book = {"bids": [["45283.5", "1", "0", "1"]], "asks": [], "ts": "1652459225464"}
    for last, state in ((90, FeedState.RESYNC), (115, FeedState.SYNCED)):
        body = {"code": "0", "msg": "", "data": [{**book, "seqId": last}]}
        trial.say(json.dumps({"rest": url, "body": body}).encode())
        assert trial.state is state
    assert len(trial.depth.bids) == 2
    assert trial.counts.unfit == 1


def test_okx_of_before_seq_ids_is_held_by_its_checksum() -> None:
    def crc(text: str) -> int:
        found = zlib.crc32(text.encode())
        return found - 2**32 if found >= 2**31 else found

    def without_ids(action: str, bids: Any, checksum: int) -> bytes:
        message = json.loads(okx(0, 0, bids, action=action, checksum=checksum))
        del message["data"][0]["seqId"], message["data"][0]["prevSeqId"]
        return json.dumps(message).encode()

    trial = Trial(KIT["okx"])
    trial.say(without_ids("snapshot", [["45283.50", "1.0", "0", "1"]], crc("45283.50:1.0")))
    trial.say(without_ids("update", [["45283.4", "2", "0", "1"]], crc("45283.50:1.0:45283.4:2")))
    assert len(trial.depth.bids) == 2
    trial.say(without_ids("update", [["45283.3", "2", "0", "1"]], 17))
    assert trial.state is FeedState.GAP


# --- Bybit --------------------------------------------------------------------------------------------------


def bybit(u: int, kind: str = "delta", depth: int = 50, bids: Any = (["45283.5", "1"],)) -> bytes:
    data = {"s": "BTCUSDT", "b": bids, "a": [["45290", "1"]], "u": u, "seq": 1}
    return json.dumps({"topic": f"orderbook.{depth}.BTCUSDT", "type": kind, "ts": 1, "data": data}).encode()


@pytest.mark.parametrize("kind", ["snapshot", "delta"])
def test_bybit_begins_anew_at_one(kind: str) -> None:
    trial = Trial(KIT["bybit"])
    trial.say(bybit(700, "snapshot"))
    trial.say(bybit(701, bids=[["45283.4", "1"]]))
    (whole_book,) = trial.say(bybit(1, kind, bids=[["45000", "2"]]))
    assert whole_book.kind is UpdateKind.SNAPSHOT
    assert trial.depth.bids == {450_000: 2_000}
    trial.say(bybit(2, bids=[["45000", "3"]]))
    assert trial.depth.bids == {450_000: 3_000}


@pytest.mark.parametrize("updates", [0, 1, 2])
def test_bybit_that_began_anew_unseen_is_a_gap_and_not_old(updates: int) -> None:
    trial = Trial(KIT["bybit"])
    trial.say(bybit(700, "snapshot"))
    for number in range(updates):
        trial.say(bybit(701 + number))
    trial.say(bybit(2))
    assert trial.state is FeedState.GAP


def test_bybit_depth_one_is_a_quote_that_is_repeated_and_begins_anew() -> None:
    trial = Trial(KIT["bybit"])
    (quote,) = trial.say(bybit(700, "snapshot", depth=1))
    assert (quote.channel, quote.bids, quote.asks) == (Channel.L1, [(452_835, 1_000)], [(452_900, 1_000)])
    assert trial.say(bybit(700, "snapshot", depth=1)) == []
    assert trial.say(bybit(699, "snapshot", depth=1)) == []
    anew = trial.say(bybit(1, "snapshot", depth=1))
    assert [(u.kind, u.last_update_id) for u in anew] == [(UpdateKind.CLEAR, None), (UpdateKind.QUOTE, 1)]
    assert len(trial.say(bybit(2, "snapshot", depth=1))) == 1


# --- Coinbase -----------------------------------------------------------------------------------------------


def other(number: int) -> bytes:
    return json.dumps(
        {"channel": "heartbeats", "timestamp": "2026-04-07T14:30:00Z", "sequence_num": number, "events": []}
    ).encode()


def test_coinbase_counts_messages_of_all_channels() -> None:
    row: Row = KIT["coinbase"]
    trial = Trial(row)
    trial.say(row.encode(whole(0, 0)))
    assert trial.say(other(1)) == []
    trial.say(row.encode(told(row, 1, 2)))
    assert trial.holds(1)
    (lost,) = trial.say(other(4))
    assert (lost.kind, lost.state) == (UpdateKind.CLEAR, FeedState.GAP)
    assert trial.counts.gaps == 1


def test_coinbase_a_message_that_cannot_be_used_is_missing() -> None:
    row = KIT["coinbase"]
    trial = Trial(row)
    trial.say(row.encode(whole(0, 0)))
    unfit = Told(1, 1, False, (("45283.55", "1.000"),), (), FIRST)
    with pytest.raises(UserError, match=r"price 45283.55 does not fit the tick 0.1"):
        trial.say(row.encode(unfit))
    assert trial.holds(0)
    first, *_ = trial.say(row.encode(told(row, 2, 2)))
    assert (first.kind, first.state) == (UpdateKind.CLEAR, FeedState.GAP)


def test_coinbase_a_jump_loses_the_quote_too() -> None:
    ticker = {
        "product_id": "BTC-USD", "best_bid": "45283.5", "best_bid_quantity": "1", "best_ask": "45285.0",
        "best_ask_quantity": "1",
    }  # fmt: skip
    message = {"channel": "ticker", "sequence_num": 0, "events": [{"type": "update", "tickers": [ticker]}]}
    feed = Trial(KIT["coinbase"]).feed
    (quote,) = feed.receive(json.dumps(message).encode(), START + 10**9)
    assert quote.channel is Channel.L1
    (lost,) = feed.receive(other(2), START + 10**9 + 1)
    assert (lost.channel, lost.kind, lost.state) == (Channel.L1, UpdateKind.CLEAR, FeedState.GAP)
