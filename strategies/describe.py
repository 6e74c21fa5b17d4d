"""From the kernel's events to values for people and topics: names, units, ids, inputs."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from strategies.cross_venue import STRATEGY
from strategies.kernels import layout
from strategies.risk import Command, Finding, Reason
from strategies.signals import Action, Cause, Input, Layer, Leg, Origin, RiskEvent, Side, Signal

if TYPE_CHECKING:
    from strategies.engine import Engine

NS_PER_MS = 1_000_000
BPS = 1e4
ACTIONS = {layout.OPEN: Action.OPEN, layout.UPDATE: Action.UPDATE, layout.CLOSE: Action.CLOSE}
CAUSES = tuple(Cause)
STATES = ("synced", "gap", "resync", "stale", "empty", "crossed")

# Reason of each code of kernels.layout, and the unit's size where the kernel counts in ns.
REASONS = {
    layout.R_NOT_SYNCED: (Reason.NOT_SYNCED, 0),
    layout.R_TOO_OLD: (Reason.STALE, NS_PER_MS),
    layout.R_EDGE_BPS: (Reason.EDGE_BELOW_MINIMUM_BPS, 1),
    layout.R_EDGE_QUOTE: (Reason.EDGE_BELOW_MINIMUM_QUOTE, 1),
    layout.R_HALTED: (Reason.HALTED, 0),
    layout.R_GATE_CLOSED: (Reason.GATE_CLOSED, 0),
    layout.R_SEQUENCE_GAP: (Reason.GAP, 0),
    layout.R_CROSSED: (Reason.CROSSED_BOOK, 0),
    layout.R_KEY_FRAME: (Reason.KEY_FRAME_DIFFERS, 0),
    layout.R_CLOCK_JUMP: (Reason.CLOCK_JUMP, NS_PER_MS),
    layout.R_CONTRADICTION: (Reason.CONTRADICTION, 0),
    layout.R_CHECKSUM: (Reason.CHECKSUM_WRONG, 0),
    layout.R_SEQUENCE_REPEATED: (Reason.SEQUENCE_REPEATED, 0),
    layout.R_NOTIONAL_CUT: (Reason.NOTIONAL_CUT, 1),
    layout.R_DEPTH_LIMIT: (Reason.DEPTH_LIMIT_HIT, 1),
}


def identity(*parts: object) -> str:
    """32 hex digits over the names of the inputs: BLAKE2b (RFC 7693) of the parts, each ended by a NUL."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(str(part).encode() + b"\0")
    return digest.hexdigest()


def origin(engine: Engine, source: int, offset: int) -> Origin:
    """Where an event comes from; a control input has no topic."""
    topic = "" if source == layout.CONTROL else engine.topics[source]
    return Origin(topic, engine.partition, offset)


def signal(engine: Engine, event: Any, rows: Any) -> Signal:
    """The signal of an OPEN, UPDATE or CLOSE row and its legs."""
    product = engine.plan.products[event["product"]]
    limits = engine.state.products[event["product"]]
    trigger = origin(engine, int(event["source"]), int(event["offset"]))
    opened = origin(engine, int(event["open_source"]), int(event["open_offset"]))
    episode_id = identity(
        "episode", STRATEGY, product.group, product.name, opened.topic, opened.partition, opened.offset
    )
    action = ACTIONS[int(event["what"])]
    legs = [rows[i] for i in range(int(event["legs"]))]
    notional = float(event["notional"])
    return Signal(
        signal_id=identity("signal", episode_id, action, trigger.topic, trigger.partition, trigger.offset),
        episode_id=episode_id,
        strategy=STRATEGY,
        action=action,
        cause=CAUSES[int(event["code"])],
        group=product.group,
        product=product.name,
        quote=product.quote,
        epoch=engine.epoch,
        sequence=int(event["sequence"]),
        recorded=bool(event["recorded"]),
        time_ns=int(event["time"]),
        valid_until_ns=int(event["time"] + limits["valid"]),
        gross_edge_bps=BPS * float(event["gross"]) / notional if notional else 0.0,
        net_edge_bps=BPS * float(event["net"]) / notional if notional else 0.0,
        gross_edge_quote=float(event["gross"]),
        net_edge_quote=float(event["net"]),
        notional_quote=notional,
        legs=() if action is Action.CLOSE else tuple(leg(engine, row) for row in legs),
        trigger=trigger,
        inputs=inputs(engine, legs),
        configuration=engine.fingerprint,
    )


