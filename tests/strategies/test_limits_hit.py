"""A size that max_notional cut is published with an event that says so."""

from __future__ import annotations

from decimal import Decimal

from strategies.controls import Gate
from strategies.engine import Engine, Outputs
from strategies.markets import Instrument, Limits, Markets, Venue
from tests.wire import Wire


def found_with(max_notional: float) -> Outputs:
    """Asks of 10 at 100.00 on one venue, bids of 10 at 101.00 on the other, no fees."""
    venues = {name: Venue(layer="base", taker_fee_bps=0.0) for name in ("a", "b")}
    instruments = tuple(
        Instrument(
            venue=name,
            symbol="X",
            kind="spot",
            base="BTC",
            quote="USD",
            tick=Decimal("0.01"),
            lot=Decimal("0.1"),
        )
        for name in venues
    )
    limits = Limits(max_notional=max_notional)
    engine = Engine(Markets(venues=venues, instruments=instruments, limits=limits), ["BTC"], 0, 0)
    engine.control(Gate(None))
    wire = Wire()
    cheap = wire.snapshot("a", "X", [(99_00, 10_0000)], [(100_00, 10_0000)])
    dear = wire.snapshot("b", "X", [(101_00, 10_0000)], [(102_00, 10_0000)])
    return engine.take(wire.batch(cheap, dear))


def test_a_size_cut_by_the_largest_notional_is_said() -> None:
    outputs = found_with(555.0)
    (approved,) = outputs.signals
    assert approved.signal.notional_quote == 550.0  # 5.5 of 10: 5.6 would be 560
    (event,) = outputs.risk_events
    assert (event.reason, event.value, event.limit) == ("notional_cut", 550.0, 555.0)


def test_a_size_that_the_books_end_is_no_cut() -> None:
    outputs = found_with(1_200.0)
    assert outputs.signals[0].signal.notional_quote == 1_000.0
    assert outputs.risk_events == []
