"""All venues whose captures can be played, by name: a new one is a file of its own and a row here."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from streams.feeds.binance_coinm import BinanceCoinm
from streams.feeds.binance_spot import BinanceSpot
from streams.feeds.binance_us import BinanceUs
from streams.feeds.binance_usdm import BinanceUsdm
from streams.feeds.bitget import Bitget
from streams.feeds.bybit import Bybit
from streams.feeds.coinbase import Coinbase
from streams.feeds.coinbase_exchange import CoinbaseExchange
from streams.feeds.deribit import Deribit
from streams.feeds.derive import Derive
from streams.feeds.dydx import DydxV4
from streams.feeds.gateio import GateIo
from streams.feeds.hyperliquid import Hyperliquid
from streams.feeds.kraken import Kraken
from streams.feeds.kraken_v1 import KrakenV1
from streams.feeds.kucoin import KuCoin
from streams.feeds.lighter import Lighter
from streams.feeds.okx import Okx
from streams.feeds.plain_depth import PlainDepth
from streams.feeds.plain_quotes import PlainQuotes
from streams.feeds.protocol import Venue

FEEDS: Mapping[str, Callable[[], Venue]] = {
    venue.name: venue
    for venue in (
        BinanceCoinm,
        BinanceSpot,
        BinanceUs,
        BinanceUsdm,
        Bitget,
        Bybit,
        Coinbase,
        CoinbaseExchange,
        Deribit,
        Derive,
        DydxV4,
        GateIo,
        Hyperliquid,
        Kraken,
        KrakenV1,
        KuCoin,
        Lighter,
        Okx,
        PlainQuotes,
        PlainDepth,
    )
}