def leg(engine: Engine, row: Any) -> Leg:
    """One order of a signal."""
    _, instrument = engine.plan.books[row["book"]]
    own = engine.state.instruments[row["book"]]
    venue = engine.markets.venues[instrument.venue]
    unit = float(engine.state.products[own["product"]]["price_unit"])
    return Leg(
        venue=instrument.venue,
        symbol=instrument.symbol,
        layer=Layer(venue.layer),
        side=Side.BUY if row["side"] == layout.ASKS else Side.SELL,
        price_exponent=int(own["price_exponent"]),
        size_exponent=int(own["size_exponent"]),
        size_lots=int(row["size"]),
        limit_price_ticks=int(row["limit_price"]),
        expected_price=float(row["cost"]) / float(row["size"]) * unit,
        fee_bps=venue.taker_fee_bps,
        fixed_cost_quote=venue.fixed_cost,
    )


def inputs(engine: Engine, legs: list[Any]) -> tuple[Input, ...]:
    """The records that the legs' books rest on, each once, oldest receive time first."""
    found: dict[tuple[int, int], Input] = {}
    for row in legs:
        _, instrument = engine.plan.books[row["book"]]
        for source, name in enumerate(("l1", "l2")):
            offset = int(row[f"{name}_offset"])
            if offset < 0:
                continue
            event_time = int(row[f"{name}_event_time"])
            found[source, offset] = Input(
                topic=engine.topics[source],
                partition=engine.partition,
                offset=offset,
                venue=instrument.venue,
                symbol=instrument.symbol,
                event_time_ns=None if event_time == layout.NONE else event_time,
                receive_time_ns=int(row[f"{name}_receive_time"]),
            )
    return tuple(sorted(found.values(), key=lambda i: (i.receive_time_ns, i.topic, i.offset)))


def refusal(engine: Engine, event: Any) -> RiskEvent:
    """The risk event of a REFUSAL row."""
    product = engine.plan.products[event["product"]]
    reason, unit = REASONS[int(event["code"])]
    instrument = engine.plan.books[event["book"]][1] if event["book"] >= 0 else None
    place = origin(engine, int(event["source"]), int(event["offset"]))
    detail = reason.sentence
    if reason in (Reason.NOT_SYNCED, Reason.GAP) and event["book"] >= 0:
        detail += f" (state {STATES[int(event['value'])]})"
    return RiskEvent(
        event_id=identity(
            "risk", reason, product.group, product.name, place.topic, place.partition, place.offset
        ),
        reason=reason,
        time_ns=int(event["time"]),
        group=product.group,
        strategy=STRATEGY,
        product=product.name,
        venue=instrument.venue if instrument else "",
        symbol=instrument.symbol if instrument else "",
        value=float(event["value"]) / unit if unit else None,
        limit=float(event["limit"]) / unit if unit else None,
        suppressed=int(event["suppressed"]),
        detail=detail,
        topic=place.topic,
        partition=place.partition,
        offset=place.offset,
    )


def refused(engine: Engine, candidate: Signal, finding: Finding) -> RiskEvent:
    """The risk event of one reason for which the guard refused a signal."""
    return RiskEvent(
        event_id=identity("refused", finding.reason, candidate.signal_id),
        reason=finding.reason,
        time_ns=candidate.time_ns,
        group=candidate.group,
        strategy=candidate.strategy,
        product=candidate.product,
        value=finding.value,
        limit=finding.limit,
        detail=finding.detail or finding.reason.sentence,
        topic=candidate.trigger.topic,
        partition=candidate.trigger.partition,
        offset=candidate.trigger.offset,
    )


def control_event(
    engine: Engine,
    reason: Reason,
    value: float | None = None,
    limit: float | None = None,
    detail: str = "",
) -> RiskEvent:
    """A risk event that the engine's last control input set off."""
    return RiskEvent(
        event_id=identity("control", reason, engine.partition, engine.epoch, engine.controls),
        reason=reason,
        time_ns=int(engine.state.clock["time"][0]),
        value=value,
        limit=limit,
        detail=detail or reason.sentence,
        partition=engine.partition,
        offset=engine.controls,
    )


def command_event(engine: Engine, command: Command, reason: Reason) -> RiskEvent:
    """What a kill or a resume did here."""
    detail = (
        f"{command.action} {command.command_id} of {command.reach} by {command.issued_by}: {command.reason}"
    )
    return control_event(engine, reason, detail=detail)


def gate_event(engine: Engine, closed: Reason | None) -> RiskEvent:
    """The gate opened or closed in this partition."""
    reason = Reason.GATE_OPENED if closed is None else Reason.GATE_CLOSED
    return control_event(engine, reason, detail=(closed or reason).sentence)
