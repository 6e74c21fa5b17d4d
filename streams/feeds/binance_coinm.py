"""Binance COIN-M futures: the wire and the rule of USD-M, for contracts of a fixed amount of USD.

Sizes count contracts (100 USD of BTCUSD_PERP, 10 of others): `inverse` and `multiplier` of the markets file
say what they are worth. REST answers name their symbol.
"""

from __future__ import annotations

from streams.feeds.binance_usdm import BinanceUsdm


class BinanceCoinm(BinanceUsdm):
    """One combined stream of Binance COIN-M futures, REST snapshots among its lines."""

    name = "binance_coinm"
