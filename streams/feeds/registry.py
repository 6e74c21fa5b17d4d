"""All venues whose captures can be played, by name: a new one is a file of its own and a row here."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from streams.feeds.binance_spot import BinanceSpot
from streams.feeds.binance_usdm import BinanceUsdm
from streams.feeds.plain_depth import PlainDepth
from streams.feeds.plain_quotes import PlainQuotes
from streams.feeds.protocol import Venue

FEEDS: Mapping[str, Callable[[], Venue]] = {
    venue.name: venue for venue in (BinanceSpot, BinanceUsdm, PlainQuotes, PlainDepth)
}
