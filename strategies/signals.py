"""What the engine says, as frozen values: mirrors of Signal.avsc and RiskEvent.avsc, field by field."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

Record = dict[str, Any]


class Action(StrEnum):
    """Step of an episode."""

    OPEN = "open"
    UPDATE = "update"
    CLOSE = "close"


class Cause(StrEnum):
    """Why an episode ended; NONE unless the action is CLOSE."""

    NONE = "none"
    EDGE_GONE = "edge_gone"
    STALE = "stale"
    GAP = "gap"
    HALTED = "halted"
    EXPIRED = "expired"


class Layer(StrEnum):
    """Where a venue settles."""

    BASE = "base"
    ROLLUP = "rollup"


class Side(StrEnum):
    """Side of an order: buy takes asks, sell takes bids."""

    BUY = "buy"
    SELL = "sell"


@dataclass(frozen=True, slots=True)
class Origin:
    """A place in a topic; of a control input the topic is empty and the offset its number."""

    topic: str
    partition: int
    offset: int

    def record(self) -> Record:
        """As fastavro takes it."""
        return {"topic": self.topic, "partition": self.partition, "offset": self.offset}


@dataclass(frozen=True, slots=True)
class Input:
    """A record that a leg's book rests on."""

    topic: str
    partition: int
    offset: int
    venue: str
    symbol: str
    event_time_ns: int | None
    receive_time_ns: int

    def record(self) -> Record:
        """As fastavro takes it."""
        return {
            "topic": self.topic,
            "partition": self.partition,
            "offset": self.offset,
            "venue": self.venue,
            "symbol": self.symbol,
            "event_time_ns": self.event_time_ns,
            "receive_time_ns": self.receive_time_ns,
        }


@dataclass(frozen=True, slots=True)
class Leg:
    """One order to send. Sizes in 10^size_exponent, prices in 10^price_exponent; see Signal.avsc."""

    venue: str
    symbol: str
    layer: Layer
    side: Side
    price_exponent: int
    size_exponent: int
    size_lots: int
    limit_price_ticks: int
    expected_price: float
    fee_bps: float
    fixed_cost_quote: float

    def record(self) -> Record:
        """As fastavro takes it."""
        return {
            "venue": self.venue,
            "symbol": self.symbol,
            "layer": self.layer.value,
            "side": self.side.value,
            "price_exponent": self.price_exponent,
            "size_exponent": self.size_exponent,
            "size_lots": self.size_lots,
            "limit_price_ticks": self.limit_price_ticks,
            "expected_price": self.expected_price,
            "fee_bps": self.fee_bps,
            "fixed_cost_quote": self.fixed_cost_quote,
        }


@dataclass(frozen=True, slots=True)
class Signal:
    """One step in the life of an episode, as the detector proposes it; units as in Signal.avsc.

    It is published only inside `strategies.risk.Approved`.
    """

    signal_id: str
    episode_id: str
    strategy: str
    action: Action
    cause: Cause
    group: str
    product: str
    quote: str
    epoch: int
    sequence: int
    recorded: bool
    time_ns: int
    valid_until_ns: int
    gross_edge_bps: float
    net_edge_bps: float
    gross_edge_quote: float
    net_edge_quote: float
    notional_quote: float
    legs: tuple[Leg, ...]
    trigger: Origin
    inputs: tuple[Input, ...]
    configuration: str

    def record(self) -> Record:
        """As fastavro takes it."""
        return {
            "signal_id": self.signal_id,
            "episode_id": self.episode_id,
            "strategy": self.strategy,
            "action": self.action.value,
            "cause": self.cause.value,
            "group": self.group,
            "product": self.product,
            "quote": self.quote,
            "epoch": self.epoch,
            "sequence": self.sequence,
            "recorded": self.recorded,
            "time_ns": self.time_ns,
            "valid_until_ns": self.valid_until_ns,
            "gross_edge_bps": self.gross_edge_bps,
            "net_edge_bps": self.net_edge_bps,
            "gross_edge_quote": self.gross_edge_quote,
            "net_edge_quote": self.net_edge_quote,
            "notional_quote": self.notional_quote,
            "legs": [leg.record() for leg in self.legs],
            "trigger": self.trigger.record(),
            "inputs": [origin.record() for origin in self.inputs],
            "configuration": self.configuration,
        }


@dataclass(frozen=True, slots=True)
class RiskEvent:
    """A decision or a limit that was hit; `value` and `limit` are in the unit of the reason."""

    event_id: str
    reason: str
    time_ns: int
    group: str = ""
    strategy: str = ""
    product: str = ""
    venue: str = ""
    symbol: str = ""
    value: float | None = None
    limit: float | None = None
    suppressed: int = 0
    detail: str = ""
    topic: str = ""
    partition: int = -1
    offset: int = -1

    def record(self) -> Record:
        """As fastavro takes it."""
        return {
            "event_id": self.event_id,
            "reason": str(self.reason),
            "time_ns": self.time_ns,
            "group": self.group,
            "strategy": self.strategy,
            "product": self.product,
            "venue": self.venue,
            "symbol": self.symbol,
            "value": self.value,
            "limit": self.limit,
            "suppressed": self.suppressed,
            "detail": self.detail,
            "topic": self.topic,
            "partition": self.partition,
            "offset": self.offset,
        }
