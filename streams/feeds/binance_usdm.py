"""Binance USD-M futures: as spot on the wire, with another rule: `pu` chains to the last `u`.

Rules: developers.binance.com, "How to manage a local order book correctly", with one correction. It wants
U <= lastUpdateId <= u of the first event; but a symbol's ids have holes (in a recording 95 % of consecutive
events have another U than the last u + 1), so that a snapshot can fall between two events; what must hold is
pu <= lastUpdateId <= u.
"""

from __future__ import annotations

from collections.abc import Iterable

from streams.feeds.binance_spot import parse
from streams.feeds.protocol import Delta, RawMessage, Verdict


class BinanceUsdm:
    """One combined stream of Binance USD-M futures, REST snapshots among its lines."""

    name = "binance_usdm"
    shape = "stamped_lines"

    def parse(self, raw: bytes) -> Iterable[RawMessage]:
        """Quotes, deltas and snapshots; trades and answers to subscriptions are passed over."""
        return parse(raw, futures=True)

    def starts(self, last: int | None, delta: Delta) -> Verdict:
        """u < last: ignore. pu <= last <= u, else a gap."""
        previous, final = delta.previous_update_id, delta.last_update_id
        if last is None or previous is None or final is None:
            return Verdict.BREAK
        if final < last:
            return Verdict.OLD
        return Verdict.FITS if previous <= last else Verdict.BREAK

    def follows(self, last: int | None, delta: Delta) -> Verdict:
        """pu == last. Otherwise u <= last: ignore; else a gap."""
        previous, final = delta.previous_update_id, delta.last_update_id
        if last is None or previous is None or final is None:
            return Verdict.BREAK
        if previous == last and final >= last:
            return Verdict.FITS
        return Verdict.OLD if final <= last else Verdict.BREAK
