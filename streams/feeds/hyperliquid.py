"""Hyperliquid: `l2Book` (L2, up to 20 levels a side) and `bbo` (L1), by websocket or as the REST answers.

Rules: the API's documents and mirrors of it ("complete snapshots, no sequence numbers"). Every message is the
whole of what it shows, as of the block at `time`. There is no sequence: a lost message cannot be seen, only
that nothing came (staleness), and the next one heals it. Blocks only move forward, so that a message of an
older block than the last one is late, and passed over.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from streams.feeds import fields
from streams.feeds.protocol import Delta, MessageError, Notice, Quote, RawLevel, RawMessage, Snapshot, Verdict

LATE_NS = 60 * fields.S  # further back than this is no late message: the venue has set its time back
MAX_COINS = 1_000  # whose last blocks are remembered: as many subscriptions as the venue allows an address


class Hyperliquid:
    """One connection to Hyperliquid; a symbol is a coin: `BTC`, or `@107` of spot."""

    name = "hyperliquid"
    shape = "stamped_lines"

    def __init__(self) -> None:
        self._blocks: dict[tuple[str, str], int] = {}

    def connected(self) -> None:
        """The other end may be another server, at an earlier block."""
        self._blocks.clear()

    def parse(self, raw: bytes) -> Iterable[RawMessage]:
        """Books and quotes; trades, mid prices and answers to subscriptions are passed over."""
        return fields.read(raw, self._read)

    def starts(self, last: int | None, delta: Delta) -> Verdict:
        """There are no deltas."""
        return Verdict.BREAK

    follows = starts

    def _read(self, message: Any) -> Iterable[RawMessage]:
        message = fields.table(message)
        channel = message.get("channel", "l2Book" if "levels" in message else None)
        if channel is None:
            raise MessageError("no message of Hyperliquid's websocket, and no book: it has no 'channel'")
        if channel not in ("l2Book", "bbo"):
            return
        data = fields.table(message["data"] if "channel" in message else message)
        coin, time = fields.name(data["coin"]), fields.time(data["time"], fields.MS)
        found: RawMessage
        if channel == "bbo":
            bid, ask = fields.rows(data["bbo"])
            found = Quote(coin, _top(bid), _top(ask), event_time_ns=time)
        else:
            bids, asks = (fields.pairs(side, "px", "sz") for side in fields.rows(data["levels"]))
            found = Snapshot(coin, bids, asks, event_time_ns=time)
        yield Notice(Verdict.OLD, coin) if self._late((channel, coin), time) else found

    def _late(self, key: tuple[str, str], time: int) -> bool:
        last = self._blocks.get(key)
        if last is not None and last - LATE_NS <= time < last:
            return True
        if len(self._blocks) >= MAX_COINS:
            self._blocks.clear()
        self._blocks[key] = time
        return False


def _top(level: Any) -> RawLevel | None:
    return None if level is None else fields.pairs([level], "px", "sz")[0]
