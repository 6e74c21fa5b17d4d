"""Binance US: the wire and the rule of Binance spot, at a venue of its own."""

from __future__ import annotations

from streams.feeds.binance_spot import BinanceSpot


class BinanceUs(BinanceSpot):
    """One combined stream of Binance US, REST snapshots among its lines."""

    name = "binance_us"
