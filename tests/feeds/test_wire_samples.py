"""Every wire sample through the feed of its venue: read, or passed over, or refused; and it is said why."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from streams.feeds.protocol import MessageError
from streams.feeds.registry import FEEDS
from tests.data import recording

pytestmark = pytest.mark.recording

# Folder -> feed.
FOLDERS = {
    "binance/spot": "binance_spot",
    "binance/futures": "binance_usdm",
    "bybit": "bybit",
    "coinbase": "coinbase",
    "deribit": "deribit",
    "derive": "derive",
    "dydx": "dydx_v4",
    "hyperliquid": "hyperliquid",
    "kraken": "kraken",
    "lighter": "lighter",
    "okx": "okx",
}
# What is read, and as what.
READ = {
    "binance/futures/market_data_json/book_ticker_stream": "Quote",
    "binance/futures/market_data_json/depth_update_stream": "Delta",
    "binance/spot/http_json/depth_response": "Snapshot",
    "bybit/http_get_orderbook": "Snapshot",
    "bybit/ws_orderbook_snapshot": "Quote",
    "coinbase/ws_l2_data_snapshot": "Snapshot",
    "coinbase/ws_l2_data_update": "Delta",
    "coinbase/ws_ticker": "Quote",
    "deribit/http_get_order_book": "Snapshot",
    "deribit/ws_book_delta": "Delta",
    "deribit/ws_book_grouped_snapshot": "Snapshot",
    "deribit/ws_book_snapshot": "Snapshot",
    "deribit/ws_quote": "Quote",
    "derive/perps/ws_orderbook_eth": "Snapshot",
    "derive/spot/ws_orderbook_eth": "Snapshot",
    "derive/spot/ws_orderbook_eth_mainnet": "Snapshot",
    "dydx/ws_orderbook_subscribed": "Snapshot",
    "dydx/ws_orderbook_update": "Delta",
    "hyperliquid/http_l2_book_btc": "Snapshot",
    "hyperliquid/http_l2_book_snapshot": "Snapshot",
    "hyperliquid/ws_book_data": "Snapshot",
    "kraken/ws_book_snapshot": "Snapshot",
    "kraken/ws_book_update": "Delta",
    "kraken/ws_ticker_snapshot": "Quote",
    "lighter/ws_order_book_subscribed": "Snapshot",
    "lighter/ws_order_book_subscribed_empty": "Snapshot",
    "lighter/ws_order_book_update": "Delta",
    "lighter/ws_ticker_subscribed": "Quote",
    "lighter/ws_ticker_subscribed_empty": "Quote",
    "lighter/ws_ticker_update": "Quote",
    "okx/ws_bbo_tbt": "Quote",
    "okx/ws_books_snapshot": "Snapshot",
    "okx/ws_books_update": "Delta",
    "okx/ws_tickers": "Quote",
}
# Books and quotes that are not read: why.
NOT_READ = {
    "binance/spot/http_json/book_ticker_response": "an answer of REST without the time or id that orders it",
    "bybit/ws_orderbook_delta": "hand-made: depth 1 has snapshots only",
    "coinbase/http_product_book": "an answer of REST without the sequence of the stream",
    "dydx/http_get_orderbook": "an answer of REST without market and message_id",
    "kraken/http_order_book": "an answer of REST without checksum: the stream brings its own snapshot",
    "kraken/http_futures_orderbook": "Kraken Futures, another protocol",
    "kraken/ws_futures_book_delta": "Kraken Futures, another protocol",
    "kraken/ws_futures_book_snapshot": "Kraken Futures, another protocol",
    "kraken/ws_futures_book_snapshot_with_zero_qty": "Kraken Futures, another protocol",
    "kraken/ws_l3_snapshot": "single orders",
    "kraken/ws_l3_update_add": "single orders",
    "kraken/ws_l3_update_delete": "single orders",
    "kraken/ws_l3_update_modify_price": "single orders",
    "kraken/ws_l3_update_modify_qty": "single orders",
    "lighter/http_order_book_depth": "an answer of REST without its market",
    "lighter/http_order_book_depth_null": "an answer of REST without its market",
    "lighter/http_order_book_details": "what is listed",
    "lighter/http_order_book_orders": "single orders",
    "lighter/http_order_books": "what is listed",
    "okx/http_get_order_book": "an answer of REST without seqId",
}
# All that is no book, by the name of its file.
NO_BOOK = {
    "trades": "trade|liquidation",
    "candles": "kline|candle|ohlc|chart",
    "what is listed": "instrument|product|combo|expiration|asset_pairs|meta|exchange_info|spreads|markets",
    "statistics": "ticker|funding|price|summary|volatility|market_stats|asset_ctxs|allmids|u64",
    "of an account": "fee_rate|http_order$|transaction|private|batch_add|transfers|clearinghouse|nonce",
    "of the connection": "time|ping|pong|heartbeat|height|status|test|subscri|auth|error",
}


def samples(folder: str) -> list[Path]:
    return sorted(recording(f"wire_samples/{folder}").rglob("*.json"))


def told(feed: str, raw: bytes) -> str:
    """What the feed makes of it: the kinds of messages, or `refused`; anything but a reason is a defect."""
    try:
        return " ".join(type(message).__name__ for message in FEEDS[feed]().parse(raw))
    except MessageError as fault:
        reason = str(fault)
    assert len(reason) > 10
    return "refused"


@pytest.mark.parametrize("folder", FOLDERS)
def test_each_is_read_or_there_is_a_reason(folder: str) -> None:
    root = recording("wire_samples")
    for path in samples(folder):
        name = str(path.relative_to(root).with_suffix(""))
        found = told(FOLDERS[folder], path.read_bytes())
        if name in READ:
            assert found == READ[name], name
            continue
        assert found in ("", "refused"), name
        if name not in NOT_READ:
            reasons = [why for why, files in NO_BOOK.items() if re.search(files, path.stem)]
            assert reasons, f"{name}: no reason why it is not read"
            assert "book" not in path.stem, name


def test_all_files_are_there_and_none_was_left_out() -> None:
    root = recording("wire_samples")
    names = {str(path.relative_to(root).with_suffix("")) for path in samples("")}
    tried = {str(p.relative_to(root).with_suffix("")) for folder in FOLDERS for p in samples(folder)}
    assert tried == names
    assert names >= READ.keys() | NOT_READ.keys()


@pytest.mark.parametrize("feed", FEEDS)
def test_samples_of_other_venues_end_in_a_reason_too(feed: str) -> None:
    """Whoever names the wrong venue gets nothing or a reason; 242 files through each feed."""
    for path in samples(""):
        told(feed, path.read_bytes())
