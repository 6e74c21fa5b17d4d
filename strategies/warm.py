"""Compile every kernel of the data path, before anybody waits for it."""

from __future__ import annotations

import numpy as np

from schemas.batch import Batch, Messages
from schemas.catalog import header, schema
from strategies.controls import Elapsed, Gate, LogStartJumped
from strategies.engine import Engine
from strategies.kernels.step import interleave
from strategies.markets import Instrument, Markets, Venue


def warm() -> None:
    """Run an engine of two venues over an unreadable record and each control input.

    numba compiles by types and not by values, so that the record need not be a good one.
    """
    instruments = tuple(
        Instrument.model_validate(
            {
                "venue": venue,
                "symbol": "X",
                "kind": "spot",
                "base": "X",
                "quote": "Y",
                "tick": "1",
                "lot": "1",
            }
        )
        for venue in ("a", "b")
    )
    venues = {name: Venue(layer="base", taker_fee_bps=0.0) for name in ("a", "b")}
    engine = Engine(Markets(venues=venues, instruments=instruments), ["X"], 0, 0)
    one = np.zeros(1, np.int64)
    value = Messages.of([header(schema("BookUpdate"))])
    reading = engine.read(Batch("book.l2", 0, one, one, Messages.of([b"X"]), value))
    records = engine.records_of(reading)
    interleave(records, 0, records, 0, np.zeros(2, np.int64), 1, 1)
    engine.step(np.ones(1, np.int64), l2=reading)
    for control in (Gate(None), Elapsed(1), LogStartJumped(0, 0, 1)):
        engine.control(control)
